//! What setting up and removing passkeys takes, and what else touches them.

use std::time::Duration;

use serde_json::json;
use troupe_auth::SecretText;
use troupe_auth::messages::{
    AddPasskey, AdminResetSecondFactor, BeginPasskey, BeginPasskeyLogin, BeginProof,
    ChangePassword, DisableTotp, EndUser, EnrolTotp, FactorProof, GetSecondFactor, PasskeyAnswer,
    RenamePasskey, RenewRecoveryCodes, Sweep, UnlinkIdentity,
};
use troupe_auth::repository::identities::{self, IdentityRow};
use troupe_auth::repository::{ceremonies, credentials, passkeys};
use troupe_database::{DbTimestamp, DbUuid, UnitOfWork};

use crate::app::App;
use crate::device::Device;
use crate::harness::{
    ADMINISTRATOR, House, MEMBER, OTHER_PASSWORD, PASSWORD, code, column_id, from, with_config,
    with_house,
};
use crate::passkeys::{
    add, ask, begin, by, challenge, finish, log_in, login_question, member_with_passkey, own,
    recovery, remove, set_up, with_domain,
};

/// The proof of somebody who is signed in, with a passkey of theirs.
async fn proof(
    house: &House,
    tokens: &troupe_auth::messages::Tokens,
    device: &mut Device,
) -> FactorProof {
    let request = BeginProof { user: tokens.user };
    let question = ask(house, &by(tokens), request).await.expect("asks");
    let credential = device.get(&question.public_key);
    FactorProof::Passkey(PasskeyAnswer { ceremony: question.ceremony, credential })
}

#[tokio::test]
async fn setting_up_takes_the_password_and_the_factor_there_is() {
    with_domain("", async |house: &House| {
        house.member().await;
        let tokens = house.session().await;
        let with = |password: Option<&str>| BeginPasskey {
            current_password: password.map(SecretText::new),
            ..begin(&tokens, None)
        };
        let wrong = ask(house, &by(&tokens), with(Some(OTHER_PASSWORD))).await;
        assert_eq!(code(wrong), "auth.password.wrong");
        let silent = ask(house, &by(&tokens), with(None)).await;
        assert_eq!(code(silent), "auth.password.missing");
        let mut device = Device::new();
        let added = set_up(house, &tokens, &mut device).await;
        let without = ask(house, &by(&tokens), begin(&tokens, None)).await;
        assert_eq!(code(without), "auth.factor.missing");
        let guess = FactorProof::Code(SecretText::new("123456"));
        let wrong = ask(house, &by(&tokens), begin(&tokens, Some(guess))).await;
        assert_eq!(code(wrong), "auth.code.wrong");
        let given = recovery(&added, 0);
        ask(house, &by(&tokens), begin(&tokens, Some(given.clone()))).await.expect("asks");
        let again = ask(house, &by(&tokens), begin(&tokens, Some(given))).await;
        assert_eq!(code(again), "auth.code.wrong", "it was spent");
        let given = proof(house, &tokens, &mut device).await;
        let question = ask(house, &by(&tokens), begin(&tokens, Some(given.clone()))).await;
        let question = question.expect("asks");
        let again = ask(house, &by(&tokens), begin(&tokens, Some(given))).await;
        assert_eq!(code(again), "auth.ceremony.ended", "it was spent");
        let made = device.create(&question.public_key);
        let second = ask(house, &by(&tokens), add(&tokens, &question, made)).await.expect("kept");
        assert_eq!(second.recovery_codes, None);
        device.origin = "https://evil.example".to_owned();
        let given = proof(house, &tokens, &mut device).await;
        let refused = ask(house, &by(&tokens), begin(&tokens, Some(given))).await;
        assert_eq!(code(refused), "auth.passkey.wrong");
        let audit = house.audit().await;
        assert!(audit.iter().any(|one| one["action"] == "auth.passkey.proof"), "is in the audit");
    })
    .await;
}

