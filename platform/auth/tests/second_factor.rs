//! Authenticator apps and recovery codes: what they protect, and what guessing at them costs.

use std::time::Duration;

use tokio::task::JoinSet;
use troupe_actors::{PermissionSet, PrincipalKind, Scope};
use troupe_auth::SecretText;
use troupe_auth::messages::{
    AdminResetSecondFactor, AnswerChallenge, ChangePassword, DisableTotp, EnrolTotp, FactorProof,
    GetSecondFactor, RenewRecoveryCodes, ResetSecondFactor, SecondFactor, SecondFactorMessage,
    SignIn, Sweep, Tokens,
};
use troupe_auth::repository::{recovery_codes, totp};
use troupe_identity_messages::{self as identity, OrganisationStatus, UserStatus};
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::ids::UserId;

use crate::app::{App, STEP};
use crate::harness::{
    ADMINISTRATOR, House, MEMBER, OTHER_PASSWORD, PASSWORD, acting, code, from, login, with_config,
    with_house,
};

fn by(tokens: &Tokens) -> Scope {
    acting(tokens, PermissionSet::new())
}

async fn ask<Q>(house: &House, scope: &Scope, request: Q) -> Result<Q::Reply, Failure>
where
    Q: troupe_actors::Request<Protocol = SecondFactorMessage>,
    Q::Reply: Send + 'static,
{
    house.auth.second_factors.ask(scope, request).await
}

async fn state(house: &House, user: UserId) -> SecondFactor {
    let query = GetSecondFactor { user };
    ask(house, &from("192.0.2.1"), query).await.expect("can be asked")
}

/// A session of somebody with an app, and a code that was not used.
async fn signed_in(house: &House, app: &App) -> Tokens {
    let challenge = app.challenge(house).await;
    house.clock.advance(STEP);
    app.answer(house, &challenge, &app.code(house.now())).await.expect("logs in")
}

fn disable(tokens: &Tokens, password: &str, code: &str) -> DisableTotp {
    DisableTotp {
        user: tokens.user,
        current_password: Some(SecretText::new(password)),
        factor: Some(FactorProof::Code(SecretText::new(code))),
    }
}

#[tokio::test]
async fn a_confirmed_app_makes_each_login_take_two_steps() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let app = App::enrolled(house, MEMBER).await;
        assert_eq!(state(house, member.user).await.totp_since, Some(house.now()));
        let tokens = signed_in(house, &app).await;
        assert_eq!((tokens.user, tokens.organisation), (member.user, member.organisation));
        assert!(house.check(&tokens.access_token).await.is_ok());
        let audit = house.audit().await;
        let started = audit.iter().rfind(|record| record["action"] == "auth.login");
        let factors = &started.expect("is in the audit")["detail"]["factors"];
        assert_eq!(*factors, serde_json::json!(["password", "totp"]));
        assert!(audit.iter().any(|record| record["action"] == "auth.login.challenge"));
        let kinds = house.event_kinds().await;
        assert!(kinds.contains(&"auth.second_factor.enabled".to_owned()));
        let mails = house.mails().await;
        let told = mails.iter().filter(|mail| mail["template"] == "auth.second_factor_changed");
        let told: Vec<_> = told.map(|mail| mail["data"]["change"].clone()).collect();
        assert_eq!(told, ["enabled"]);
    })
    .await;
}

#[tokio::test]
async fn an_app_that_nobody_confirmed_asks_for_nothing_and_ends() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let (first, _) = App::begun(house, MEMBER).await;
        let (second, tokens) = App::begun(house, MEMBER).await;
        assert_eq!(code(first.confirm(house, &tokens).await), "auth.code.wrong", "replaced");
        assert!(house.log_in(MEMBER, PASSWORD).await.is_ok());
        house.clock.advance(Duration::from_secs(15 * 60));
        assert_eq!(code(second.confirm(house, &tokens).await), "auth.totp.not_begun");
        house.clock.advance(Duration::from_secs(1));
        house.auth.sessions.ask(&from("192.0.2.1"), Sweep).await.expect("sweeps");
        let row = house.db.read(async |conn| Ok(totp::find(conn, member.user).await?)).await;
        assert_eq!(row.expect("can be read"), None);
    })
    .await;
}

