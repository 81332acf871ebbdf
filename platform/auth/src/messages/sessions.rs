//! Sessions and the tokens that belong to them.

use serde::{Deserialize, Serialize};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{SessionId, TenantId, UserId};
use utoipa::ToSchema;

use super::ApiKeyId;
use crate::secret::SecretText;

/// What a login and a refresh answer (RFC 6749 §5.1, with what a client needs besides).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// Goes into `Authorization: Bearer`.
    pub access_token: SecretText,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds until the access token ends.
    pub expires_in: u64,
    /// Exchanges once for the next pair.
    pub refresh_token: SecretText,
    /// When the refresh token ends.
    pub refresh_expires_at: Timestamp,
    /// The session.
    pub session: SessionId,
    /// The user.
    pub user: UserId,
    /// The organisation the access token works in.
    pub organisation: Option<TenantId>,
}

/// Exchanges a refresh token for the next pair.
///
/// Fails with `auth.refresh.refused` (unauthenticated) for a token that is wrong, too old or of a
/// session that ended; a token that was used before ends the session. `auth.refresh.superseded`
/// (conflict) when it was used a moment ago: take the pair that exchange answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refresh {
    /// The token.
    pub refresh_token: SecretText,
    /// The device, as its `User-Agent` says.
    pub device: Option<String>,
}

/// Answers the live sessions of a user, used last first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListSessions {
    /// The user.
    pub user: UserId,
    /// The session that asks, marked in the answer.
    pub current: Option<SessionId>,
}

/// A session as its user sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Which session.
    pub id: SessionId,
    /// The organisation it works in.
    pub organisation: Option<TenantId>,
    /// The device, as its `User-Agent` said.
    pub device: Option<String>,
    /// The network address it was used from last.
    pub address: Option<String>,
    /// When it started.
    pub created_at: Timestamp,
    /// When it was used last; exact to about a minute.
    pub last_seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// Ends one session of a user, or fails with `auth.session.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevokeSession {
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
}

/// Ends the caller's session. A session that has ended already is no failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Logout {
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
}

/// Ends all sessions of a user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogoutEverywhere {
    /// The user.
    pub user: UserId,
}

/// Answers an access token for another organisation of the user; the session moves there.
///
/// Fails with `auth.organisation.unavailable` (forbidden), `auth.session.ended` (unauthenticated).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Switch {
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// The organisation; none leaves every organisation.
    pub organisation: Option<TenantId>,
}

/// An access token for another organisation. The refresh token stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Switched {
    /// Goes into `Authorization: Bearer`.
    pub access_token: SecretText,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds until the access token ends.
    pub expires_in: u64,
    /// The organisation the access token works in.
    pub organisation: Option<TenantId>,
}

/// Ends the sessions and API keys of a user who is barred or gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndUser {
    /// The user.
    pub user: UserId,
    /// Whether everything about the user is deleted.
    pub erase: bool,
}

/// Ends the sessions and API keys of a user in an organisation they left.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndMembership {
    /// The user.
    pub user: UserId,
    /// The organisation.
    pub organisation: TenantId,
}

/// Ends the sessions and API keys of an organisation that is barred or closed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndTenant {
    /// The organisation.
    pub organisation: TenantId,
}

/// Notes that sessions and API keys were used just now. Told by the credential checks, at most once
/// a minute for each, and lost without harm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NoteUse {
    /// The sessions.
    pub sessions: Vec<SessionId>,
    /// The API keys.
    pub api_keys: Vec<ApiKeyId>,
}

/// Deletes what is past its time: sessions, refresh tokens, one-time tokens, failure counts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sweep;

/// What a sweep deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// Rows deleted.
    pub rows: u64,
}