#[tokio::test]
async fn an_app_of_an_account_with_a_passkey_takes_the_passkey() {
    with_domain("", async |house: &House| {
        let (mut device, tokens, _) = member_with_passkey(house).await;
        let enrol = |factor| EnrolTotp {
            user: tokens.user,
            current_password: Some(SecretText::new(PASSWORD)),
            factor,
        };
        let factors = &house.auth.second_factors;
        let refused = factors.ask(&by(&tokens), enrol(None)).await;
        assert_eq!(code(refused), "auth.factor.missing");
        let given = proof(house, &tokens, &mut device).await;
        let shown = factors.ask(&by(&tokens), enrol(Some(given))).await.expect("begins");
        let app = App::scanned(shown.uri.expose(), MEMBER);
        let codes = app.confirm(house, &tokens).await.expect("confirms").codes;
        let given = proof(house, &tokens, &mut device).await;
        let disable = DisableTotp {
            user: tokens.user,
            current_password: Some(SecretText::new(PASSWORD)),
            factor: Some(given),
        };
        factors.ask(&by(&tokens), disable).await.expect("switched off");
        let state = GetSecondFactor { user: tokens.user };
        let state = factors.ask(&by(&tokens), state).await.expect("can be asked");
        assert_eq!((state.totp_since, state.passkeys), (None, 1));
        assert_eq!(state.recovery_codes_left, 10, "there is a passkey to recover from");
        let renew = RenewRecoveryCodes {
            user: tokens.user,
            current_password: Some(SecretText::new(PASSWORD)),
            factor: Some(FactorProof::Code(codes[0].clone())),
        };
        assert_ne!(factors.ask(&by(&tokens), renew).await.expect("renewed").codes, codes);
    })
    .await;
}

#[tokio::test]
async fn a_question_is_good_for_one_purpose_and_one_person() {
    with_domain("", async |house: &House| {
        let (mut device, tokens, added) = member_with_passkey(house).await;
        let other = house.log_in(ADMINISTRATOR, PASSWORD).await.expect("logs in");
        let scope = from("192.0.2.1");
        let request = BeginProof { user: tokens.user };
        let question = ask(house, &by(&tokens), request).await.expect("asks");
        let given = device.get(&question.public_key);
        let refused = ask(house, &scope, finish(&question, given)).await;
        assert_eq!(code(refused), "auth.ceremony.refused", "a proof is no login");
        let question = login_question(house).await;
        let answer = PasskeyAnswer {
            credential: device.get(&question.public_key),
            ceremony: question.ceremony,
        };
        let given = Some(FactorProof::Passkey(answer));
        let refused = ask(house, &by(&tokens), begin(&tokens, given)).await;
        assert_eq!(code(refused), "auth.ceremony.ended", "a login is no proof");
        let question = ask(house, &by(&other), begin(&other, None)).await.expect("asks");
        let made = device.create(&question.public_key);
        let taken = AddPasskey { user: tokens.user, ..add(&other, &question, made.clone()) };
        assert_eq!(code(ask(house, &by(&tokens), taken).await), "auth.ceremony.ended");
        ask(house, &by(&other), add(&other, &question, made)).await.expect("theirs");
        let id = own(house, &other).await[0].id;
        let rename = RenamePasskey { user: tokens.user, passkey: id, name: "mine".to_owned() };
        assert_eq!(code(ask(house, &by(&tokens), rename).await), "auth.passkey.not_found");
        let gone = remove(&tokens, id, recovery(&added, 0));
        assert_eq!(code(ask(house, &by(&tokens), gone).await), "auth.passkey.not_found");
        assert_eq!(own(house, &other).await[0].name, "a phone");
    })
    .await;
}