#[tokio::test]
async fn setting_up_asks_for_the_password_and_never_replaces_an_app_that_counts() {
    with_house(async |house: &House| {
        house.member().await;
        let tokens = house.session().await;
        let begin = |password: &str| EnrolTotp {
            user: tokens.user,
            current_password: Some(SecretText::new(password)),
            factor: None,
        };
        let refused = ask(house, &by(&tokens), begin(OTHER_PASSWORD)).await;
        assert_eq!(code(refused), "auth.password.wrong");
        let silent = EnrolTotp { user: tokens.user, current_password: None, factor: None };
        let refused = ask(house, &by(&tokens), silent).await;
        assert_eq!(code(refused), "auth.password.missing");
        let mut by_key = by(&tokens);
        let principal = by_key.origin_mut().principal.as_mut().expect("somebody");
        std::sync::Arc::make_mut(principal).kind = PrincipalKind::Service;
        let refused = ask(house, &by_key, begin(PASSWORD)).await;
        assert_eq!(code(refused), "auth.principal.not_a_user");
        let app = App::enrolled(house, MEMBER).await;
        let refused = ask(house, &by(&tokens), begin(PASSWORD)).await;
        assert_eq!(code(refused), "auth.totp.enrolled");
        assert_eq!(code(app.confirm(house, &tokens).await), "auth.totp.not_begun", "once");
        signed_in(house, &app).await;
    })
    .await;
}

#[tokio::test]
async fn a_code_and_a_challenge_are_good_once() {
    with_house(async |house: &House| {
        house.member().await;
        let app = App::enrolled(house, MEMBER).await;
        let challenge = app.challenge(house).await;
        let confirming = app.code(house.now());
        let refused = app.answer(house, &challenge, &confirming).await;
        assert_eq!(code(refused), "auth.code.refused", "it confirmed the app");
        house.clock.advance(STEP);
        let now = app.code(house.now());
        app.answer(house, &challenge, &now).await.expect("logs in");
        let next = app.code(house.now().plus(STEP));
        let refused = app.answer(house, &challenge, &next).await;
        assert_eq!(code(refused), "auth.challenge.refused", "it was answered");
        let another = app.challenge(house).await;
        assert_eq!(code(app.answer(house, &another, &now).await), "auth.code.refused");
        let earlier = app.answer(house, &another, &confirming).await;
        assert_eq!(code(earlier), "auth.code.refused", "older than the last one");
        app.answer(house, &another, &next).await.expect("a code of a clock that is ahead");
    })
    .await;
}

#[tokio::test]
async fn a_code_that_two_challenges_use_at_once_opens_one_session() {
    with_house(async |house: &House| {
        house.member().await;
        let app = App::enrolled(house, MEMBER).await;
        house.clock.advance(STEP);
        let (one, two) = (app.challenge(house).await, app.challenge(house).await);
        let now = app.code(house.now());
        let (one, two) = tokio::join!(app.answer(house, &one, &now), app.answer(house, &two, &now));
        let mut codes = [code(one.map(|_| "in")), code(two.map(|_| "in"))];
        codes.sort();
        assert_eq!(codes, ["auth.code.refused", "no failure: \"in\""]);
    })
    .await;
}

#[tokio::test]
async fn a_recovery_code_takes_the_place_of_the_app_once() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let app = App::enrolled(house, MEMBER).await;
        assert_eq!(app.recovery_codes.len(), 10);
        let typed = app.recovery_codes[3].expose().replace('-', " ").to_uppercase();
        let challenge = app.challenge(house).await;
        app.answer(house, &challenge, &typed).await.expect("logs in");
        assert_eq!(state(house, member.user).await.recovery_codes_left, 9);
        let again = app.challenge(house).await;
        assert_eq!(code(app.answer(house, &again, &typed).await), "auth.code.refused");
        let kinds = house.event_kinds().await;
        assert!(kinds.contains(&"auth.recovery_code.used".to_owned()));
        let mails = house.mails().await;
        let told = mails.iter().find(|mail| mail["data"]["change"] == "recovery_code_used");
        assert_eq!(told.expect("the owner is told")["data"]["recovery_codes_left"], 9);
    })
    .await;
}

