//! Logins with external providers (OpenID Connect), and the identities that are linked to accounts.

use serde::{Deserialize, Serialize};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{TenantId, UserId};
use utoipa::ToSchema;

use super::{Challenge, SignIn, Tokens};
use crate::secret::SecretText;

troupe_kernel::typed_id! {
    /// Which identity at an external provider.
    ExternalIdentityId
}

/// Answers the providers of this platform.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListProviders;

/// A provider, for the button of a login page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderInfo {
    /// Its name in addresses.
    pub name: String,
    /// Its name to show.
    pub title: String,
}

/// Sends a browser to a provider, to log in.
///
/// Fails with `auth.provider.unknown` (not found), `auth.provider.unavailable` (unavailable).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BeginSignIn {
    /// Name of the provider.
    pub provider: String,
    /// The organisation to work in; none takes the one joined first.
    pub organisation: Option<TenantId>,
}

/// Sends a browser to a provider, to link the identity there with the caller's account.
///
/// Fails like [`BeginSignIn`], and with `auth.password.missing` (invalid), `auth.password.wrong`
/// (forbidden), `auth.login.locked`, `auth.session.stale` (forbidden).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BeginLink {
    /// Name of the provider.
    pub provider: String,
    /// The user.
    pub user: UserId,
    /// Their password, if they have one.
    pub current_password: Option<SecretText>,
}

/// Where a browser goes, and what it keeps meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// The address at the provider.
    pub location: String,
    /// The cookie that binds the sign-in to this browser, as `Set-Cookie` has it.
    pub cookie: SecretText,
}

/// Takes what a browser brings back from a provider.
///
/// Fails with `auth.sign_in.refused` (unauthenticated) when it was not begun in this browser, is too
/// old or was finished, `auth.provider.denied` and `auth.provider.refused` (unauthenticated),
/// `auth.provider.unavailable`, `auth.identity.unproven` (forbidden), `auth.identity.unlinked` and
/// `auth.identity.taken` (conflict), and like `Login` and `Register`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FinishSignIn {
    /// Name of the provider.
    pub provider: String,
    /// The state that went along.
    pub state: SecretText,
    /// The code; none when the provider refused.
    pub code: Option<SecretText>,
    /// Why the provider refused.
    pub error: Option<String>,
    /// The provider that says it answers (RFC 9207).
    pub issuer: Option<String>,
    /// The `Cookie` field of the browser.
    pub cookies: Option<SecretText>,
    /// The device, as its `User-Agent` says.
    pub device: Option<String>,
}

/// What came of a way to a provider and back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arrival {
    /// The session has started.
    SignedIn(Tokens),
    /// The account has a second factor.
    Challenged(Challenge),
    /// The identity is linked.
    Linked(ExternalIdentity),
}

impl From<SignIn> for Arrival {
    fn from(outcome: SignIn) -> Self {
        match outcome {
            SignIn::Complete(tokens) => Self::SignedIn(tokens),
            SignIn::Challenged(challenge) => Self::Challenged(challenge),
        }
    }
}

/// Starts a session of somebody whom a provider has proven, or asks for the second step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartSession {
    /// The user.
    pub user: UserId,
    /// Their address, by which failures are counted.
    pub email: String,
    /// What was proven, for the audit.
    pub first_factor: String,
    /// The organisation to work in; none takes the one joined first.
    pub organisation: Option<TenantId>,
    /// The device, as its `User-Agent` says.
    pub device: Option<String>,
}

/// An identity at an external provider that is linked to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExternalIdentity {
    /// Which identity.
    pub id: ExternalIdentityId,
    /// Name of the provider.
    pub provider: String,
    /// The address the provider told.
    pub email: Option<String>,
    /// When it was linked.
    pub created_at: Timestamp,
    /// When it was used last.
    pub last_used_at: Option<Timestamp>,
}

/// Answers the identities of a user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListIdentities {
    /// The user.
    pub user: UserId,
}

/// Removes an identity of a user.
///
/// Fails with `auth.identity.not_found`, and `auth.identity.last` (conflict) when the account would
/// have no way to log in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnlinkIdentity {
    /// The user.
    pub user: UserId,
    /// The identity.
    pub identity: ExternalIdentityId,
}
