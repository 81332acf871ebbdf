//! Passkeys: set up, list, rename, remove, and the proofs they give.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{TenantId, UserId};
use utoipa::ToSchema;

use crate::secret::SecretText;

troupe_kernel::typed_id! {
    /// Which passkey.
    PasskeyId
}

/// A question to a browser about a passkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasskeyQuestion {
    /// Comes back with the answer; good once.
    pub ceremony: SecretText,
    /// When an answer is too late.
    pub expires_at: Timestamp,
    /// The question, as the browser's `PublicKeyCredential.parseCreationOptionsFromJSON` or
    /// `parseRequestOptionsFromJSON` takes it.
    #[schema(value_type = Object)]
    pub public_key: Value,
}

/// What a browser answered to a [`PasskeyQuestion`] about a passkey that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasskeyAnswer {
    /// The question.
    pub ceremony: SecretText,
    /// The answer, the JSON that `PublicKeyCredential.toJSON` made.
    pub credential: SecretText,
}

/// The proof of a second factor, of somebody who has a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FactorProof {
    /// A code of the app, or a recovery code.
    Code(SecretText),
    /// The answer of a passkey to what [`BeginProof`] asked.
    Passkey(PasskeyAnswer),
}

/// Answers the passkeys of a user, the oldest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListPasskeys {
    /// The user.
    pub user: UserId,
}

/// A passkey as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Passkey {
    /// Which passkey.
    pub id: PasskeyId,
    /// The name its owner gave it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was used last.
    pub last_used_at: Option<Timestamp>,
    /// When it showed that there are two of it; it opens nothing since. Remove it and make another.
    pub copied_at: Option<Timestamp>,
}

/// Asks for a new passkey of a user.
///
/// Fails with `auth.passkey.unavailable` (conflict) where the platform has no domain,
/// `auth.passkey.limit` (conflict), and like [`super::EnrolTotp`] when the proof is missing or wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BeginPasskey {
    /// The user.
    pub user: UserId,
    /// Their password, if they have one.
    pub current_password: Option<SecretText>,
    /// Their second factor, if they have one.
    pub factor: Option<FactorProof>,
}

/// Keeps the passkey that a browser answered with. From then on each login with a password asks for
/// a second step.
///
/// Fails with `auth.ceremony.ended` (conflict) when the question was answered or is too old,
/// `auth.passkey.unproven` (invalid), `auth.passkey.name` (invalid), `auth.passkey.taken` and
/// `auth.passkey.limit` (conflict).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddPasskey {
    /// The user.
    pub user: UserId,
    /// The question.
    pub ceremony: SecretText,
    /// The answer, the JSON that `PublicKeyCredential.toJSON` made.
    pub credential: SecretText,
    /// A name to tell it from others.
    pub name: String,
}

/// A new passkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AddedPasskey {
    /// The passkey.
    pub passkey: Passkey,
    /// Recovery codes when the account had no second factor before; the only answer that shows them.
    pub recovery_codes: Option<Vec<SecretText>>,
}

/// Gives a passkey another name, or fails with `auth.passkey.not_found`, `auth.passkey.name`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RenamePasskey {
    /// The user.
    pub user: UserId,
    /// The passkey.
    pub passkey: PasskeyId,
    /// The new name.
    pub name: String,
}

/// Removes a passkey, and with the last second factor the recovery codes.
///
/// Fails with `auth.passkey.not_found`, `auth.passkey.last` (conflict) when the account would have
/// no way to log in, and like [`BeginPasskey`] when the proof is missing or wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemovePasskey {
    /// The user.
    pub user: UserId,
    /// The passkey.
    pub passkey: PasskeyId,
    /// Their password, if they have one.
    pub current_password: Option<SecretText>,
    /// Their second factor.
    pub factor: Option<FactorProof>,
}

/// Asks somebody who has a session for a proof with one of their passkeys, or fails with
/// `auth.passkey.none` (conflict).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BeginProof {
    /// The user.
    pub user: UserId,
}

/// Asks whoever it is for a login with a passkey.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BeginPasskeyLogin;

/// Starts a session with a passkey alone.
///
/// Fails with `auth.ceremony.refused` (unauthenticated) when the question was answered or is too
/// old, `auth.passkey.refused` (unauthenticated), `auth.account.suspended` (forbidden),
/// `auth.organisation.unavailable` (forbidden).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FinishPasskeyLogin {
    /// The question and the answer.
    pub answer: PasskeyAnswer,
    /// The organisation to work in; none takes the one joined first.
    pub organisation: Option<TenantId>,
    /// The device, as its `User-Agent` says.
    pub device: Option<String>,
}

/// The same when it is known whose passkey it is. Fails like [`FinishPasskeyLogin`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartPasskeySession {
    /// The user.
    pub user: UserId,
    /// Their address, by which the shard is found.
    pub email: String,
    /// The login.
    pub login: FinishPasskeyLogin,
}

/// Finishes a login with a passkey as its second step.
///
/// Fails like [`super::AnswerChallenge`], with `auth.passkey.refused` (unauthenticated) in place of
/// `auth.code.refused`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AnswerWithPasskey {
    /// What the first step answered.
    pub challenge: SecretText,
    /// The browser's answer, the JSON that `PublicKeyCredential.toJSON` made.
    pub credential: SecretText,
}
