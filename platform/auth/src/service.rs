//! The actors of auth, and what they share.
//!
//! | Actor | Workers | Mailbox | A crash loses |
//! |---|---|---|---|
//! | `passwords` | `password_pool.workers` | `password_pool.queue` | the hash being computed |
//! | `keys` | 1 | 256 | nothing: keys are read again |
//! | `sessions` | 8 | 1024 | the request being handled |
//! | `login` | 1, only forwards | 1024 | nothing |
//! | `login-N` | 1 each | a part of `password_pool.queue` | the login being handled |
//! | `oidc` | 1, only forwards | 1024 | nothing |
//! | `oidc-NAME` | 4 each | 64 | the request being handled |
//! | `second-factors` | 4 | 256 | the request being handled |
//! | `passkeys` | 4 | 256 | the request being handled |
//! | `accounts` | 4 | 256 | the request being handled |
//! | `api-keys` | 2 | 256 | the request being handled |
//! | `pages` | 1 | 256 | nothing |
//!
//! All are permanent and restarted one for one. State is in the database; the pools await it.

pub mod accounts;
pub mod api_keys;
pub mod checks;
mod codes;
mod guard;
mod identities;
pub mod key_file;
pub mod keys;
pub mod login;
pub mod oidc;
pub mod pages;
pub mod passkeys;
pub mod passwords;
mod proof;
pub mod proofs;
mod registration;
mod resets;
pub mod second_factors;
pub mod sessions;
mod setup;
mod standing;
mod tokens;

use std::sync::Arc;

use troupe_actors::{Principal, PrincipalKind, Scope, ServiceRef};
use troupe_authz_messages::AuthzMessage;
use troupe_database::Db;
use troupe_identity_messages::IdentityMessage;
use troupe_kernel::clock::{SharedClock, Timestamp};
use troupe_kernel::error::Failure;
use troupe_kernel::invalidation::Invalidations;
use troupe_kernel::module::Declarations;
use uuid::Uuid;

use crate::config::AuthConfig;
use crate::error;
use crate::keys::{SharedKeys, SharedSealer};
use crate::messages::PasswordMessage;
use crate::passkey::RelyingParty;

/// What every actor of auth works with.
pub struct Shared {
    /// The settings.
    pub config: AuthConfig,
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: SharedClock,
    /// Who people are.
    pub identity: ServiceRef<IdentityMessage>,
    /// What people may do.
    pub authz: ServiceRef<AuthzMessage>,
    /// Where passwords are hashed.
    pub passwords: ServiceRef<PasswordMessage>,
    /// Tells the gates what ended.
    pub invalidations: Invalidations,
    /// The signing keys now.
    pub keys: SharedKeys,
    /// What seals secrets in the database.
    pub sealer: SharedSealer,
    /// This platform as browsers and authenticators know it; none where it has no domain.
    pub passkeys: Option<RelyingParty>,
    /// Every permission there is.
    pub declarations: Declarations,
}

/// A handle on what every actor of auth works with.
pub type Desk = Arc<Shared>;

impl Shared {
    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// This platform as browsers and authenticators know it.
    fn relying_party(&self) -> Result<&RelyingParty, Failure> {
        self.passkeys.as_ref().ok_or_else(error::passkey_unavailable)
    }
}

/// The scope without the caller's idempotency key.
///
/// Auth never stores a reply for an idempotency key: its replies hold tokens, and the fingerprint
/// of a request is a fast hash of a body that holds a password. So neither does a service it asks.
fn unrepeated(scope: &Scope) -> Scope {
    let mut scope = scope.clone();
    if scope.idempotency().is_some() {
        scope.origin_mut().idempotency = None;
    }
    scope
}

/// The scope acting as the platform itself, for a step the caller may not take alone.
fn as_platform(scope: &Scope, label: &str) -> Scope {
    let mut scope = unrepeated(scope);
    scope.origin_mut().principal = Some(Arc::new(Principal {
        subject: Uuid::nil(),
        kind: PrincipalKind::System,
        tenant: None,
        session: None,
        permissions: troupe_actors::PermissionSet::new(),
        bound: None,
        label: label.to_owned(),
    }));
    scope
}

/// The network address a request came from.
fn address_of(scope: &Scope) -> Option<String> {
    scope.origin().and_then(|origin| origin.address).map(|address| address.to_string())
}
