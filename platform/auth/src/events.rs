//! Names and payloads of the events that auth publishes.
//!
//! The subject of every event is the user it is about (for an API key its organisation), so that
//! consumers see the events of one user in order. No payload carries a secret or a network address.

use serde::{Deserialize, Serialize};
use troupe_kernel::ids::{SessionId, TenantId, UserId};
use uuid::Uuid;

use crate::messages::{ApiKeyId, ExternalIdentityId, PasskeyId};

/// The platform was set up and has its first administrator.
pub const SETUP_COMPLETED: &str = "auth.setup.completed";
/// Somebody registered.
pub const ACCOUNT_REGISTERED: &str = "auth.account.registered";
/// Somebody logged in.
pub const SESSION_STARTED: &str = "auth.session.started";
/// A session ended before its time.
pub const SESSION_ENDED: &str = "auth.session.ended";
/// A refresh token was used twice: somebody has a copy of it. The session is ended.
pub const REFRESH_REUSED: &str = "auth.refresh.reused";
/// An account waits after failed attempts.
pub const ACCOUNT_LOCKED: &str = "auth.account.locked";
/// A password was changed by its owner.
pub const PASSWORD_CHANGED: &str = "auth.password.changed";
/// A password was reset by a mailed link.
pub const PASSWORD_RESET: &str = "auth.password.reset";
/// Each login asks for a code of an authenticator app from now on.
pub const SECOND_FACTOR_ENABLED: &str = "auth.second_factor.enabled";
/// The authenticator app is gone: switched off by its owner, or reset with all passkeys by an
/// administrator.
pub const SECOND_FACTOR_DISABLED: &str = "auth.second_factor.disabled";
/// A recovery code took the place of a code of the app.
pub const RECOVERY_CODE_USED: &str = "auth.recovery_code.used";
/// There are new recovery codes, and the old ones are good no more.
pub const RECOVERY_CODES_RENEWED: &str = "auth.recovery_codes.renewed";
/// An account has a new passkey: it signs in, and logins with a password ask for a second step.
pub const PASSKEY_ADDED: &str = "auth.passkey.added";
/// A passkey was removed from an account.
pub const PASSKEY_REMOVED: &str = "auth.passkey.removed";
/// A passkey showed that there are two of it; it opens nothing any more.
pub const PASSKEY_COPIED: &str = "auth.passkey.copied";
/// An identity at an external provider was linked to an account.
pub const IDENTITY_LINKED: &str = "auth.identity.linked";
/// An identity at an external provider was removed from an account.
pub const IDENTITY_UNLINKED: &str = "auth.identity.unlinked";
/// An API key was made.
pub const API_KEY_CREATED: &str = "auth.api_key.created";
/// An API key was revoked.
pub const API_KEY_REVOKED: &str = "auth.api_key.revoked";
/// A new signing key was published.
pub const SIGNING_KEY_PUBLISHED: &str = "auth.signing_key.published";

/// Payload of the events about an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountEvent {
    /// The user.
    pub user: UserId,
}

/// Payload of the events about a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEvent {
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// Why it ended; none when it started.
    pub reason: Option<String>,
}

/// Payload of the events about a passkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasskeyEvent {
    /// The user.
    pub user: UserId,
    /// The passkey.
    pub passkey: PasskeyId,
}

/// Payload of the events about an external identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityEvent {
    /// The user.
    pub user: UserId,
    /// The identity.
    pub identity: ExternalIdentityId,
    /// Name of the provider.
    pub provider: String,
}

/// Payload of the events about an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyEvent {
    /// The organisation.
    pub tenant: TenantId,
    /// The key.
    pub key: ApiKeyId,
    /// Who made or revoked it.
    pub by: Uuid,
}

/// Payload of [`SIGNING_KEY_PUBLISHED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyEvent {
    /// Id of the key, as in the header of tokens.
    pub kid: String,
}
