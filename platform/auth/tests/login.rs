//! Logins and what guessing costs.

use std::time::Duration;

use troupe_actors::FailureKind;
use troupe_auth::messages::{ListSessions, Login, Register, SignIn};
use troupe_auth::repository::credentials;
use troupe_auth::{MIGRATIONS, SecretText};
use troupe_database::testing::TestDatabase;
use troupe_database::{Dialect, UnitOfWork};
use troupe_identity_messages::{OrganisationStatus, UserStatus};
use troupe_kernel::clock::ManualClock;
use troupe_kernel::ids::TenantId;
use uuid::Uuid;

use crate::harness::{
    House, MEMBER, OTHER_PASSWORD, PASSWORD, code, forgotten_session, from, login, registration,
    with_config, with_house,
};

#[tokio::test]
async fn a_login_answers_tokens_for_the_organisation_joined_first() {
    with_house(async |house: &House| {
        let member = house.member().await;
        house.identity.join(member.user, "second", OrganisationStatus::Active);
        let tokens = house.log_in(&format!(" {} ", MEMBER.to_uppercase()), PASSWORD).await;
        let tokens = tokens.expect("the spelling of the address does not matter");
        assert_eq!(tokens.user, member.user);
        assert_eq!(tokens.organisation, member.organisation);
        assert_eq!((tokens.token_type.as_str(), tokens.expires_in), ("Bearer", 600));
        let who = house.check(&tokens.access_token).await.expect("the token is good");
        assert_eq!(who.principal.subject, member.user.uuid());
        assert_eq!(who.principal.tenant, member.organisation.map(Uuid::from));
        assert_eq!(who.principal.session, Some(tokens.session.uuid()));
        assert!(house.event_kinds().await.contains(&"auth.session.started".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_answered_alike() {
    with_house(async |house: &House| {
        house.member().await;
        let wrong = house.log_in(MEMBER, "not the password").await.expect_err("refused");
        let unknown = house.log_in("nobody@sawmill.example", PASSWORD).await.expect_err("refused");
        assert_eq!(wrong, unknown);
        assert_eq!(wrong.kind(), FailureKind::Unauthenticated);
        let denied: Vec<_> = house
            .audit()
            .await
            .into_iter()
            .filter(|record| record["action"] == "auth.login" && record["outcome"] == "denied")
            .collect();
        assert_eq!(denied.len(), 2, "both are in the audit");
        assert!(!format!("{denied:?}").contains("nobody@"), "without what was typed");
    })
    .await;
}

#[tokio::test]
async fn an_organisation_that_is_not_the_users_is_refused() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let barred = house.identity.join(member.user, "barred", OrganisationStatus::Suspended);
        let foreign = TenantId::from(Uuid::from_u128(9));
        for organisation in [barred, foreign] {
            let request = Login { organisation: Some(organisation), ..login(MEMBER, PASSWORD) };
            let refused = house.auth.login.ask(&from("192.0.2.1"), request).await;
            assert_eq!(code(refused), "auth.organisation.unavailable");
        }
    })
    .await;
}

#[tokio::test]
async fn a_barred_account_learns_it_only_with_the_right_password() {
    with_house(async |house: &House| {
        let member = house.member().await;
        house.identity.set_status(member.user, UserStatus::Suspended);
        assert_eq!(code(house.log_in(MEMBER, "a wrong one").await), "auth.login.refused");
        assert_eq!(code(house.log_in(MEMBER, PASSWORD).await), "auth.account.suspended");
    })
    .await;
}

#[tokio::test]
async fn an_account_waits_longer_with_each_failure_and_a_success_forgets() {
    with_house(async |house: &House| {
        house.member().await;
        for _ in 0..6 {
            assert_eq!(code(house.log_in(MEMBER, "a wrong one").await), "auth.login.refused");
        }
        let locked = house.log_in(MEMBER, PASSWORD).await.expect_err("even with the right one");
        assert_eq!(locked.code(), "auth.login.locked");
        assert_eq!(locked.kind(), FailureKind::RateLimited);
        assert_eq!(locked.retry_after_duration(), Some(Duration::from_secs(2)));
        assert!(house.event_kinds().await.contains(&"auth.account.locked".to_owned()));
        house.clock.advance(Duration::from_secs(2));
        assert_eq!(code(house.log_in(MEMBER, "a wrong one").await), "auth.login.refused");
        let longer = house.log_in(MEMBER, PASSWORD).await.expect_err("waits again");
        assert_eq!(longer.retry_after_duration(), Some(Duration::from_secs(4)));
        house.clock.advance(Duration::from_secs(4));
        assert!(house.log_in(MEMBER, PASSWORD).await.is_ok());
        for _ in 0..5 {
            assert_eq!(code(house.log_in(MEMBER, "a wrong one").await), "auth.login.refused");
        }
        assert!(house.log_in(MEMBER, PASSWORD).await.is_ok(), "the count started again");
    })
    .await;
}

#[tokio::test]
async fn an_unknown_account_waits_like_a_known_one() {
    with_house(async |house: &House| {
        house.member().await;
        for _ in 0..6 {
            let refused = house.log_in("nobody@sawmill.example", PASSWORD).await;
            assert_eq!(code(refused), "auth.login.refused");
        }
        let locked = house.log_in("nobody@sawmill.example", PASSWORD).await;
        assert_eq!(code(locked), "auth.login.locked");
        assert!(house.log_in(MEMBER, PASSWORD).await.is_ok(), "others do not wait");
    })
    .await;
}

#[tokio::test]
async fn an_address_that_guesses_at_many_accounts_waits_and_others_do_not() {
    with_config("lockout = { address_failures = 3 }", async |house: &House| {
        house.member().await;
        for number in 0..4 {
            let request = login(&format!("guess{number}@sawmill.example"), PASSWORD);
            let refused = house.auth.login.ask(&from("203.0.113.9"), request).await;
            assert_eq!(code(refused), "auth.login.refused");
        }
        let locked = house.auth.login.ask(&from("203.0.113.9"), login(MEMBER, PASSWORD)).await;
        assert_eq!(code(locked), "auth.login.locked");
        let other = house.auth.login.ask(&from("203.0.113.10"), login(MEMBER, PASSWORD)).await;
        assert!(other.is_ok(), "{other:?}");
    })
    .await;
}

#[tokio::test]
async fn a_burst_of_guesses_gets_no_more_tries_than_a_slow_series() {
    with_config("password_pool = { queue = 1024 }", async |house: &House| {
        house.member().await;
        let scope = from("192.0.2.1");
        let mut guesses = Vec::new();
        for _ in 0..30 {
            let request = login(MEMBER, "a wrong one");
            let (port, pending) = house.auth.login.open(&scope);
            house.auth.login.send(&scope, request.into(), port);
            guesses.push(pending);
        }
        let (mut refused, mut locked) = (0, 0);
        for guess in guesses {
            let answer: troupe_actors::Answer<SignIn> = guess.await;
            match code(answer.result).as_str() {
                "auth.login.refused" => refused += 1,
                "auth.login.locked" => locked += 1,
                other => panic!("{other}"),
            }
        }
        assert_eq!((refused, locked), (6, 24));
    })
    .await;
}

#[tokio::test]
async fn a_login_renews_a_hash_of_another_cost() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(database) = TestDatabase::create(dialect, MIGRATIONS).await else { continue };
        let clock = std::sync::Arc::new(ManualClock::default());
        let db = database.open_with(clock.clone()).await;
        let house = House::build(db.clone(), clock.clone(), "").await.expect("starts");
        let member = house.member().await;
        let people = std::mem::take(&mut *house.identity.people());
        house.universe.finish().await;
        let costlier = "password_hash = { memory_kib = 128, iterations = 2, parallelism = 1 }";
        let house = House::build(db.clone(), clock, costlier).await.expect("starts");
        *house.identity.people() = people;
        let stored = async || {
            let found = db.read(async |conn| Ok(credentials::find(conn, member.user).await?)).await;
            found.expect("can be read").expect("has a password")
        };
        assert!(stored().await.contains("m=64,t=1"));
        house.session().await;
        assert!(stored().await.contains("m=128,t=2"));
        house.session().await;
        house.universe.finish().await;
        database.remove().await;
    }
}

