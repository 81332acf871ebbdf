//! The kernel's `Authenticator`: access tokens and API keys, asked by the gates on a cache miss.
//!
//! A token is checked in this order: form, key, signature, claims (none of which touches the
//! database), then that its session is live and works in the same organisation. It runs on the task
//! of whoever asks: one signature check takes some 35 µs. It holds no state but the shared key set.

use std::time::Duration;

use troupe_actors::{PermissionSet, Principal, PrincipalKind, Scope, ServiceRef};
use troupe_database::Keyed;
use troupe_kernel::clock::SharedClock;
use troupe_kernel::error::Failure;
use troupe_kernel::ids::{SessionId, TenantId, UserId};
use troupe_kernel::module::Declarations;
use troupe_kernel::ports::{Authenticated, Authenticator, BoxFuture, Credential};

use crate::keys::SharedKeys;
use crate::messages::{FindKey, KeyMessage, NoteUse, SessionMessage};
use crate::secret::digests_equal;
use crate::service::checks::{ApiKeyLoad, SessionLoad, USE_NOTED_EVERY};
use crate::token::{Claims, Expectation, TokenFault, verify};
use crate::{api_key, error};

/// No cache keeps an API key longer than this without asking again.
pub(crate) const API_KEY_KEPT: Duration = Duration::from_secs(60);

/// Checks access tokens and API keys.
pub struct TokenAuthenticator {
    /// The only issuer that is accepted.
    pub issuer: String,
    /// How far another node's clock may be ahead.
    pub skew: Duration,
    /// The clock.
    pub clock: SharedClock,
    /// The signing keys now.
    pub keys: SharedKeys,
    /// Asked for a key that is not among them.
    pub keeper: ServiceRef<KeyMessage>,
    /// Live sessions.
    pub sessions: Keyed<SessionLoad>,
    /// Good API keys.
    pub api_keys: Keyed<ApiKeyLoad>,
    /// Told what was used.
    pub uses: ServiceRef<SessionMessage>,
    /// Every permission there is.
    pub declarations: Declarations,
}

impl TokenAuthenticator {
    async fn by_token(&self, token: &str, scope: &Scope) -> Result<Authenticated, Failure> {
        let claims = self.verified(token, scope).await?;
        let session = SessionId::from(claims.sid);
        let live = self.sessions.get(scope, session).await?;
        let live = live.filter(|live| live.user.uuid() == claims.sub);
        let live = live.ok_or_else(error::session_ended)?;
        // A token must not outlive its session's time in an organisation: what ends a membership
        // ends the sessions that work there, and not those that have moved on.
        if live.tenant.map(TenantId::uuid) != claims.tid {
            return Err(error::session_moved());
        }
        if self.clock.now().since(live.last_seen_at) >= USE_NOTED_EVERY {
            self.note(NoteUse { sessions: vec![session], api_keys: Vec::new() });
        }
        let expires = troupe_kernel::Timestamp::from_secs(claims.exp).min(live.ends_at);
        Ok(Authenticated { principal: user_principal(&claims), expires })
    }

    async fn verified(&self, token: &str, scope: &Scope) -> Result<Claims, Failure> {
        match self.verify_now(token) {
            Err(TokenFault::UnknownKey(kid)) => {
                // Another node may have made a key that this one has not read yet.
                if !self.keeper.ask(scope, FindKey { kid }).await? {
                    return Err(error::token_refused());
                }
                self.verify_now(token).map_err(|fault| refusal(&fault))
            }
            other => other.map_err(|fault| refusal(&fault)),
        }
    }

    fn verify_now(&self, token: &str) -> Result<Claims, TokenFault> {
        let expected = Expectation { issuer: &self.issuer, now: self.clock.now(), skew: self.skew };
        verify(token, &self.keys.load(), &expected)
    }

    async fn by_api_key(&self, key: &str, scope: &Scope) -> Result<Authenticated, Failure> {
        let presented = api_key::parse(key).ok_or_else(error::api_key_refused)?;
        let good = self.api_keys.get(scope, presented.prefix.clone()).await?;
        let good = good
            .filter(|good| digests_equal(&good.digest, &presented.digest))
            .ok_or_else(error::api_key_refused)?;
        let now = self.clock.now();
        if good.last_used_at.is_none_or(|used| now.since(used) >= USE_NOTED_EVERY) {
            self.note(NoteUse { sessions: Vec::new(), api_keys: vec![good.id] });
        }
        let catalog = &self.declarations.get().catalog;
        let principal = Principal {
            subject: good.user.uuid(),
            kind: PrincipalKind::Service,
            tenant: Some(good.organisation.uuid()),
            session: Some(good.id.uuid()),
            permissions: PermissionSet::new(),
            bound: Some(catalog.compile(good.permissions.iter().map(String::as_str))),
            label: format!("api key {}{}", api_key::MARK, presented.prefix),
        };
        let kept = now.plus(API_KEY_KEPT);
        let expires = good.expires_at.map_or(kept, |ends| ends.min(kept));
        Ok(Authenticated { principal, expires })
    }

    /// Tells the time of a use; a full mailbox loses it, which costs a minute of exactness.
    fn note(&self, used: NoteUse) {
        let scope = Scope::system("auth.use", Duration::from_secs(10));
        if let Err(failure) = self.uses.tell(&scope, used) {
            tracing::debug!(%failure, "the time of a use was not noted");
        }
    }
}

fn user_principal(claims: &Claims) -> Principal {
    Principal {
        subject: claims.sub,
        kind: PrincipalKind::User,
        tenant: claims.tid,
        session: Some(claims.sid),
        permissions: PermissionSet::new(),
        bound: None,
        label: format!("user {}", UserId::from(claims.sub)),
    }
}

fn refusal(fault: &TokenFault) -> Failure {
    tracing::debug!(%fault, "an access token was refused");
    match fault {
        TokenFault::Expired => error::token_expired(),
        _ => error::token_refused(),
    }
}

impl Authenticator for TokenAuthenticator {
    fn authenticate<'a>(
        &'a self,
        credential: Credential,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Authenticated, Failure>> {
        Box::pin(async move {
            match &credential {
                Credential::ApiKey(key) => self.by_api_key(key.expose(), scope).await,
                Credential::Bearer(token) if api_key::is_key(token.expose()) => {
                    self.by_api_key(token.expose(), scope).await
                }
                Credential::Bearer(token) => self.by_token(token.expose(), scope).await,
            }
        })
    }
}