#[tokio::test]
async fn passkeys_have_names_and_a_limit_and_are_known_once() {
    with_domain("passkeys.per_account_max = 2", async |house: &House| {
        let (mut device, tokens, added) = member_with_passkey(house).await;
        let asked = begin(&tokens, Some(recovery(&added, 0)));
        let first = ask(house, &by(&tokens), asked).await.expect("asks");
        let known = first.public_key["excludeCredentials"].as_array().expect("those there are");
        assert_eq!(known.len(), 1);
        let asked = begin(&tokens, Some(recovery(&added, 1)));
        let second = ask(house, &by(&tokens), asked).await.expect("asks");
        let made = device.create(&first.public_key);
        let nameless = AddPasskey { name: " \n".to_owned(), ..add(&tokens, &first, made.clone()) };
        assert_eq!(code(ask(house, &by(&tokens), nameless).await), "auth.passkey.name");
        let noise = add(&tokens, &first, SecretText::new("{}"));
        assert_eq!(code(ask(house, &by(&tokens), noise).await), "auth.passkey.malformed");
        house.clock.advance(Duration::from_secs(1));
        let kept = ask(house, &by(&tokens), add(&tokens, &first, made)).await.expect("is kept");
        let made = device.create(&second.public_key);
        let third = ask(house, &by(&tokens), add(&tokens, &second, made)).await;
        assert_eq!(code(third), "auth.passkey.limit", "two questions at once make two");
        let asked = begin(&tokens, Some(recovery(&added, 2)));
        assert_eq!(code(ask(house, &by(&tokens), asked).await), "auth.passkey.limit");
        let rename = RenamePasskey {
            user: tokens.user,
            passkey: kept.passkey.id,
            name: "  the key on my ring ".to_owned(),
        };
        let renamed = ask(house, &by(&tokens), rename).await.expect("renamed");
        assert_eq!(renamed.name, "the key on my ring");
        let names: Vec<_> = own(house, &tokens).await.into_iter().map(|one| one.name).collect();
        assert_eq!(names, ["a phone", "the key on my ring"]);
        let audit = house.audit().await;
        assert!(audit.iter().any(|record| record["action"] == "auth.passkey.rename"));
    })
    .await;
}

#[tokio::test]
async fn the_last_way_to_log_in_stays() {
    with_domain("", async |house: &House| {
        let (mut device, tokens, added) = member_with_passkey(house).await;
        let user = tokens.user;
        let forget =
            async move |uow: &mut UnitOfWork| Ok(credentials::remove(uow.conn(), user).await?);
        house.db.transaction(&from("192.0.2.1"), forget).await.expect("has no password");
        let fresh = log_in(house, &mut device).await.expect("signs in");
        let mut gone = remove(&fresh, added.passkey.id, recovery(&added, 0));
        gone.current_password = None;
        assert_eq!(code(ask(house, &by(&fresh), gone.clone()).await), "auth.passkey.last");
        house.clock.advance(Duration::from_secs(11 * 60));
        assert_eq!(code(ask(house, &by(&fresh), gone).await), "auth.session.stale");
        log_in(house, &mut device).await.expect("signs in");
    })
    .await;
}

#[tokio::test]
async fn a_passkey_and_an_external_identity_are_ways_in_for_each_other() {
    with_domain("", async |house: &House| {
        let (mut device, tokens, added) = member_with_passkey(house).await;
        let (user, id, now) = (tokens.user, added.passkey.id, house.now());
        let identity = IdentityRow {
            id: column_id(),
            user_id: DbUuid::of(user),
            issuer: "https://accounts.example".to_owned(),
            subject: "ben".to_owned(),
            provider: "example".to_owned(),
            email: None,
            created_at: DbTimestamp(now),
            last_used_at: None,
        };
        let unlink = UnlinkIdentity { user, identity: identity.id.to() };
        let link = async move |uow: &mut UnitOfWork| {
            credentials::remove(uow.conn(), user).await?;
            Ok(identities::insert(uow.conn(), &identity).await?)
        };
        let scope = from("192.0.2.1");
        house.db.transaction(&scope, link.clone()).await.expect("linked");
        house.auth.accounts.ask(&by(&tokens), unlink.clone()).await.expect("there is a passkey");
        house.db.transaction(&scope, link).await.expect("linked again");
        let fresh = log_in(house, &mut device).await.expect("signs in");
        let bar = async move |uow: &mut UnitOfWork| {
            let now = uow.now();
            Ok(passkeys::bar(uow.conn(), id, now).await?)
        };
        house.db.transaction(&scope, bar).await.expect("barred");
        let refused = house.auth.accounts.ask(&by(&tokens), unlink).await;
        assert_eq!(code(refused), "auth.identity.last", "a barred passkey opens nothing");
        let mut gone = remove(&fresh, id, recovery(&added, 0));
        gone.current_password = None;
        ask(house, &by(&fresh), gone).await.expect("there is an identity");
    })
    .await;
}

