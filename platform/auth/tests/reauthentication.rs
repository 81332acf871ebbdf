//! Proving the password again, and what guessing at it costs somebody who stole a token.

use std::sync::Arc;

use tokio::task::JoinSet;
use troupe_actors::{PermissionSet, PrincipalKind, Scope};
use troupe_auth::SecretText;
use troupe_auth::messages::Tokens;
use troupe_kernel::error::Failure;

use crate::harness::{
    House, MEMBER, OTHER_PASSWORD, PASSWORD, acting, code, scope, with_config, with_house,
};

async fn prove(house: &House, password: &str, scope: &Scope) -> Result<(), Failure> {
    house.reauthentication.reauthenticate(SecretText::new(password), scope).await
}

fn by(tokens: &Tokens) -> Scope {
    acting(tokens, PermissionSet::new())
}

#[tokio::test]
async fn the_password_of_the_session_is_asked_for() {
    with_house(async |house: &House| {
        house.member().await;
        let scope = by(&house.session().await);
        assert_eq!(prove(house, PASSWORD, &scope).await, Ok(()));
        assert_eq!(code(prove(house, OTHER_PASSWORD, &scope).await), "auth.password.wrong");
        let denied = house.audit().await.into_iter().filter(|record| {
            record["action"] == "auth.reauthentication" && record["outcome"] == "denied"
        });
        assert_eq!(denied.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn whoever_has_no_password_proves_nothing() {
    with_house(async |house: &House| {
        house.member().await;
        let mut by_key = by(&house.session().await);
        let principal = by_key.principal().expect("somebody").as_ref().clone();
        let principal = troupe_actors::Principal { kind: PrincipalKind::Service, ..principal };
        by_key.origin_mut().principal = Some(Arc::new(principal));
        for scope in [by_key, scope()] {
            let refused = prove(house, PASSWORD, &scope).await;
            assert_eq!(code(refused), "auth.principal.not_a_user");
        }
    })
    .await;
}

#[tokio::test]
async fn wrong_ones_count_with_failed_logins_and_a_right_one_forgets_them() {
    with_house(async |house: &House| {
        house.member().await;
        let scope = by(&house.session().await);
        let free = 5;
        for _ in 0..free {
            assert_eq!(code(prove(house, OTHER_PASSWORD, &scope).await), "auth.password.wrong");
        }
        assert_eq!(prove(house, PASSWORD, &scope).await, Ok(()));
        for _ in 0..=free {
            assert_eq!(code(prove(house, OTHER_PASSWORD, &scope).await), "auth.password.wrong");
        }
        assert_eq!(code(prove(house, PASSWORD, &scope).await), "auth.login.locked");
        assert_eq!(code(house.log_in(MEMBER, PASSWORD).await), "auth.login.locked");
    })
    .await;
}

#[tokio::test]
async fn a_burst_of_guesses_gets_no_more_tries_than_a_slow_series() {
    with_config("password_pool = { queue = 1024 }", async |house: &House| {
        house.member().await;
        let scope = by(&house.session().await);
        let guess = || {
            let (place, scope) = (house.reauthentication.clone(), scope.clone());
            async move { place.reauthenticate(SecretText::new(OTHER_PASSWORD), &scope).await }
        };
        let answers = JoinSet::from_iter((0..30).map(|_| guess())).join_all().await;
        let codes: Vec<String> = answers.into_iter().map(code).collect();
        let count = |wanted: &str| codes.iter().filter(|code| *code == wanted).count();
        let counts = (count("auth.password.wrong"), count("auth.login.locked"));
        assert_eq!(counts, (6, 24), "{codes:?}");
    })
    .await;
}