#[tokio::test]
async fn a_recovery_code_of_somebody_else_is_wrong() {
    with_house(async |house: &House| {
        house.member().await;
        let (mine, theirs) =
            (App::enrolled(house, MEMBER).await, App::enrolled(house, ADMINISTRATOR).await);
        let challenge = mine.challenge(house).await;
        let foreign = theirs.recovery_codes[0].expose();
        assert_eq!(code(mine.answer(house, &challenge, foreign).await), "auth.code.refused");
    })
    .await;
}

#[tokio::test]
async fn new_recovery_codes_end_the_old_ones() {
    with_house(async |house: &House| {
        house.member().await;
        let app = App::enrolled(house, MEMBER).await;
        let tokens = signed_in(house, &app).await;
        let renew = |code: &str| RenewRecoveryCodes {
            user: tokens.user,
            current_password: Some(SecretText::new(PASSWORD)),
            factor: Some(FactorProof::Code(SecretText::new(code))),
        };
        house.clock.advance(STEP);
        let refused = ask(house, &by(&tokens), renew(&app.wrong_code(house.now()))).await;
        assert_eq!(code(refused), "auth.code.wrong");
        let renewed = ask(house, &by(&tokens), renew(&app.code(house.now()))).await;
        let renewed = renewed.expect("renewed").codes;
        let challenge = app.challenge(house).await;
        let old = app.answer(house, &challenge, app.recovery_codes[0].expose()).await;
        assert_eq!(code(old), "auth.code.refused");
        app.answer(house, &challenge, renewed[0].expose()).await.expect("logs in");
    })
    .await;
}

#[tokio::test]
async fn guessing_codes_locks_the_account_and_the_right_password_does_not_forget() {
    with_house(async |house: &House| {
        house.member().await;
        let app = App::enrolled(house, MEMBER).await;
        house.clock.advance(STEP);
        for _ in 0..6 {
            // Each guess with a challenge of its own: the password is known to whoever guesses.
            let challenge = app.challenge(house).await;
            let wrong = app.wrong_code(house.now());
            assert_eq!(code(app.answer(house, &challenge, &wrong).await), "auth.code.refused");
        }
        assert_eq!(code(house.log_in(MEMBER, PASSWORD).await), "auth.login.locked");
        house.clock.advance(Duration::from_secs(2));
        let challenge = app.challenge(house).await;
        let right = app.code(house.now());
        app.answer(house, &challenge, &right).await.expect("after the wait");
        let challenge = app.challenge(house).await;
        let wrong = app.wrong_code(house.now());
        assert_eq!(code(app.answer(house, &challenge, &wrong).await), "auth.code.refused");
        app.challenge(house).await;
        let audit = house.audit().await;
        let denied = audit.iter().filter(|record| {
            record["action"] == "auth.login.code" && record["outcome"] == "denied"
        });
        assert_eq!(denied.count(), 7);
    })
    .await;
}

#[tokio::test]
async fn a_burst_of_guesses_gets_no_more_tries_than_a_slow_series() {
    with_config("password_pool = { queue = 1024 }", async |house: &House| {
        house.member().await;
        let app = App::enrolled(house, MEMBER).await;
        let mut challenges = Vec::new();
        for _ in 0..4 {
            challenges.push(app.challenge(house).await);
        }
        let wrong = SecretText::new(app.wrong_code(house.now()));
        let guess = |number: usize| {
            let challenge = challenges[number % challenges.len()].clone();
            let (login, code) = (house.auth.login.clone(), wrong.clone());
            async move { login.ask(&from("192.0.2.1"), AnswerChallenge { challenge, code }).await }
        };
        let answers = JoinSet::from_iter((0..30).map(guess)).join_all().await;
        let codes: Vec<String> = answers.into_iter().map(code).collect();
        let count = |wanted: &str| codes.iter().filter(|code| *code == wanted).count();
        let counts = (count("auth.code.refused"), count("auth.login.locked"));
        assert_eq!(counts, (6, 24), "{codes:?}");
    })
    .await;
}

