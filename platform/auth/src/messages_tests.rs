//! No secret appears in `Debug` or in what observation shows.

use troupe_actors::{Message, redacted, through_wire};
use troupe_kernel::ids::{SessionId, UserId};
use uuid::Uuid;

use super::*;
use crate::secret::SecretText;

const SECRET: &str = "mist-over-the-estuary-42";
const ADDRESS: &str = "ada@estuary.example";

fn secret() -> SecretText {
    SecretText::new(SECRET)
}

fn user() -> UserId {
    UserId::from(Uuid::from_u128(1))
}

/// Neither `Debug` nor the redacted form shows the secret, and the wire keeps it.
fn check<M: Message + std::fmt::Debug>(message: M) {
    let shown = format!("{message:?} {}", redacted(&message));
    assert!(!shown.contains(SECRET), "{shown}");
    let json = serde_json::to_string(&message).expect("messages are plain data");
    assert!(json.contains(SECRET), "a test of {} without a secret", message.kind());
    let back: M = through_wire(&message).expect("messages cross the wire");
    assert_eq!(serde_json::to_string(&back).expect("plain data"), json);
}

#[test]
fn no_account_message_shows_its_secrets() {
    let email = ADDRESS.to_owned();
    let name = "Ada".to_owned();
    check::<AccountMessage>(
        CompleteSetup {
            token: secret(),
            email: email.clone(),
            password: secret(),
            display_name: name.clone(),
            organisation: name.clone(),
        }
        .into(),
    );
    check::<AccountMessage>(
        Register {
            email: email.clone(),
            password: secret(),
            display_name: name.clone(),
            locale: None,
            organisation: None,
        }
        .into(),
    );
    check::<AccountMessage>(
        ChangePassword {
            user: user(),
            session: None,
            current_password: secret(),
            new_password: secret(),
        }
        .into(),
    );
    check::<AccountMessage>(
        ConfirmPasswordReset { token: secret(), new_password: secret() }.into(),
    );
    check::<AccountMessage>(
        AdminCreateUser { email, display_name: name, password: Some(secret()), organisation: None }
            .into(),
    );
}

#[test]
fn no_other_message_shows_its_secrets() {
    let email = ADDRESS.to_owned();
    let login = Login { email, password: secret(), organisation: None, device: None };
    check::<LoginMessage>(login.into());
    let proof = ProvePassword { user: user(), email: ADDRESS.to_owned(), password: secret() };
    check::<LoginMessage>(proof.into());
    let answer = AnswerChallenge { challenge: secret(), code: secret() };
    check::<LoginMessage>(answer.into());
    let proof = ProveCode { user: user(), email: ADDRESS.to_owned(), code: secret() };
    check::<LoginMessage>(proof.into());
    check::<SessionMessage>(Refresh { refresh_token: secret(), device: None }.into());
    check::<PasswordMessage>(HashPassword { password: secret() }.into());
    check::<PasswordMessage>(
        VerifyPassword { password: secret(), hash: Some("$argon2id$".to_owned()) }.into(),
    );
}

#[test]
fn no_message_about_the_second_factor_shows_its_secrets() {
    let (user, current_password) = (user(), Some(secret()));
    check::<SecondFactorMessage>(
        EnrolTotp { user, current_password: current_password.clone(), factor: factor() }.into(),
    );
    check::<SecondFactorMessage>(ConfirmTotp { user, code: secret() }.into());
    check::<SecondFactorMessage>(
        RenewRecoveryCodes { user, current_password: current_password.clone(), factor: factor() }
            .into(),
    );
    check::<SecondFactorMessage>(
        DisableTotp { user, current_password: current_password.clone(), factor: factor() }.into(),
    );
    check::<SecondFactorMessage>(ResetSecondFactor { user, current_password }.into());
}

fn factor() -> Option<FactorProof> {
    Some(FactorProof::Code(secret()))
}

fn answer() -> PasskeyAnswer {
    PasskeyAnswer { ceremony: secret(), credential: secret() }
}

#[test]
fn no_message_about_a_passkey_shows_its_secrets() {
    let (user, current_password) = (user(), Some(secret()));
    let passkey = PasskeyId::from(Uuid::from_u128(3));
    let factor = Some(FactorProof::Passkey(answer()));
    check::<PasskeyMessage>(
        BeginPasskey { user, current_password: current_password.clone(), factor: factor.clone() }
            .into(),
    );
    let name = "phone".to_owned();
    check::<PasskeyMessage>(
        AddPasskey { user, ceremony: secret(), credential: secret(), name }.into(),
    );
    check::<PasskeyMessage>(RemovePasskey { user, passkey, current_password, factor }.into());
    let login = FinishPasskeyLogin { answer: answer(), organisation: None, device: None };
    check::<PasskeyMessage>(login.clone().into());
    let start = StartPasskeySession { user, email: ADDRESS.to_owned(), login };
    check::<LoginMessage>(start.into());
    let second = AnswerWithPasskey { challenge: secret(), credential: secret() };
    check::<LoginMessage>(second.into());
}

#[test]
fn no_message_about_a_provider_shows_its_secrets() {
    let (provider, user) = ("example".to_owned(), user());
    let begin = BeginLink { provider: provider.clone(), user, current_password: Some(secret()) };
    check::<OidcMessage>(begin.into());
    check::<OidcMessage>(
        FinishSignIn {
            provider,
            state: secret(),
            code: Some(secret()),
            error: None,
            issuer: None,
            cookies: Some(secret()),
            device: None,
        }
        .into(),
    );
}

#[test]
fn addresses_and_hashes_are_masked_as_well() {
    let reset: AccountMessage = RequestPasswordReset { email: ADDRESS.to_owned() }.into();
    assert!(!redacted(&reset).to_string().contains(ADDRESS));
    let hash = "$argon2id$v=19$m=64,t=1,p=1$abc$def";
    let check: PasswordMessage =
        VerifyPassword { password: secret(), hash: Some(hash.to_owned()) }.into();
    assert!(!redacted(&check).to_string().contains(hash));
}

#[test]
fn no_answer_prints_its_tokens() {
    let tokens = Tokens {
        access_token: secret(),
        token_type: "Bearer".to_owned(),
        expires_in: 600,
        refresh_token: secret(),
        refresh_expires_at: troupe_kernel::Timestamp::EPOCH,
        session: SessionId::from(Uuid::from_u128(2)),
        user: user(),
        organisation: None,
    };
    assert!(!format!("{tokens:?}").contains(SECRET));
    let json = serde_json::to_value(&tokens).expect("plain data");
    assert_eq!(json["access_token"], SECRET, "its owner gets it");
    let link = SetupLink { token: secret(), expires_at: troupe_kernel::Timestamp::EPOCH };
    assert!(!format!("{link:?}").contains(SECRET));
}
