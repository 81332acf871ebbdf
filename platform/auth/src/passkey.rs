//! Passkeys (WebAuthn Level 3): what a browser is asked, and what its answer proves.
//!
//! Every passkey is kept by its authenticator with the account (a discoverable credential), and every
//! answer says that the authenticator has recognised its owner, so that one passkey alone signs in.
//! The state of a question stays on the server; the caller takes care that it is answered once. No
//! I/O here.

use serde_json::{Value, json};
use uuid::Uuid;
use webauthn_rs::prelude::{
    Credential, CredentialID, DiscoverableAuthentication, Passkey, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, Webauthn, WebauthnBuilder, WebauthnError,
};

use crate::config::RelyingPartySettings;

/// This platform, as browsers and authenticators know it.
#[derive(Debug)]
pub struct RelyingParty {
    webauthn: Webauthn,
}

/// Who gets a passkey.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The account, which the authenticator keeps with the passkey.
    pub id: Uuid,
    /// Its address, by which people tell their accounts apart.
    pub email: &'a str,
    /// Its name to show.
    pub display_name: &'a str,
}

/// A question to a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What the browser gets, as `PublicKeyCredential.parse…OptionsFromJSON` take it.
    pub options: Value,
    /// What the answer is compared with; stays on the server.
    pub state: String,
}

/// A passkey that was just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPasskey {
    /// How its authenticator calls it.
    pub credential_id: Vec<u8>,
    /// Its public key and properties, to be stored.
    pub credential: String,
    /// Signatures it counts so far; stays 0 where none are counted.
    pub counter: u32,
}

/// What a passkey has proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Its public key and properties, to be stored in place of those before.
    pub credential: String,
    /// Signatures it counts now; 0 where none are counted.
    pub counter: u32,
}

/// An answer of a browser to a question about a passkey that is there.
#[derive(Debug, Clone)]
pub struct Assertion(PublicKeyCredential);

impl Assertion {
    /// Reads what `PublicKeyCredential.toJSON` made.
    ///
    /// # Errors
    /// [`PasskeyFault::Malformed`].
    pub fn read(json: &str) -> Result<Self, PasskeyFault> {
        serde_json::from_str(json).map(Self).map_err(PasskeyFault::Malformed)
    }

    /// How the authenticator calls the passkey.
    #[must_use]
    pub fn credential_id(&self) -> &[u8] {
        self.0.get_credential_id()
    }

    /// The account that the authenticator keeps with the passkey, if it tells one.
    #[must_use]
    pub fn account(&self) -> Option<&[u8]> {
        self.0.get_user_unique_id()
    }
}

