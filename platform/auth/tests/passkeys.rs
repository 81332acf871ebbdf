//! Passkeys: what they open, what they do not, and what a second copy of one leads to.

use std::time::Duration;

use serde_json::json;
use troupe_actors::{PermissionSet, Request, Scope};
use troupe_auth::SecretText;
use troupe_auth::messages::{
    AddPasskey, AddedPasskey, AnswerChallenge, AnswerWithPasskey, BeginPasskey, BeginPasskeyLogin,
    Challenge, FactorProof, FinishPasskeyLogin, ListPasskeys, Passkey, PasskeyAnswer, PasskeyId,
    PasskeyMessage, PasskeyQuestion, RemovePasskey, SignIn, Tokens,
};
use troupe_identity_messages::UserStatus;
use troupe_kernel::error::Failure;

use crate::app::App;
use crate::device::{Device, ORIGIN};
use crate::harness::{
    ADMINISTRATOR, House, MEMBER, OTHER_PASSWORD, PASSWORD, acting, code, from, with_config,
};

/// A platform with a domain, and the settings of its passkeys.
pub(crate) async fn with_domain(settings: &str, test: impl AsyncFn(&House)) {
    with_config(&format!("public_url = \"{ORIGIN}\"\n{settings}"), test).await;
}

pub(crate) fn by(tokens: &Tokens) -> Scope {
    acting(tokens, PermissionSet::new())
}

pub(crate) async fn ask<Q>(house: &House, scope: &Scope, request: Q) -> Result<Q::Reply, Failure>
where
    Q: Request<Protocol = PasskeyMessage>,
    Q::Reply: Send + 'static,
{
    house.auth.passkeys.ask(scope, request).await
}

pub(crate) fn begin(tokens: &Tokens, factor: Option<FactorProof>) -> BeginPasskey {
    let current_password = Some(SecretText::new(PASSWORD));
    BeginPasskey { user: tokens.user, current_password, factor }
}

pub(crate) fn add(tokens: &Tokens, question: &PasskeyQuestion, answer: SecretText) -> AddPasskey {
    AddPasskey {
        user: tokens.user,
        ceremony: question.ceremony.clone(),
        credential: answer,
        name: "a phone".to_owned(),
    }
}

/// Sets up a passkey of somebody who is signed in and has no other factor.
pub(crate) async fn set_up(house: &House, tokens: &Tokens, device: &mut Device) -> AddedPasskey {
    let question = ask(house, &by(tokens), begin(tokens, None)).await.expect("asks");
    let answer = device.create(&question.public_key);
    ask(house, &by(tokens), add(tokens, &question, answer)).await.expect("is kept")
}

/// A member with a passkey on a device.
pub(crate) async fn member_with_passkey(house: &House) -> (Device, Tokens, AddedPasskey) {
    house.member().await;
    let tokens = house.session().await;
    let mut device = Device::new();
    let added = set_up(house, &tokens, &mut device).await;
    (device, tokens, added)
}

pub(crate) async fn login_question(house: &House) -> PasskeyQuestion {
    ask(house, &from("192.0.2.1"), BeginPasskeyLogin).await.expect("asks anybody")
}

pub(crate) fn finish(question: &PasskeyQuestion, credential: SecretText) -> FinishPasskeyLogin {
    let answer = PasskeyAnswer { ceremony: question.ceremony.clone(), credential };
    FinishPasskeyLogin { answer, organisation: None, device: Some("a browser".to_owned()) }
}

/// A login with the passkey alone.
pub(crate) async fn log_in(house: &House, device: &mut Device) -> Result<Tokens, Failure> {
    let question = login_question(house).await;
    let answer = device.get(&question.public_key);
    ask(house, &from("192.0.2.1"), finish(&question, answer)).await
}

/// The first step with the password.
pub(crate) async fn challenge(house: &House, email: &str) -> Challenge {
    match house.sign_in(email, PASSWORD).await.expect("the password is right") {
        SignIn::Challenged(challenge) => challenge,
        SignIn::Complete(_) => panic!("nobody asked for a second step"),
    }
}

pub(crate) async fn answer(
    house: &House,
    challenge: &Challenge,
    credential: SecretText,
) -> Result<Tokens, Failure> {
    let answer = AnswerWithPasskey { challenge: challenge.challenge.clone(), credential };
    house.auth.login.ask(&from("192.0.2.1"), answer).await
}

