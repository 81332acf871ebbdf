//! Password change and reset.

use std::time::Duration;

use troupe_auth::SecretText;
use troupe_auth::messages::{ChangePassword, ConfirmPasswordReset, RequestPasswordReset, Tokens};
use troupe_identity_messages::{USER_EMAIL_CHANGED, UserEvent, UserStatus};
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;

use crate::harness::{
    House, MEMBER, OTHER_PASSWORD, PASSWORD, code, forgotten_session, forgotten_subject, scope,
    with_house,
};

fn change(tokens: &Tokens, current: &str, new: &str) -> ChangePassword {
    ChangePassword {
        user: tokens.user,
        session: Some(tokens.session),
        current_password: SecretText::new(current),
        new_password: SecretText::new(new),
    }
}

/// The links of all reset mails so far.
async fn links(house: &House) -> Vec<String> {
    let mails = house.mails().await;
    let resets = mails.iter().filter(|mail| mail["template"] == "auth.password_reset");
    resets.filter_map(|mail| Some(mail["data"]["link"].as_str()?.to_owned())).collect()
}

/// Asks for a reset and answers the token of the mail, if one went out.
async fn mailed(house: &House, email: &str) -> Option<SecretText> {
    let before = links(house).await;
    let request = RequestPasswordReset { email: email.to_owned() };
    house.auth.accounts.ask(&scope(), request).await.expect("the answer is always the same");
    // The work follows the answer.
    for _ in 0..100 {
        if let Some(link) = links(house).await.iter().find(|link| !before.contains(link)) {
            return Some(SecretText::new(link.split_once("/reset-password#token=")?.1));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    None
}

async fn confirm(house: &House, token: SecretText, password: &str) -> Result<(), Failure> {
    let request = ConfirmPasswordReset { token, new_password: SecretText::new(password) };
    house.auth.accounts.ask(&scope(), request).await
}

#[tokio::test]
async fn a_change_needs_the_current_password_and_ends_the_other_sessions() {
    with_house(async |house: &House| {
        house.member().await;
        let (here, there) = (house.session().await, house.session().await);
        let wrong = change(&here, "a wrong one", OTHER_PASSWORD);
        let refused = house.auth.accounts.ask(&scope(), wrong).await;
        assert_eq!(code(refused), "auth.password.wrong");
        let weak = house.auth.accounts.ask(&scope(), change(&here, PASSWORD, "short")).await;
        let weak = weak.expect_err("weak");
        assert_eq!(weak.fields()[0].pointer, "/new_password");
        let right = change(&here, PASSWORD, OTHER_PASSWORD);
        house.auth.accounts.ask(&scope(), right).await.expect("changed");
        assert_eq!(forgotten_session(&house.gate).await, there.session.uuid());
        assert!(house.check(&here.access_token).await.is_ok());
        assert_eq!(code(house.check(&there.access_token).await), "auth.session.ended");
        assert_eq!(code(house.log_in(MEMBER, PASSWORD).await), "auth.login.refused");
        assert!(house.log_in(MEMBER, OTHER_PASSWORD).await.is_ok());
        let mails = house.mails().await;
        assert!(mails.iter().any(|mail| mail["template"] == "auth.password_changed"));
    })
    .await;
}

#[tokio::test]
async fn guessing_the_current_password_locks_like_guessing_at_the_login() {
    with_house(async |house: &House| {
        house.member().await;
        let tokens = house.session().await;
        for _ in 0..6 {
            let wrong = change(&tokens, "a wrong one", OTHER_PASSWORD);
            let refused = house.auth.accounts.ask(&scope(), wrong).await;
            assert_eq!(code(refused), "auth.password.wrong");
        }
        let right = change(&tokens, PASSWORD, OTHER_PASSWORD);
        let locked = house.auth.accounts.ask(&scope(), right).await;
        assert_eq!(code(locked), "auth.login.locked");
        assert_eq!(code(house.log_in(MEMBER, PASSWORD).await), "auth.login.locked");
    })
    .await;
}

#[tokio::test]
async fn a_mailed_link_sets_a_password_once_and_ends_every_session() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let tokens = house.session().await;
        let token = mailed(house, MEMBER).await.expect("a mail went out");
        let weak = confirm(house, token.clone(), "password1234").await;
        assert_eq!(code(weak), "auth.password.weak");
        confirm(house, token.clone(), OTHER_PASSWORD).await.expect("the link still works");
        assert_eq!(forgotten_subject(&house.gate).await, member.user.uuid());
        assert_eq!(code(house.check(&tokens.access_token).await), "auth.session.ended");
        assert_eq!(code(confirm(house, token, PASSWORD).await), "auth.reset.token");
        assert!(house.log_in(MEMBER, OTHER_PASSWORD).await.is_ok());
        let user = house.identity.by_email(MEMBER).expect("is there");
        assert!(user.email_verified_at.is_some(), "who opened the mail holds the address");
    })
    .await;
}

