//! The second step of a login, and the authenticator apps and recovery codes that pass it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::UserId;
use utoipa::ToSchema;

use super::{FactorProof, Tokens};
use crate::secret::SecretText;

/// What the first step of a login answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignIn {
    /// The session has started.
    Complete(Tokens),
    /// The account has a second factor, which must be proven first.
    Challenged(Challenge),
}

/// A login that waits for its second step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Challenge {
    /// Comes back with a code or with the answer of a passkey; good once.
    pub challenge: SecretText,
    /// When it ends.
    pub expires_at: Timestamp,
    /// What the browser is asked, as `PublicKeyCredential.parseRequestOptionsFromJSON` takes it, when
    /// the account has a passkey.
    #[schema(value_type = Option<Object>)]
    pub passkey: Option<Value>,
}

/// Finishes a login with a code of the app or a recovery code.
///
/// Fails with `auth.challenge.refused` (unauthenticated) for a challenge that is wrong, used or too
/// old, `auth.code.refused` (unauthenticated), which counts like a failed login, and like
/// [`super::Login`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AnswerChallenge {
    /// What the first step answered.
    pub challenge: SecretText,
    /// A code of the app, or a recovery code.
    pub code: SecretText,
}

/// Proves that whoever has a session also has the second factor; the code is spent.
///
/// Fails with `auth.code.wrong` (forbidden), which counts like a failed login, and with
/// `auth.login.locked`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProveCode {
    /// The user.
    pub user: UserId,
    /// Their address, by which failures are counted.
    pub email: String,
    /// A code of the app, or a recovery code.
    pub code: SecretText,
}

/// Answers whether a user has a second factor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetSecondFactor {
    /// The user.
    pub user: UserId,
}

/// Whether a user has a second factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondFactor {
    /// Since when an authenticator app is asked for; none while it is not.
    pub totp_since: Option<Timestamp>,
    /// Passkeys there are.
    pub passkeys: u32,
    /// Recovery codes that are left.
    pub recovery_codes_left: u32,
}

/// Makes a secret for an authenticator app. It counts from when a code confirms it.
///
/// Fails with `auth.password.wrong` (forbidden), `auth.login.locked`, `auth.password.missing`
/// (invalid) when the account has a password and none is given, `auth.session.stale` (forbidden)
/// when it has none and the login was long ago, `auth.factor.missing` (invalid), `auth.code.wrong` or
/// `auth.passkey.wrong` (forbidden) when it has a second factor already, `auth.totp.enrolled`
/// (conflict) when that is an app.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrolTotp {
    /// The user.
    pub user: UserId,
    /// Their password, which whoever stole a token does not know; none if they have none.
    pub current_password: Option<SecretText>,
    /// Their second factor, if they have one.
    pub factor: Option<FactorProof>,
}

/// A secret for an authenticator app; the only answer that shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TotpEnrolment {
    /// The secret as an app scans it: an `otpauth` address, to be shown as a QR code.
    pub uri: SecretText,
    /// The secret as people type it: base32.
    pub secret: SecretText,
    /// When it can be confirmed no more.
    pub expires_at: Timestamp,
}

/// Confirms the secret of an app with a code. From then on each login asks for one.
///
/// Fails with `auth.code.wrong` (forbidden), `auth.totp.not_begun` (conflict) when there is no
/// secret to confirm or it is too old.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfirmTotp {
    /// The user.
    pub user: UserId,
    /// A code of the app.
    pub code: SecretText,
}

/// Recovery codes, each good once; the only answer that shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryCodes {
    /// The codes.
    pub codes: Vec<SecretText>,
}

/// Makes new recovery codes; the old ones are good no more.
///
/// Fails like [`EnrolTotp`], and with `auth.totp.not_enrolled` (conflict) when there is no second
/// factor to recover from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RenewRecoveryCodes {
    /// The user.
    pub user: UserId,
    /// Their password, if they have one.
    pub current_password: Option<SecretText>,
    /// Their second factor.
    pub factor: Option<FactorProof>,
}

/// Removes the app, and the recovery codes unless there is a passkey. Fails like
/// [`RenewRecoveryCodes`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DisableTotp {
    /// The user.
    pub user: UserId,
    /// Their password, if they have one.
    pub current_password: Option<SecretText>,
    /// Their second factor.
    pub factor: Option<FactorProof>,
}

/// Removes app, passkeys and recovery codes of somebody who lost them.
///
/// Fails like [`EnrolTotp`], and with `auth.totp.not_enrolled` (conflict), `identity.user.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResetSecondFactor {
    /// Who lost it.
    pub user: UserId,
    /// The password of the administrator who calls, if they have one.
    pub current_password: Option<SecretText>,
}

/// Removes the second factor of an account, from the command line. Fails like [`ResetSecondFactor`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdminResetSecondFactor {
    /// Who lost it.
    pub user: UserId,
}