/// Why an answer is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyFault {
    /// It is no answer of a browser.
    #[error("the answer is not what a browser gives")]
    Malformed(#[source] serde_json::Error),
    /// It does not prove what was asked.
    #[error("the answer does not prove what was asked")]
    Refused(#[source] WebauthnError),
    /// It is signed, and counts no more signatures than one before: the key is in two places.
    #[error("the passkey counts no more signatures than before")]
    Copied,
    /// What was stored cannot be read.
    #[error("what was stored about a passkey cannot be read")]
    Unreadable(#[source] serde_json::Error),
    /// No question could be made.
    #[error("no question about a passkey can be made")]
    Unasked(#[source] WebauthnError),
}

impl RelyingParty {
    /// The platform under its domain and origins.
    ///
    /// # Errors
    /// When the first origin is not below the domain.
    pub fn new(settings: &RelyingPartySettings) -> Result<Self, WebauthnError> {
        let mut origins = settings.origins.iter();
        let first = origins.next().ok_or(WebauthnError::Configuration)?;
        let mut builder = WebauthnBuilder::new(&settings.domain, first)?
            .rp_name(&settings.name)
            .timeout(settings.ceremony);
        for origin in origins {
            builder = builder.append_allowed_origin(origin);
        }
        Ok(Self { webauthn: builder.build()? })
    }

    /// Asks for a new passkey of an account that has `known` already.
    ///
    /// # Errors
    /// [`PasskeyFault::Unasked`].
    pub fn ask_for_new(
        &self,
        owner: Owner<'_>,
        known: Vec<CredentialID>,
    ) -> Result<Question, PasskeyFault> {
        let (options, state) = self
            .webauthn
            .start_passkey_registration(owner.id, owner.email, owner.display_name, Some(known))
            .map_err(PasskeyFault::Unasked)?;
        let mut question = question(&options, &state)?;
        // The library leaves it to the authenticator whether it keeps the account.
        let selection = &mut question.options["authenticatorSelection"];
        selection["residentKey"] = json!("required");
        selection["requireResidentKey"] = json!(true);
        Ok(question)
    }

    /// The new passkey that a browser answers with (`PublicKeyCredential.toJSON`).
    ///
    /// # Errors
    /// [`PasskeyFault::Malformed`], [`PasskeyFault::Refused`], [`PasskeyFault::Unreadable`].
    pub fn read_new(&self, state: &str, answer: &str) -> Result<NewPasskey, PasskeyFault> {
        let state: PasskeyRegistration =
            serde_json::from_str(state).map_err(PasskeyFault::Unreadable)?;
        let answer: RegisterPublicKeyCredential =
            serde_json::from_str(answer).map_err(PasskeyFault::Malformed)?;
        let passkey = self
            .webauthn
            .finish_passkey_registration(&answer, &state)
            .map_err(PasskeyFault::Refused)?;
        let credential = stored(&passkey)?;
        let credential_id = passkey.cred_id().clone();
        Ok(NewPasskey { credential_id, credential, counter: Credential::from(passkey).counter })
    }

    /// Asks for a proof with one of these passkeys, or with any of this platform.
    ///
    /// # Errors
    /// [`PasskeyFault::Unasked`].
    pub fn ask_for_proof(&self, known: Option<&[CredentialID]>) -> Result<Question, PasskeyFault> {
        let (options, state) =
            self.webauthn.start_discoverable_authentication().map_err(PasskeyFault::Unasked)?;
        let mut question = question(&options, &state)?;
        if let Some(known) = known {
            question.options["allowCredentials"] =
                known.iter().map(|id| json!({ "type": "public-key", "id": text_of(id) })).collect();
        }
        Ok(question)
    }

    /// What an answer proves about the stored passkey `credential`.
    ///
    /// # Errors
    /// [`PasskeyFault::Refused`], [`PasskeyFault::Copied`], [`PasskeyFault::Unreadable`].
    pub fn read_proof(
        &self,
        state: &str,
        answer: &Assertion,
        credential: &str,
    ) -> Result<Proven, PasskeyFault> {
        let state: DiscoverableAuthentication =
            serde_json::from_str(state).map_err(PasskeyFault::Unreadable)?;
        let mut passkey: Passkey =
            serde_json::from_str(credential).map_err(PasskeyFault::Unreadable)?;
        let result =
            self.webauthn.finish_discoverable_authentication_v2(&answer.0, state, &passkey);
        let result = result.map_err(|error| match error {
            WebauthnError::CredentialPossibleCompromise => PasskeyFault::Copied,
            other => PasskeyFault::Refused(other),
        })?;
        passkey.update_credential(&result);
        Ok(Proven { credential: stored(&passkey)?, counter: result.counter() })
    }
}

fn question(
    options: &impl serde::Serialize,
    state: &impl serde::Serialize,
) -> Result<Question, PasskeyFault> {
    let mut options = serde_json::to_value(options).map_err(PasskeyFault::Unreadable)?;
    let state = serde_json::to_string(state).map_err(PasskeyFault::Unreadable)?;
    Ok(Question { options: options["publicKey"].take(), state })
}

fn stored(passkey: &Passkey) -> Result<String, PasskeyFault> {
    serde_json::to_string(passkey).map_err(PasskeyFault::Unreadable)
}

fn text_of(id: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id)
}
