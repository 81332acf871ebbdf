//! The two ports that the fixture stands behind.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use troupe_actors::{PermissionSet, Principal, PrincipalKind, Scope};
use troupe_auth::keys::KeySet;
use troupe_auth::token::{Expectation, verify};
use troupe_kernel::{
    Authenticated, Authenticator, Authorizer, BoxFuture, Catalog, Credential, Decision, Failure,
    Question, SharedClock, Timestamp, Uuid,
};

use super::module::{READ, WRITE};
use crate::fixture::{self, ISSUER};

/// Checks tokens by their signature.
pub(super) struct Keys {
    keys: KeySet,
    clock: SharedClock,
}

impl Keys {
    pub(super) fn new(keys: KeySet, clock: SharedClock) -> Self {
        Self { keys, clock }
    }

    fn check(&self, credential: &Credential) -> Result<Authenticated, Failure> {
        let refuse = || Failure::unauthenticated("bench.token.refused", "the token is not good");
        let Credential::Bearer(token) = credential else { return Err(refuse()) };
        let expected = Expectation { issuer: ISSUER, now: self.clock.now(), skew: Duration::ZERO };
        let claims = verify(token.expose(), &self.keys, &expected).map_err(|_| refuse())?;
        let principal = Principal {
            subject: claims.sub,
            kind: PrincipalKind::User,
            tenant: claims.tid,
            session: Some(claims.sid),
            permissions: PermissionSet::new(),
            bound: None,
            label: format!("user {}", claims.sub),
        };
        Ok(Authenticated { principal, expires: Timestamp::from_secs(claims.exp) })
    }
}

impl Authenticator for Keys {
    fn authenticate<'a>(
        &'a self,
        credential: Credential,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Authenticated, Failure>> {
        Box::pin(async move { self.check(&credential) })
    }
}

/// Knows what each subject may do.
pub(super) struct Roles {
    held: HashMap<Uuid, PermissionSet>,
}

impl Roles {
    pub(super) fn new(permissions: &BTreeMap<Uuid, Vec<String>>, catalog: &Catalog) -> Self {
        let key = |name: &String| match name.as_str() {
            fixture::READ => Some(READ),
            fixture::WRITE => Some(WRITE),
            _ => None,
        };
        let compiled = permissions
            .iter()
            .map(|(subject, names)| (*subject, catalog.compile(names.iter().filter_map(key))));
        Self { held: compiled.collect() }
    }
}

impl Authorizer for Roles {
    fn resolve<'a>(
        &'a self,
        subject: Uuid,
        _tenant: Option<Uuid>,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<PermissionSet, Failure>> {
        let held = self.held.get(&subject).cloned().unwrap_or_default();
        Box::pin(std::future::ready(Ok(held)))
    }

    fn decide<'a>(
        &'a self,
        question: Question,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Decision, Failure>> {
        let reason = format!("no route of the suite asks about {}", question.action);
        let decision = Decision { allowed: false, reason, policy: None };
        Box::pin(std::future::ready(Ok(decision)))
    }
}