#[tokio::test]
async fn an_administrator_resets_passkeys_too() {
    with_domain("", async |house: &House| {
        let (mut device, tokens, _) = member_with_passkey(house).await;
        let reset = AdminResetSecondFactor { user: tokens.user };
        house.auth.second_factors.ask(&from("192.0.2.1"), reset).await.expect("reset");
        assert_eq!(code(log_in(house, &mut device).await), "auth.passkey.refused");
        house.log_in(MEMBER, PASSWORD).await.expect("one step");
        assert!(house.event_kinds().await.contains(&"auth.second_factor.disabled".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_changed_password_ends_questions_that_were_asked_with_it() {
    with_domain("", async |house: &House| {
        house.member().await;
        let tokens = house.session().await;
        let question = ask(house, &by(&tokens), begin(&tokens, None)).await.expect("asks");
        let change = ChangePassword {
            user: tokens.user,
            session: Some(tokens.session),
            current_password: SecretText::new(PASSWORD),
            new_password: SecretText::new(OTHER_PASSWORD),
        };
        house.auth.accounts.ask(&by(&tokens), change).await.expect("changed");
        let made = Device::new().create(&question.public_key);
        let late = ask(house, &by(&tokens), add(&tokens, &question, made)).await;
        assert_eq!(code(late), "auth.ceremony.ended");
    })
    .await;
}

#[tokio::test]
async fn nothing_is_left_of_somebody_who_is_erased_or_of_questions_past_their_time() {
    with_domain("", async |house: &House| {
        let (mut device, tokens, _) = member_with_passkey(house).await;
        let question = login_question(house).await;
        house.clock.advance(Duration::from_secs(5 * 60 + 1));
        house.auth.sessions.ask(&from("192.0.2.1"), Sweep).await.expect("sweeps");
        let hash = troupe_auth::secret::digest(question.ceremony.expose());
        let long_ago = troupe_kernel::Timestamp::EPOCH;
        let purpose = ceremonies::Purpose::Login;
        let found = house
            .db
            .read(async move |conn| {
                Ok(ceremonies::find_usable(conn, purpose, &hash, long_ago).await?)
            })
            .await;
        assert_eq!(found.expect("can be read"), None);
        let end = EndUser { user: tokens.user, erase: true };
        house.auth.sessions.ask(&from("192.0.2.1"), end).await.expect("erased");
        assert!(own(house, &tokens).await.is_empty());
        assert_eq!(code(log_in(house, &mut device).await), "auth.passkey.refused");
    })
    .await;
}

#[tokio::test]
async fn a_platform_without_a_domain_says_so_and_logs_in_without_passkeys() {
    with_config("public_url = \"https://192.0.2.1\"", async |house: &House| {
        house.member().await;
        let tokens = house.session().await;
        let asked = ask(house, &by(&tokens), begin(&tokens, None)).await;
        assert_eq!(code(asked), "auth.passkey.unavailable");
        let asked = ask(house, &from("192.0.2.1"), BeginPasskeyLogin).await;
        assert_eq!(code(asked), "auth.passkey.unavailable");
        let asked = ask(house, &by(&tokens), BeginProof { user: tokens.user }).await;
        assert_eq!(code(asked), "auth.passkey.none");
        assert!(own(house, &tokens).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_loopback_address_is_known_to_browsers_as_localhost() {
    with_house(async |house: &House| {
        let question = login_question(house).await;
        assert_eq!(question.public_key["rpId"], json!("localhost"));
    })
    .await;
}

#[tokio::test]
async fn a_login_that_waits_ends_with_the_passkey_that_could_answer() {
    with_domain("", async |house: &House| {
        let (_, tokens, added) = member_with_passkey(house).await;
        let begun = challenge(house, MEMBER).await;
        let gone = remove(&tokens, added.passkey.id, recovery(&added, 0));
        ask(house, &by(&tokens), gone).await.expect("removed");
        let codes = added.recovery_codes.expect("codes");
        let answer = troupe_auth::messages::AnswerChallenge {
            challenge: begun.challenge,
            code: codes[1].clone(),
        };
        let refused = house.auth.login.ask(&from("192.0.2.1"), answer).await;
        assert_eq!(code(refused), "auth.challenge.refused");
    })
    .await;
}