#[tokio::test]
async fn one_session_too_many_ends_the_one_that_was_idle_longest() {
    with_config("tokens = { sessions_max = 2 }", async |house: &House| {
        house.member().await;
        let first = house.session().await;
        house.clock.advance(Duration::from_secs(1));
        let second = house.session().await;
        house.clock.advance(Duration::from_secs(1));
        let third = house.session().await;
        assert_eq!(forgotten_session(&house.gate).await, first.session.uuid());
        assert_eq!(code(house.check(&first.access_token).await), "auth.session.ended");
        assert!(house.check(&second.access_token).await.is_ok());
        assert!(house.check(&third.access_token).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_login_in_flight_is_finished_when_the_node_stops() {
    with_house(async |house: &House| {
        house.member().await;
        let scope = from("192.0.2.1");
        let request = Login { password: SecretText::new(PASSWORD), ..login(MEMBER, "") };
        let (port, pending) = house.auth.login.open::<SignIn>(&scope);
        house.auth.login.send(&scope, request.into(), port);
        let answer = pending.await;
        assert!(answer.result.is_ok(), "{answer:?}");
    })
    .await;
}

#[tokio::test]
async fn a_login_during_which_the_user_is_barred_leaves_no_session() {
    with_house(async |house: &House| {
        let member = house.member().await;
        house.identity.people().barring = true;
        assert_eq!(code(house.log_in(MEMBER, PASSWORD).await), "auth.account.suspended");
        let ended = forgotten_session(&house.gate).await;
        let query = ListSessions { user: member.user, current: None };
        let left = house.auth.sessions.ask(&from("192.0.2.1"), query).await.expect("listed");
        assert_eq!(left, []);
        let kinds = house.event_kinds().await;
        assert_eq!(kinds.last().map(String::as_str), Some("auth.session.ended"), "of {ended}");
    })
    .await;
}

#[tokio::test]
async fn a_login_that_races_a_change_of_the_password_is_refused() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let other = Register {
            password: SecretText::new(OTHER_PASSWORD),
            ..registration("eve@sawmill.example")
        };
        let scope = from("192.0.2.1");
        let other = house.auth.accounts.ask(&scope, other).await.expect("registers").user;
        let (now, logins, caller) = (house.now(), house.auth.login.clone(), scope.clone());
        let changed = house
            .db
            .transaction(&scope, async move |uow: &mut UnitOfWork| {
                let hash = credentials::find(uow.conn(), other).await?.expect("has a password");
                credentials::put(uow.conn(), member.user, &hash, now).await?;
                let (port, pending) = logins.open::<SignIn>(&caller);
                logins.send(&caller, login(MEMBER, PASSWORD).into(), port);
                // Long enough for the login to compare the old password and wait for this change.
                tokio::time::sleep(Duration::from_millis(300)).await;
                Ok(pending)
            })
            .await;
        let answer = changed.expect("changed").await;
        assert_eq!(code(answer.result), "auth.login.refused");
        let query = ListSessions { user: member.user, current: None };
        let left = house.auth.sessions.ask(&scope, query).await.expect("listed");
        assert_eq!(left, []);
    })
    .await;
}