async fn answer_code(
    house: &House,
    challenge: &Challenge,
    typed: &SecretText,
) -> Result<Tokens, Failure> {
    let challenge = challenge.challenge.clone();
    let answer = AnswerChallenge { challenge, code: typed.clone() };
    house.auth.login.ask(&from("192.0.2.1"), answer).await
}

pub(crate) async fn own(house: &House, tokens: &Tokens) -> Vec<Passkey> {
    let query = ListPasskeys { user: tokens.user };
    ask(house, &by(tokens), query).await.expect("listed")
}

pub(crate) fn remove(tokens: &Tokens, passkey: PasskeyId, factor: FactorProof) -> RemovePasskey {
    RemovePasskey {
        user: tokens.user,
        passkey,
        current_password: Some(SecretText::new(PASSWORD)),
        factor: Some(factor),
    }
}

pub(crate) fn recovery(added: &AddedPasskey, place: usize) -> FactorProof {
    FactorProof::Code(added.recovery_codes.as_ref().expect("the first factor")[place].clone())
}

#[tokio::test]
async fn a_passkey_alone_signs_in_and_no_second_step_follows() {
    with_domain("", async |house: &House| {
        let (mut device, tokens, added) = member_with_passkey(house).await;
        assert_eq!(added.recovery_codes.as_ref().map(Vec::len), Some(10));
        assert_eq!(own(house, &tokens).await, [added.passkey]);
        let opened = log_in(house, &mut device).await.expect("signs in");
        assert_eq!((opened.user, opened.organisation), (tokens.user, tokens.organisation));
        assert!(house.check(&opened.access_token).await.is_ok());
        assert_eq!(own(house, &tokens).await[0].last_used_at, Some(house.now()));
        let audit = house.audit().await;
        let started = audit.iter().rfind(|record| record["action"] == "auth.login");
        assert_eq!(started.expect("is there")["detail"]["factors"], json!(["passkey"]));
        assert!(audit.iter().any(|record| record["action"] == "auth.passkey.added"));
        assert!(house.event_kinds().await.contains(&"auth.passkey.added".to_owned()));
        let mails = house.mails().await;
        let told = mails.iter().find(|mail| mail["template"] == "auth.passkey_changed");
        let data = &told.expect("the owner is told")["data"];
        assert_eq!((&data["change"], &data["name"]), (&json!("added"), &json!("a phone")));
    })
    .await;
}

#[tokio::test]
async fn a_passkey_is_the_second_step_of_a_password() {
    with_domain("", async |house: &House| {
        let (mut device, _, added) = member_with_passkey(house).await;
        let begun = challenge(house, MEMBER).await;
        let question = begun.passkey.as_ref().expect("a question");
        assert_eq!(question["allowCredentials"].as_array().map(Vec::len), Some(1));
        answer(house, &begun, device.get(question)).await.expect("signs in");
        let audit = house.audit().await;
        let started = audit.iter().rfind(|record| record["action"] == "auth.login");
        assert_eq!(started.expect("is there")["detail"]["factors"], json!(["password", "passkey"]));
        let again = challenge(house, MEMBER).await;
        let codes = added.recovery_codes.expect("recovery codes");
        answer_code(house, &again, &codes[0]).await.expect("a recovery code takes its place");
        let again = challenge(house, MEMBER).await;
        let refused = answer_code(house, &again, &codes[0]).await;
        assert_eq!(code(refused), "auth.code.refused", "once");
        let guessed = answer_code(house, &again, &SecretText::new("123456")).await;
        assert_eq!(code(guessed), "auth.code.refused", "there is no app");
    })
    .await;
}

