//! The set-up of a new platform.

use std::sync::Arc;
use std::time::Duration;

use troupe_actors::FailureKind;
use troupe_auth::messages::{
    AdminCreateUser, AdminResetSetup, CompleteSetup, GetSetupState, Login, SetupState,
};
use troupe_auth::{MIGRATIONS, SecretText};
use troupe_authz_messages::AuthzMessage;
use troupe_database::Dialect;
use troupe_database::testing::TestDatabase;
use troupe_kernel::clock::ManualClock;
use troupe_kernel::error::Failure;

use crate::harness::{
    ADMINISTRATOR, House, MEMBER, PASSWORD, code, login, registration, scope, with_house,
};

fn setup(token: SecretText) -> CompleteSetup {
    CompleteSetup {
        token,
        email: ADMINISTRATOR.to_owned(),
        password: SecretText::new(PASSWORD),
        display_name: "Ada".to_owned(),
        organisation: "Windmill".to_owned(),
    }
}

#[tokio::test]
async fn the_link_makes_an_administrator_with_an_organisation_once() {
    with_house(async |house: &House| {
        let token = house.setup_token();
        let made = house.set_up().await;
        let AuthzMessage::Grant(grant) = house.authz.expect().await else { panic!("a grant") };
        assert_eq!((grant.role.as_str(), grant.tenant), ("administrator", None));
        assert_eq!(grant.subject, made.user.uuid());
        assert_eq!(made.slug.as_deref(), Some("windmill"));
        let tokens = house.log_in(ADMINISTRATOR, PASSWORD).await.expect("can log in at once");
        assert_eq!(tokens.organisation, made.organisation);
        let again = house.auth.accounts.ask(&scope(), setup(token)).await;
        assert_eq!(code(again), "auth.setup.token");
        let state = house.auth.accounts.ask(&scope(), GetSetupState).await;
        assert_eq!(state, Ok(SetupState { needed: false }));
        assert!(house.event_kinds().await.contains(&"auth.setup.completed".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_wrong_and_an_old_token_make_nothing() {
    with_house(async |house: &House| {
        let wrong = setup(SecretText::new("A".repeat(43)));
        assert_eq!(code(house.auth.accounts.ask(&scope(), wrong).await), "auth.setup.token");
        house.clock.advance(Duration::from_secs(86_401));
        let old = setup(house.setup_token());
        assert_eq!(code(house.auth.accounts.ask(&scope(), old).await), "auth.setup.token");
        assert!(house.identity.people().users.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_set_up_that_failed_half_way_continues_with_the_same_link_and_the_same_people() {
    with_house(async |house: &House| {
        let weak = CompleteSetup {
            password: SecretText::new("password1234"),
            ..setup(house.setup_token())
        };
        assert_eq!(code(house.auth.accounts.ask(&scope(), weak).await), "auth.password.weak");
        let nameless = CompleteSetup { organisation: " ".to_owned(), ..setup(house.setup_token()) };
        let refused = house.auth.accounts.ask(&scope(), nameless).await;
        assert_eq!(code(refused), "identity.organisation.invalid");
        assert_eq!(house.identity.people().users.len(), 1, "the user was made");
        let other = CompleteSetup { email: MEMBER.to_owned(), ..setup(house.setup_token()) };
        let begun = house.auth.accounts.ask(&scope(), other).await.expect_err("another address");
        assert_eq!(begun.code(), "auth.setup.begun");
        assert!(begun.fields()[0].detail.contains(ADMINISTRATOR), "{begun:?}");
        let made = house.set_up().await;
        assert_eq!(house.identity.people().users.len(), 1, "and is used again");
        assert_eq!(house.identity.by_email(ADMINISTRATOR).map(|user| user.id), Some(made.user));
    })
    .await;
}

#[tokio::test]
async fn nobody_registers_before_the_set_up() {
    with_house(async |house: &House| {
        let early = house.auth.accounts.ask(&scope(), registration(MEMBER)).await;
        assert_eq!(code(early), "auth.setup.needed");
    })
    .await;
}

#[tokio::test]
async fn two_uses_of_the_link_at_once_make_one_administrator() {
    with_house(async |house: &House| {
        let (scope, token) = (scope(), house.setup_token());
        let (one, two) = tokio::join!(
            house.auth.accounts.ask(&scope, setup(token.clone())),
            house.auth.accounts.ask(&scope, setup(token.clone())),
        );
        let made = [&one, &two].iter().filter(|result| result.is_ok()).count();
        assert_eq!(made, 1, "{one:?} {two:?}");
        assert_eq!(house.identity.people().users.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_restart_before_the_set_up_gives_a_new_link_and_none_after_it() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(database) = TestDatabase::create(dialect, MIGRATIONS).await else { continue };
        let clock = Arc::new(ManualClock::default());
        let open = async || {
            let db = database.open_with(clock.clone()).await;
            House::build(db, clock.clone(), "").await.expect("the module starts")
        };
        let first = open().await;
        let old = first.setup_token();
        first.universe.finish().await;
        let second = open().await;
        assert_ne!(second.setup_token(), old);
        second.set_up().await;
        second.universe.finish().await;
        let third = open().await;
        assert_eq!(third.auth.setup_link(), None);
        let late = third.auth.accounts.ask(&scope(), setup(old)).await;
        assert_eq!(code(late), "auth.setup.token", "earlier links end with the set-up");
        third.universe.finish().await;
        database.remove().await;
    }
}

#[tokio::test]
async fn the_command_line_makes_a_new_link_for_a_platform_that_is_set_up() {
    with_house(async |house: &House| {
        house.set_up().await;
        let link = house.auth.accounts.ask(&scope(), AdminResetSetup).await.expect("a link");
        assert!(house.auth.link_text(&link).contains("/setup#token="));
        let request = CompleteSetup { email: MEMBER.to_owned(), ..setup(link.token) };
        let made = house.auth.accounts.ask(&scope(), request).await.expect("a second one");
        assert_eq!(house.identity.by_email(MEMBER).map(|user| user.id), Some(made.user));
    })
    .await;
}

#[tokio::test]
async fn the_command_line_makes_accounts_with_and_without_a_password() {
    with_house(async |house: &House| {
        let request = AdminCreateUser {
            email: MEMBER.to_owned(),
            display_name: "Ben".to_owned(),
            password: Some(SecretText::new(PASSWORD)),
            organisation: Some("Saw Mill".to_owned()),
        };
        let made = house.auth.accounts.ask(&scope(), request.clone()).await.expect("an account");
        assert!(!made.verification_sent, "an administrator vouches for the address");
        assert!(house.log_in(MEMBER, PASSWORD).await.is_ok());
        let silent = AdminCreateUser {
            email: "cy@sawmill.example".to_owned(),
            password: None,
            organisation: None,
            ..request
        };
        house.auth.accounts.ask(&scope(), silent).await.expect("an account without a password");
        let tried = house.log_in("cy@sawmill.example", PASSWORD).await;
        assert_eq!(code(tried), "auth.login.refused");
    })
    .await;
}

#[tokio::test]
async fn a_refused_registration_leaves_no_password_behind() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let twice = house.auth.accounts.ask(&scope(), registration(MEMBER)).await;
        assert_eq!(code(twice), "identity.user.email_taken");
        let stored = troupe_auth::repository::credentials::find;
        let kept = house
            .db
            .read(async move |conn| Ok(stored(conn, member.user).await?))
            .await
            .expect("can be read");
        assert!(kept.is_some(), "the first account keeps its password");
        house.identity.people().failing =
            Some(Failure::new(FailureKind::Unavailable, "test.away", "away"));
        let away = house.auth.accounts.ask(&scope(), registration("new@sawmill.example")).await;
        assert_eq!(code(away), "test.away");
        house.identity.people().failing = None;
        let later: Login = login("new@sawmill.example", PASSWORD);
        let tried = house.auth.login.ask(&scope(), later).await;
        assert_eq!(code(tried), "auth.login.refused");
    })
    .await;
}

#[tokio::test]
async fn registration_can_be_switched_off() {
    crate::harness::with_config("registration = \"closed\"", async |house: &House| {
        house.set_up().await;
        let refused = house.auth.accounts.ask(&scope(), registration(MEMBER)).await;
        assert_eq!(code(refused), "auth.registration.closed");
    })
    .await;
}