#[tokio::test]
async fn a_challenge_ends_by_itself_and_when_another_comes_too_often() {
    with_house(async |house: &House| {
        house.member().await;
        let app = App::enrolled(house, MEMBER).await;
        house.clock.advance(STEP);
        let late = app.challenge(house).await;
        house.clock.advance(Duration::from_secs(5 * 60));
        let now = app.code(house.now());
        assert_eq!(code(app.answer(house, &late, &now).await), "auth.challenge.refused");
        let oldest = app.challenge(house).await;
        for _ in 0..10 {
            house.clock.advance(Duration::from_millis(1));
            app.challenge(house).await;
        }
        assert_eq!(code(app.answer(house, &oldest, &now).await), "auth.challenge.refused");
        for text in ["", ".", "nonsense", "account:x.y"] {
            let refused = app.answer(house, &SecretText::new(text), &now).await;
            assert_eq!(code(refused), "auth.challenge.refused", "{text}");
        }
        let newest = app.challenge(house).await;
        let other = newest.expose().split_once('.').expect("two parts").1;
        let elsewhere = SecretText::new(format!("x.{other}"));
        let refused = app.answer(house, &elsewhere, &now).await;
        assert_eq!(code(refused), "auth.challenge.refused", "of another shard");
        app.answer(house, &newest, &now).await.expect("the newest is good");
    })
    .await;
}

#[tokio::test]
async fn a_changed_password_ends_the_logins_that_began_before() {
    with_house(async |house: &House| {
        house.member().await;
        let tokens = house.session().await;
        let app = App::enrolled(house, MEMBER).await;
        house.clock.advance(STEP);
        let challenge = app.challenge(house).await;
        let request = ChangePassword {
            user: tokens.user,
            session: Some(tokens.session),
            current_password: SecretText::new(PASSWORD),
            new_password: SecretText::new(OTHER_PASSWORD),
        };
        house.auth.accounts.ask(&by(&tokens), request).await.expect("changed");
        let refused = app.answer(house, &challenge, &app.code(house.now())).await;
        assert_eq!(code(refused), "auth.challenge.refused");
    })
    .await;
}

#[tokio::test]
async fn who_is_barred_or_gone_finishes_no_login_and_leaves_no_factor() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let app = App::enrolled(house, MEMBER).await;
        house.clock.advance(STEP);
        let challenge = app.challenge(house).await;
        house.identity.set_status(member.user, UserStatus::Suspended);
        let refused = app.answer(house, &challenge, &app.code(house.now())).await;
        assert_eq!(code(refused), "auth.account.suspended");
        let data = identity::UserEvent { user: member.user, version: 2 };
        let event = Event::new(identity::USER_ANONYMISED, member.user, &data);
        let taker = house.parts.subscriptions.iter().find(|each| each.takes(&event.kind));
        taker.expect("somebody listens").run(&event, &from("192.0.2.1")).await.expect("handled");
        house.identity.set_status(member.user, UserStatus::Active);
        let refused = app.answer(house, &challenge, &app.code(house.now())).await;
        assert_eq!(code(refused), "auth.challenge.refused");
        let left = house.db.read(async |conn| {
            let app = totp::find(conn, member.user).await?;
            Ok((app, recovery_codes::left(conn, member.user).await?))
        });
        assert_eq!(left.await.expect("can be read"), (None, 0));
    })
    .await;
}

