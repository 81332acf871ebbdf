//! Set-up, registration, login and passwords.

use serde::{Deserialize, Serialize};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{SessionId, TenantId, UserId};
use utoipa::ToSchema;

use crate::secret::SecretText;

/// Answers whether the platform waits for its set-up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetSetupState;

/// Whether the platform waits for its set-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupState {
    /// Whether nobody has an account yet.
    pub needed: bool,
}

/// Makes the first administrator and the first organisation, with the token of the set-up link.
///
/// Fails with `auth.setup.token` (forbidden) for a token that is wrong, used or too old, and like
/// identity's `CreateUser` and `CreateOrganisation`; after a failure the token can be used again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CompleteSetup {
    /// Token of the link.
    pub token: SecretText,
    /// Address of the administrator.
    pub email: String,
    /// Password of the administrator.
    pub password: SecretText,
    /// Name to show.
    pub display_name: String,
    /// Name of the first organisation.
    pub organisation: String,
}

/// Makes an account and, if a name is given, an organisation.
///
/// Fails with `auth.registration.closed` (forbidden), `auth.setup.needed` (conflict) before the
/// set-up, `auth.password.weak`, and like identity's `CreateUser` and `CreateOrganisation`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Register {
    /// Address.
    pub email: String,
    /// Password.
    pub password: SecretText,
    /// Name to show.
    pub display_name: String,
    /// Language; none takes the configured default.
    pub locale: Option<String>,
    /// Name of an organisation to make; none makes none.
    pub organisation: Option<String>,
}

/// An account that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedAccount {
    /// The user.
    pub user: UserId,
    /// The organisation, if one was made.
    pub organisation: Option<TenantId>,
    /// Name of the organisation in addresses.
    pub slug: Option<String>,
    /// Whether a mail went out to prove the address.
    pub verification_sent: bool,
}

/// Starts a session with e-mail and password, or asks for the second step if the account has one.
///
/// Fails with `auth.login.refused` (unauthenticated) whether the address or the password is wrong,
/// `auth.login.locked` (rate limited) after too many failures, `auth.organisation.unavailable`
/// (forbidden) when the named organisation is not one of the user's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Login {
    /// Address.
    pub email: String,
    /// Password.
    pub password: SecretText,
    /// The organisation to work in; none takes the one joined first.
    pub organisation: Option<TenantId>,
    /// The device, as its `User-Agent` says.
    pub device: Option<String>,
}

/// Proves that whoever has a session also has the password.
///
/// Fails with `auth.password.wrong` (forbidden), which counts like a failed login, and with
/// `auth.login.locked`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProvePassword {
    /// The user.
    pub user: UserId,
    /// Their address, by which failures are counted.
    pub email: String,
    /// Their password.
    pub password: SecretText,
}

/// Changes a password with the current one and ends the user's other sessions.
///
/// Fails with `auth.password.wrong` (forbidden), `auth.password.weak`, `auth.login.locked`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangePassword {
    /// The user.
    pub user: UserId,
    /// The session that stays.
    pub session: Option<SessionId>,
    /// The password so far.
    pub current_password: SecretText,
    /// The password from now on.
    pub new_password: SecretText,
}

/// Mails a one-time link. The answer is the same whether there is such an account or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestPasswordReset {
    /// Address.
    pub email: String,
}

/// Sets a password with a mailed token, which also proves the address, and ends all sessions.
///
/// Fails with `auth.reset.token` (forbidden) for a token that is wrong, used or too old, and with
/// `auth.password.weak`, after which the token can be used again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfirmPasswordReset {
    /// Token of the link.
    pub token: SecretText,
    /// The password from now on.
    pub new_password: SecretText,
}

/// Ends the open reset links of a user: they went to an address that is the user's no more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiscardResets {
    /// The user.
    pub user: UserId,
}

/// Makes an account whose address counts as proven. Without a password its owner sets one by a
/// password reset.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdminCreateUser {
    /// Address.
    pub email: String,
    /// Name to show.
    pub display_name: String,
    /// Password; none leaves it to a reset.
    pub password: Option<SecretText>,
    /// Name of an organisation to make; none makes none.
    pub organisation: Option<String>,
}

/// Makes a new set-up link, also when there are accounts: for whoever can run commands on the
/// machine and lost the administrator's password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdminResetSetup;

/// Makes a set-up link if nobody has an account yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PrepareSetup;

/// A set-up link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupLink {
    /// The token; the link is the public address with `/setup#token=` before it.
    pub token: SecretText,
    /// When it ends.
    pub expires_at: Timestamp,
}
