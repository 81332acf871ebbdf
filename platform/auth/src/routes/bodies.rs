//! The JSON bodies that the routes of auth take.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::error::Failure;
use troupe_kernel::ids::TenantId;
use utoipa::ToSchema;

use crate::error;
use crate::messages::{FactorProof, PasskeyAnswer};
use crate::secret::SecretText;

/// Body of the set-up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetupBody {
    /// Token of the set-up link.
    pub(super) token: SecretText,
    /// Address of the administrator.
    pub(super) email: String,
    /// Password of the administrator, 12 to 128 characters.
    pub(super) password: SecretText,
    /// Name to show.
    pub(super) display_name: String,
    /// Name of the first organisation.
    pub(super) organisation: String,
}

/// Body of a registration.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterBody {
    /// Address.
    pub(super) email: String,
    /// Password, 12 to 128 characters.
    pub(super) password: SecretText,
    /// Name to show.
    pub(super) display_name: String,
    /// Language (BCP 47).
    #[serde(default)]
    pub(super) locale: Option<String>,
    /// Name of an organisation to make.
    #[serde(default)]
    pub(super) organisation: Option<String>,
}

/// Body of a login.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginBody {
    /// Address.
    pub(super) email: String,
    /// Password.
    pub(super) password: SecretText,
    /// The organisation to work in; the one joined first unless given.
    #[serde(default)]
    pub(super) organisation: Option<TenantId>,
}

/// Body of a refresh.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshBody {
    /// The refresh token.
    pub(super) refresh_token: SecretText,
}

/// Body of a switch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SwitchBody {
    /// The organisation; null leaves every organisation.
    pub(super) organisation: Option<TenantId>,
}

/// Body of a password change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordBody {
    /// The password so far.
    pub(super) current_password: SecretText,
    /// The password from now on, 12 to 128 characters.
    pub(super) new_password: SecretText,
}

/// Body of a request for a password reset.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResetBody {
    /// Address.
    pub(super) email: String,
}

/// Body that sets a password with a mailed token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmResetBody {
    /// Token of the mailed link.
    pub(super) token: SecretText,
    /// The password from now on, 12 to 128 characters.
    pub(super) new_password: SecretText,
}

/// Body of a new API key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateApiKeyBody {
    /// Name to show.
    pub(super) name: String,
    /// The most it may do; each must be one of yours.
    pub(super) permissions: Vec<String>,
    /// When it ends; never unless given.
    #[serde(default)]
    pub(super) expires_at: Option<Timestamp>,
}

/// Body that renames an API key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RenameApiKeyBody {
    /// The new name.
    pub(super) name: String,
}

/// Body that finishes a login.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerBody {
    /// What the login answered.
    pub(super) challenge: SecretText,
    /// A code of the authenticator app, or a recovery code.
    pub(super) code: SecretText,
}

/// Body with a code of an app.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeBody {
    /// The six digits that the app shows.
    pub(super) code: SecretText,
}

/// The proof that it is the person who asks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordProofBody {
    /// One's password, which whoever stole a token does not know. Whoever has none leaves it out and
    /// must have logged in within ten minutes.
    #[serde(default)]
    pub(super) current_password: Option<SecretText>,
}

/// The proof that it is the person who asks, who may have a second factor.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofBody {
    /// One's password; whoever has none leaves it out and must have logged in within ten minutes.
    #[serde(default)]
    current_password: Option<SecretText>,
    /// A code of the authenticator app, or a recovery code. An account with a second factor gives
    /// this or `passkey`.
    #[serde(default)]
    code: Option<SecretText>,
    /// The answer of a passkey to what `POST /v1/auth/passkeys/proof` asked.
    #[serde(default)]
    passkey: Option<PasskeyAnswerBody>,
}

impl ProofBody {
    /// Password and second factor.
    pub(super) fn proofs(self) -> Result<(Option<SecretText>, Option<FactorProof>), Failure> {
        let factor = match (self.code, self.passkey) {
            (Some(_), Some(_)) => return Err(error::factor_twice()),
            (Some(code), None) => Some(FactorProof::Code(code)),
            (None, answer) => answer.map(|answer| FactorProof::Passkey(answer.into())),
        };
        Ok((self.current_password, factor))
    }
}

/// What a browser answered about a passkey: what `PublicKeyCredential.toJSON()` makes of it.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = Object)]
pub(super) struct CredentialBody(Value);

impl From<CredentialBody> for SecretText {
    fn from(body: CredentialBody) -> Self {
        Self::new(body.0.to_string())
    }
}

impl fmt::Debug for CredentialBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// The answer of a passkey.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasskeyAnswerBody {
    /// The question it answers.
    ceremony: SecretText,
    /// The answer.
    credential: CredentialBody,
}

impl From<PasskeyAnswerBody> for PasskeyAnswer {
    fn from(body: PasskeyAnswerBody) -> Self {
        Self { ceremony: body.ceremony, credential: body.credential.into() }
    }
}

/// Body of a login with a passkey alone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasskeyLoginBody {
    /// The answer of the passkey.
    pub(super) answer: PasskeyAnswerBody,
    /// The organisation to work in; the one joined first unless given.
    #[serde(default)]
    pub(super) organisation: Option<TenantId>,
}

/// Body that finishes a login with a passkey.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerWithPasskeyBody {
    /// What the login answered.
    pub(super) challenge: SecretText,
    /// The answer of the passkey.
    pub(super) credential: CredentialBody,
}

/// Body of a new passkey.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddPasskeyBody {
    /// The question it answers.
    pub(super) ceremony: SecretText,
    /// The answer of the browser.
    pub(super) credential: CredentialBody,
    /// A name to tell it from others.
    pub(super) name: String,
}

/// Body that renames a passkey.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RenamePasskeyBody {
    /// The new name.
    pub(super) name: String,
}