#[tokio::test]
async fn the_organisation_is_looked_at_again_in_the_second_step() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let app = App::enrolled(house, MEMBER).await;
        house.clock.advance(STEP);
        let second = house.identity.join(member.user, "second", OrganisationStatus::Active);
        let request =
            troupe_auth::messages::Login { organisation: Some(second), ..login(MEMBER, PASSWORD) };
        let begin = async || {
            let outcome = house.auth.login.ask(&from("192.0.2.1"), request.clone()).await;
            let Ok(SignIn::Challenged(begun)) = outcome else { panic!("{outcome:?}") };
            begun.challenge
        };
        let tokens = app.answer(house, &begin().await, &app.code(house.now())).await;
        assert_eq!(tokens.expect("logs in").organisation, Some(second));
        let challenge = begin().await;
        house.identity.people().memberships.retain(|one| one.organisation != second);
        house.clock.advance(STEP);
        let refused = app.answer(house, &challenge, &app.code(house.now())).await;
        assert_eq!(code(refused), "auth.organisation.unavailable");
    })
    .await;
}

#[tokio::test]
async fn switching_off_takes_the_password_and_a_code() {
    with_house(async |house: &House| {
        house.member().await;
        let app = App::enrolled(house, MEMBER).await;
        let tokens = signed_in(house, &app).await;
        let waiting = app.challenge(house).await;
        house.clock.advance(STEP);
        let now = app.code(house.now());
        for (password, typed, expected) in [
            (OTHER_PASSWORD, now.clone(), "auth.password.wrong"),
            (PASSWORD, app.wrong_code(house.now()), "auth.code.wrong"),
        ] {
            let refused = ask(house, &by(&tokens), disable(&tokens, password, &typed)).await;
            assert_eq!(code(refused), expected);
        }
        app.challenge(house).await;
        ask(house, &by(&tokens), disable(&tokens, PASSWORD, &now)).await.expect("switched off");
        let refused = app.answer(house, &waiting, app.recovery_codes[0].expose()).await;
        assert_eq!(code(refused), "auth.challenge.refused");
        assert!(house.log_in(MEMBER, PASSWORD).await.is_ok());
        let none = SecondFactor { totp_since: None, passkeys: 0, recovery_codes_left: 0 };
        assert_eq!(state(house, tokens.user).await, none);
        let again = ask(house, &by(&tokens), disable(&tokens, PASSWORD, &now)).await;
        assert_eq!(code(again), "auth.totp.not_enrolled");
        let kinds = house.event_kinds().await;
        assert!(kinds.contains(&"auth.second_factor.disabled".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn an_administrator_resets_a_factor_that_was_lost() {
    with_house(async |house: &House| {
        let member = house.member().await;
        App::enrolled(house, MEMBER).await;
        let administrator = house.log_in(ADMINISTRATOR, PASSWORD).await.expect("logs in");
        let reset = |password: &str| ResetSecondFactor {
            user: member.user,
            current_password: Some(SecretText::new(password)),
        };
        let scope = by(&administrator);
        let refused = ask(house, &scope, reset(OTHER_PASSWORD)).await;
        assert_eq!(code(refused), "auth.password.wrong");
        ask(house, &scope, reset(PASSWORD)).await.expect("reset");
        assert!(house.log_in(MEMBER, PASSWORD).await.is_ok());
        assert_eq!(code(ask(house, &scope, reset(PASSWORD)).await), "auth.totp.not_enrolled");
        let audit = house.audit().await;
        let record = audit.iter().rfind(|one| one["action"] == "auth.second_factor.disabled");
        let record = record.expect("is in the audit");
        assert_eq!(record["actor"], serde_json::json!(administrator.user));
        assert_eq!(record["resource"], format!("user/{}", member.user));
        App::enrolled(house, MEMBER).await;
        let from_the_command_line = AdminResetSecondFactor { user: member.user };
        ask(house, &from("192.0.2.1"), from_the_command_line).await.expect("reset");
        assert!(house.log_in(MEMBER, PASSWORD).await.is_ok());
    })
    .await;
}