#[tokio::test]
async fn a_reset_frees_an_account_that_waits() {
    with_house(async |house: &House| {
        house.member().await;
        for _ in 0..6 {
            assert_eq!(code(house.log_in(MEMBER, "a wrong one").await), "auth.login.refused");
        }
        let token = mailed(house, MEMBER).await.expect("a mail went out");
        confirm(house, token, OTHER_PASSWORD).await.expect("reset");
        assert!(house.log_in(MEMBER, OTHER_PASSWORD).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_link_ends_after_an_hour_and_with_a_later_reset() {
    with_house(async |house: &House| {
        house.member().await;
        let first = mailed(house, MEMBER).await.expect("a mail");
        let second = mailed(house, MEMBER).await.expect("another mail");
        confirm(house, second, OTHER_PASSWORD).await.expect("reset");
        assert_eq!(code(confirm(house, first, PASSWORD).await), "auth.reset.token");
        let late = mailed(house, MEMBER).await.expect("a mail");
        house.clock.advance(Duration::from_secs(3_600));
        assert_eq!(code(confirm(house, late, PASSWORD).await), "auth.reset.token");
    })
    .await;
}

#[tokio::test]
async fn nobody_unknown_or_barred_gets_a_mail_and_nobody_gets_too_many() {
    with_house(async |house: &House| {
        let member = house.member().await;
        assert!(mailed(house, "nobody@sawmill.example").await.is_none());
        for _ in 0..5 {
            assert!(mailed(house, MEMBER).await.is_some());
        }
        assert!(mailed(house, MEMBER).await.is_none(), "five an hour");
        house.clock.advance(Duration::from_secs(3_601));
        assert!(mailed(house, MEMBER).await.is_some());
        house.identity.set_status(member.user, UserStatus::Suspended);
        assert!(mailed(house, MEMBER).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_link_ends_when_the_address_is_replaced_and_when_the_password_is_changed() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let to_the_old_address = mailed(house, MEMBER).await.expect("a mail");
        let data = UserEvent { user: member.user, version: 2 };
        let event = Event::new(USER_EMAIL_CHANGED, member.user, &data);
        let taker = house.parts.subscriptions.iter().find(|each| each.takes(&event.kind));
        taker.expect("somebody listens").run(&event, &scope()).await.expect("handled");
        let refused = confirm(house, to_the_old_address, OTHER_PASSWORD).await;
        assert_eq!(code(refused), "auth.reset.token");
        let before_the_change = mailed(house, MEMBER).await.expect("a mail");
        let tokens = house.session().await;
        let request = change(&tokens, PASSWORD, OTHER_PASSWORD);
        house.auth.accounts.ask(&scope(), request).await.expect("changed");
        let refused = confirm(house, before_the_change, PASSWORD).await;
        assert_eq!(code(refused), "auth.reset.token");
        assert!(house.log_in(MEMBER, OTHER_PASSWORD).await.is_ok());
    })
    .await;
}