#[tokio::test]
async fn a_question_is_answered_once() {
    with_domain("", async |house: &House| {
        let (mut device, tokens, added) = member_with_passkey(house).await;
        // An uncounted passkey, so that it is the question that is spent and not the signature.
        device.counts = false;
        let question = login_question(house).await;
        let given = device.get(&question.public_key);
        let scope = from("192.0.2.1");
        ask(house, &scope, finish(&question, given.clone())).await.expect("signs in");
        let replayed = ask(house, &scope, finish(&question, given.clone())).await;
        assert_eq!(code(replayed), "auth.ceremony.refused");
        let other = login_question(house).await;
        let moved = ask(house, &scope, finish(&other, given)).await;
        assert_eq!(code(moved), "auth.passkey.refused", "it answers another question");
        let begun = challenge(house, MEMBER).await;
        let given = device.get(begun.passkey.as_ref().expect("a question"));
        answer(house, &begun, given.clone()).await.expect("signs in");
        assert_eq!(code(answer(house, &begun, given).await), "auth.challenge.refused");
        let asked = begin(&tokens, Some(recovery(&added, 0)));
        let question = ask(house, &by(&tokens), asked).await.expect("asks");
        let made = device.create(&question.public_key);
        ask(house, &by(&tokens), add(&tokens, &question, made)).await.expect("is kept");
        let again = device.create(&question.public_key);
        let again = ask(house, &by(&tokens), add(&tokens, &question, again)).await;
        assert_eq!(code(again), "auth.ceremony.ended");
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_comes_twice_at_once_opens_one_session() {
    with_domain("", async |house: &House| {
        let (mut device, _, _) = member_with_passkey(house).await;
        device.counts = false;
        let question = login_question(house).await;
        let request = finish(&question, device.get(&question.public_key));
        let scope = from("192.0.2.1");
        let one = ask(house, &scope, request.clone());
        let (one, two) = tokio::join!(one, ask(house, &scope, request));
        let mut codes = [code(one.map(|_| "in")), code(two.map(|_| "in"))];
        codes.sort();
        assert_eq!(codes, ["auth.ceremony.refused", "no failure: \"in\""]);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_comes_too_late_opens_nothing() {
    with_domain("", async |house: &House| {
        let (mut device, tokens, added) = member_with_passkey(house).await;
        let late = Duration::from_secs(5 * 60);
        let question = login_question(house).await;
        assert_eq!(question.expires_at, house.now().plus(late));
        let asked = begin(&tokens, Some(recovery(&added, 0)));
        let new = ask(house, &by(&tokens), asked).await.expect("asks");
        house.clock.advance(late);
        let given = device.get(&question.public_key);
        let refused = ask(house, &from("192.0.2.1"), finish(&question, given)).await;
        assert_eq!(code(refused), "auth.ceremony.refused");
        let made = device.create(&new.public_key);
        let refused = ask(house, &by(&tokens), add(&tokens, &new, made)).await;
        assert_eq!(code(refused), "auth.ceremony.ended");
    })
    .await;
}

#[tokio::test]
async fn pages_of_another_origin_and_passkeys_of_another_domain_are_refused() {
    let origins = "passkeys.domain = \"troupe.example\"\n\
        passkeys.origins = [\"https://troupe.example\", \"https://app.troupe.example:8443\"]";
    with_domain(origins, async |house: &House| {
        let (mut device, tokens, added) = member_with_passkey(house).await;
        for origin in [
            "https://evil.example",
            "https://eviltroupe.example",
            "https://other.troupe.example",
            "https://app.troupe.example",
            "http://troupe.example",
            "https://troupe.example:8443",
        ] {
            device.origin = origin.to_owned();
            assert_eq!(code(log_in(house, &mut device).await), "auth.passkey.refused", "{origin}");
            let begun = challenge(house, MEMBER).await;
            let given = device.get(begun.passkey.as_ref().expect("a question"));
            let refused = answer(house, &begun, given).await;
            assert_eq!(code(refused), "auth.passkey.refused", "{origin}");
            device.origin = ORIGIN.to_owned();
            log_in(house, &mut device).await.expect("forgets the failures");
        }
        device.origin = "https://app.troupe.example:8443".to_owned();
        log_in(house, &mut device).await.expect("the other page of the platform");
        device.domain = "evil.example".to_owned();
        assert_eq!(code(log_in(house, &mut device).await), "auth.passkey.refused");
        for (origin, domain) in [("https://evil.example", "troupe.example"), (ORIGIN, "evil")] {
            let mut device = Device::new();
            device.origin = origin.to_owned();
            device.domain = domain.to_owned();
            let asked = begin(&tokens, Some(recovery(&added, usize::from(domain == "evil"))));
            let question = ask(house, &by(&tokens), asked).await.expect("asks");
            let made = device.create(&question.public_key);
            let refused = ask(house, &by(&tokens), add(&tokens, &question, made)).await;
            assert_eq!(code(refused), "auth.passkey.unproven", "{origin} {domain}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_device_that_did_not_recognise_its_owner_proves_nothing() {
    with_domain("", async |house: &House| {
        let (mut device, tokens, added) = member_with_passkey(house).await;
        device.verifies = false;
        assert_eq!(code(log_in(house, &mut device).await), "auth.passkey.refused");
        let begun = challenge(house, MEMBER).await;
        let given = device.get(begun.passkey.as_ref().expect("a question"));
        assert_eq!(code(answer(house, &begun, given).await), "auth.passkey.refused");
        let asked = begin(&tokens, Some(recovery(&added, 0)));
        let question = ask(house, &by(&tokens), asked).await.expect("asks");
        let made = device.create(&question.public_key);
        let refused = ask(house, &by(&tokens), add(&tokens, &question, made)).await;
        assert_eq!(code(refused), "auth.passkey.unproven");
        device.verifies = true;
        let refused = log_in(house, &mut device).await;
        assert_eq!(code(refused), "auth.passkey.refused", "the newest was not kept");
    })
    .await;
}

#[tokio::test]
async fn a_passkey_that_exists_twice_opens_nothing_any_more_and_its_owner_is_told() {
    with_domain("", async |house: &House| {
        let (mut device, tokens, added) = member_with_passkey(house).await;
        log_in(house, &mut device).await.expect("counts one");
        let mut copy = device.clone();
        log_in(house, &mut device).await.expect("counts two");
        assert_eq!(
            code(log_in(house, &mut copy).await),
            "auth.passkey.refused",
            "counts two again"
        );
        let flagged = own(house, &tokens).await[0].copied_at;
        assert_eq!(flagged, Some(house.now()));
        let refused = log_in(house, &mut device).await;
        assert_eq!(code(refused), "auth.passkey.refused", "nobody knows which is the copy");
        let audit = house.audit().await;
        let noted = audit.iter().find(|record| record["action"] == "auth.passkey.copied");
        assert_eq!(noted.expect("is in the audit")["outcome"], "denied");
        let events = house.event_kinds().await;
        assert_eq!(events.iter().filter(|kind| *kind == "auth.passkey.copied").count(), 1);
        let mails = house.mails().await;
        assert!(mails.iter().any(|mail| mail["data"]["change"] == "copied"), "{mails:?}");
        let begun = challenge(house, MEMBER).await;
        assert_eq!(begun.passkey, None, "the password alone does not open it either");
        let codes = added.recovery_codes.expect("recovery codes");
        answer_code(house, &begun, &codes[0]).await.expect("signs in");
        let proof = FactorProof::Code(codes[1].clone());
        let gone = remove(&tokens, added.passkey.id, proof);
        ask(house, &by(&tokens), gone).await.expect("removed");
        assert!(house.log_in(MEMBER, PASSWORD).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_copy_is_found_in_the_second_step_as_well_and_uncounted_passkeys_go_on() {
    with_domain("", async |house: &House| {
        let (mut device, tokens, _) = member_with_passkey(house).await;
        device.counts = false;
        for _ in 0..3 {
            log_in(house, &mut device).await.expect("counts nothing");
        }
        device.counts = true;
        log_in(house, &mut device).await.expect("begins to count");
        let begun = challenge(house, MEMBER).await;
        let mut rewound = device.clone();
        rewound.counts = false;
        let given = rewound.get(begun.passkey.as_ref().expect("a question"));
        assert_eq!(code(answer(house, &begun, given).await), "auth.passkey.refused");
        assert!(own(house, &tokens).await[0].copied_at.is_some());
        let given = device.get(begun.passkey.as_ref().expect("a question"));
        assert_eq!(code(answer(house, &begun, given).await), "auth.passkey.refused");
    })
    .await;
}

#[tokio::test]
async fn a_removed_passkey_opens_nothing_and_the_last_one_takes_the_second_step_along() {
    with_domain("", async |house: &House| {
        let (mut device, tokens, added) = member_with_passkey(house).await;
        let begun = challenge(house, MEMBER).await;
        let question = login_question(house).await;
        let given = device.get(&question.public_key);
        let gone = remove(&tokens, added.passkey.id, recovery(&added, 0));
        ask(house, &by(&tokens), gone).await.expect("removed");
        let late = ask(house, &from("192.0.2.1"), finish(&question, given)).await;
        assert_eq!(code(late), "auth.passkey.refused", "asked before it was removed");
        assert_eq!(code(log_in(house, &mut device).await), "auth.passkey.refused");
        let given = device.get(begun.passkey.as_ref().expect("a question"));
        assert_eq!(code(answer(house, &begun, given).await), "auth.challenge.refused");
        house.log_in(MEMBER, PASSWORD).await.expect("one step");
        let audit = house.audit().await;
        assert!(audit.iter().any(|record| record["action"] == "auth.passkey.removed"));
        let next = set_up(house, &tokens, &mut device).await;
        let codes = next.recovery_codes.expect("a first factor again");
        assert_ne!(Some(codes), added.recovery_codes);
        log_in(house, &mut device).await.expect("signs in");
    })
    .await;
}

#[tokio::test]
async fn a_passkey_opens_its_own_account_alone() {
    with_domain("", async |house: &House| {
        let (mut mine, tokens, _) = member_with_passkey(house).await;
        let other = house.log_in(ADMINISTRATOR, PASSWORD).await.expect("logs in");
        let mut theirs = Device::new();
        set_up(house, &other, &mut theirs).await;
        let begun = challenge(house, MEMBER).await;
        let given = theirs.get(begun.passkey.as_ref().expect("a question"));
        assert_eq!(code(answer(house, &begun, given).await), "auth.passkey.refused");
        let mut lying = theirs.clone();
        lying.account = Some(tokens.user.uuid().as_bytes().to_vec());
        assert_eq!(code(log_in(house, &mut lying).await), "auth.passkey.refused");
        let opened = log_in(house, &mut theirs).await.expect("signs in");
        assert_eq!(opened.user, other.user);
        let stolen = log_in(house, &mut mine).await.expect("signs in");
        assert_eq!(stolen.user, tokens.user);
    })
    .await;
}

#[tokio::test]
async fn an_app_beside_a_passkey_does_not_ask_for_more() {
    with_domain("", async |house: &House| {
        house.member().await;
        let app = App::enrolled(house, MEMBER).await;
        let begun = challenge(house, MEMBER).await;
        assert_eq!(begun.passkey, None);
        house.clock.advance(crate::app::STEP);
        let typed = SecretText::new(app.code(house.now()));
        let tokens = answer_code(house, &begun, &typed).await.expect("signs in");
        let mut device = Device::new();
        let proof = FactorProof::Code(app.recovery_codes[0].clone());
        let question = ask(house, &by(&tokens), begin(&tokens, Some(proof))).await.expect("asks");
        let made = device.create(&question.public_key);
        let added = ask(house, &by(&tokens), add(&tokens, &question, made)).await.expect("is kept");
        assert_eq!(added.recovery_codes, None, "there were codes already");
        log_in(house, &mut device).await.expect("signs in");
        let begun = challenge(house, MEMBER).await;
        answer_code(house, &begun, &app.recovery_codes[1]).await.expect("the old codes are good");
    })
    .await;
}

#[tokio::test]
async fn guesses_at_the_password_do_not_lock_the_passkey_out() {
    with_domain("", async |house: &House| {
        let (mut device, _, _) = member_with_passkey(house).await;
        for _ in 0..6 {
            assert!(house.sign_in(MEMBER, OTHER_PASSWORD).await.is_err());
        }
        assert_eq!(code(house.sign_in(MEMBER, PASSWORD).await), "auth.login.locked");
        log_in(house, &mut device).await.expect("signs in");
    })
    .await;
}

#[tokio::test]
async fn refused_answers_to_a_challenge_count_like_wrong_codes() {
    with_domain("", async |house: &House| {
        let (mut device, _, _) = member_with_passkey(house).await;
        device.origin = "https://evil.example".to_owned();
        let begun = challenge(house, MEMBER).await;
        for _ in 0..6 {
            let given = device.get(begun.passkey.as_ref().expect("a question"));
            assert_eq!(code(answer(house, &begun, given).await), "auth.passkey.refused");
        }
        let given = device.get(begun.passkey.as_ref().expect("a question"));
        assert_eq!(code(answer(house, &begun, given).await), "auth.login.locked");
        let audit = house.audit().await;
        let denied = |action: &str| {
            let each = audit.iter().filter(|record| record["action"] == action);
            each.filter(|record| record["outcome"] == "denied").count()
        };
        assert_eq!(denied("auth.login.passkey"), 6);
        assert_eq!(code(log_in(house, &mut device).await), "auth.passkey.refused");
        let audit = house.audit().await;
        let last = audit.last().expect("records");
        assert_eq!((&last["action"], &last["outcome"]), (&json!("auth.login"), &json!("denied")));
    })
    .await;
}

#[tokio::test]
async fn somebody_who_is_barred_does_not_get_in_with_a_passkey() {
    with_domain("", async |house: &House| {
        let (mut device, tokens, _) = member_with_passkey(house).await;
        let set = |status: UserStatus| {
            house.identity.people().users.get_mut(&tokens.user).expect("is there").status = status;
        };
        set(UserStatus::Suspended);
        assert_eq!(code(log_in(house, &mut device).await), "auth.account.suspended");
        set(UserStatus::Active);
        log_in(house, &mut device).await.expect("signs in");
    })
    .await;
}
