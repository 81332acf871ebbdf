//! Refresh tokens, sessions and their ends.

use std::time::Duration;

use troupe_auth::SecretText;
use troupe_auth::messages::{
    EndMembership, EndTenant, EndUser, ListSessions, Logout, LogoutEverywhere, Refresh,
    RevokeSession, Sweep, Switch, Tokens,
};
use troupe_identity_messages::{OrganisationStatus, UserStatus};
use troupe_kernel::error::Failure;
use troupe_kernel::ids::TenantId;
use uuid::Uuid;

use crate::harness::{
    ADMINISTRATOR, House, MEMBER, PASSWORD, code, forgotten_session, forgotten_subject, from,
    scope, with_config, with_house,
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// Tests that jump over weeks do not wait for the timer that makes the next signing key.
const LASTING_KEYS: &str = "signing_keys = { lifetime = \"365d\" }";

async fn refresh(house: &House, token: &SecretText) -> Result<Tokens, Failure> {
    let request = Refresh { refresh_token: token.clone(), device: Some("a phone".to_owned()) };
    house.auth.sessions.ask(&from("198.51.100.4"), request).await
}

#[tokio::test]
async fn a_refresh_answers_the_next_pair_of_the_same_session() {
    with_house(async |house: &House| {
        house.member().await;
        let first = house.session().await;
        house.clock.advance(11 * MINUTE);
        assert_eq!(code(house.check(&first.access_token).await), "auth.token.expired");
        let second = refresh(house, &first.refresh_token).await.expect("exchanged");
        assert_eq!((second.session, second.organisation), (first.session, first.organisation));
        assert_ne!(second.refresh_token, first.refresh_token);
        assert!(second.refresh_expires_at > first.refresh_expires_at);
        assert!(house.check(&second.access_token).await.is_ok());
        let query = ListSessions { user: first.user, current: Some(first.session) };
        let shown = house.auth.sessions.ask(&scope(), query).await.expect("listed");
        assert_eq!(shown[0].device.as_deref(), Some("a phone"));
        assert_eq!(shown[0].address.as_deref(), Some("198.51.100.4"));
        assert_eq!(shown[0].last_seen_at, house.now());
    })
    .await;
}

#[tokio::test]
async fn a_token_that_comes_twice_ends_the_session_everywhere() {
    with_house(async |house: &House| {
        house.member().await;
        let first = house.session().await;
        let bystander = house.session().await;
        let second = refresh(house, &first.refresh_token).await.expect("exchanged");
        house.clock.advance(MINUTE);
        let reused = refresh(house, &first.refresh_token).await;
        assert_eq!(code(reused), "auth.refresh.refused");
        assert_eq!(forgotten_session(&house.gate).await, first.session.uuid());
        let thief = refresh(house, &second.refresh_token).await;
        assert_eq!(code(thief), "auth.refresh.refused", "the whole family is dead");
        assert_eq!(code(house.check(&second.access_token).await), "auth.session.ended");
        assert!(house.check(&bystander.access_token).await.is_ok(), "others live on");
        let kinds = house.event_kinds().await;
        assert_eq!(kinds.iter().filter(|kind| *kind == "auth.refresh.reused").count(), 1);
        let mails = house.mails().await;
        assert!(mails.iter().any(|mail| mail["template"] == "auth.sessions_revoked"), "{mails:?}");
    })
    .await;
}

#[tokio::test]
async fn two_refreshes_at_the_same_moment_give_one_pair_and_end_nothing() {
    with_house(async |house: &House| {
        house.member().await;
        let first = house.session().await;
        let (one, two) = tokio::join!(
            refresh(house, &first.refresh_token),
            refresh(house, &first.refresh_token)
        );
        let (won, lost) = match (one, two) {
            (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
            other => panic!("one of two must win: {other:?}"),
        };
        assert_eq!(lost.code(), "auth.refresh.superseded");
        assert!(refresh(house, &won.refresh_token).await.is_ok(), "the session lives on");
    })
    .await;
}

#[tokio::test]
async fn a_session_ends_by_idleness_and_by_age() {
    with_config(LASTING_KEYS, async |house: &House| {
        house.member().await;
        let idle = house.session().await;
        house.clock.advance(14 * DAY);
        assert_eq!(code(refresh(house, &idle.refresh_token).await), "auth.refresh.refused");
        let mut tokens = house.session().await;
        let started = house.now();
        for _ in 0..6 {
            house.clock.advance(13 * DAY);
            tokens = refresh(house, &tokens.refresh_token).await.expect("used in time");
        }
        house.clock.set(started.plus(90 * DAY).minus(MINUTE));
        let last = refresh(house, &tokens.refresh_token).await.expect("a minute before the end");
        assert_eq!(last.expires_in, 60, "no token outlives its session");
        assert_eq!(last.refresh_expires_at, started.plus(90 * DAY));
        house.clock.advance(MINUTE);
        assert_eq!(code(refresh(house, &last.refresh_token).await), "auth.refresh.refused");
    })
    .await;
}

#[tokio::test]
async fn unknown_tokens_are_refused_without_harm() {
    with_house(async |house: &House| {
        house.member().await;
        let tokens = house.session().await;
        for wrong in ["", "x", tokens.access_token.expose(), &"A".repeat(43), &"é".repeat(10_000)]
        {
            let refused = refresh(house, &SecretText::new(wrong)).await;
            assert_eq!(code(refused), "auth.refresh.refused");
        }
        assert!(refresh(house, &tokens.refresh_token).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_user_lists_and_ends_their_own_sessions_only() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let (here, there) = (house.session().await, house.session().await);
        let stranger = house.log_in(ADMINISTRATOR, PASSWORD).await.expect("logs in");
        let query = ListSessions { user: member.user, current: Some(here.session) };
        let shown = house.auth.sessions.ask(&scope(), query.clone()).await.expect("listed");
        assert_eq!(shown.len(), 2);
        let current: Vec<_> = shown.iter().filter(|one| one.current).map(|one| one.id).collect();
        assert_eq!(current, [here.session]);
        let foreign = RevokeSession { user: member.user, session: stranger.session };
        let refused = house.auth.sessions.ask(&scope(), foreign).await;
        assert_eq!(code(refused), "auth.session.not_found");
        assert!(house.check(&stranger.access_token).await.is_ok());
        let own = RevokeSession { user: member.user, session: there.session };
        house.auth.sessions.ask(&scope(), own.clone()).await.expect("ended");
        assert_eq!(code(house.check(&there.access_token).await), "auth.session.ended");
        assert_eq!(code(refresh(house, &there.refresh_token).await), "auth.refresh.refused");
        let again = house.auth.sessions.ask(&scope(), own).await;
        assert_eq!(code(again), "auth.session.not_found");
        let left = house.auth.sessions.ask(&scope(), query).await.expect("listed");
        assert_eq!(left.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_logout_ends_this_session_and_a_logout_everywhere_ends_all() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let (one, two, three) =
            (house.session().await, house.session().await, house.session().await);
        let logout = Logout { user: member.user, session: one.session };
        house.auth.sessions.ask(&scope(), logout.clone()).await.expect("logged out");
        assert_eq!(forgotten_session(&house.gate).await, one.session.uuid());
        assert_eq!(code(house.check(&one.access_token).await), "auth.session.ended");
        assert!(house.check(&two.access_token).await.is_ok());
        house.auth.sessions.ask(&scope(), logout).await.expect("twice is no failure");
        assert_eq!(forgotten_session(&house.gate).await, one.session.uuid());
        let everywhere = LogoutEverywhere { user: member.user };
        house.auth.sessions.ask(&scope(), everywhere).await.expect("logged out");
        assert_eq!(forgotten_subject(&house.gate).await, member.user.uuid());
        for tokens in [two, three] {
            assert_eq!(code(house.check(&tokens.access_token).await), "auth.session.ended");
        }
    })
    .await;
}

#[tokio::test]
async fn an_old_token_of_a_session_that_was_logged_out_raises_no_alarm() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let first = house.session().await;
        refresh(house, &first.refresh_token).await.expect("exchanged");
        let logout = Logout { user: member.user, session: first.session };
        house.auth.sessions.ask(&scope(), logout).await.expect("logged out");
        house.clock.advance(MINUTE);
        assert_eq!(code(refresh(house, &first.refresh_token).await), "auth.refresh.refused");
        assert!(!house.event_kinds().await.contains(&"auth.refresh.reused".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_switch_answers_a_token_for_another_organisation_and_refreshes_stay_there() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let second = house.identity.join(member.user, "second", OrganisationStatus::Active);
        let tokens = house.session().await;
        let switch =
            Switch { user: member.user, session: tokens.session, organisation: Some(second) };
        let switched =
            house.auth.sessions.ask(&scope(), switch.clone()).await.expect("a member of both");
        let who = house.check(&switched.access_token).await.expect("good");
        assert_eq!(who.principal.tenant, Some(second.uuid()));
        let next = refresh(house, &tokens.refresh_token).await.expect("exchanged");
        assert_eq!(next.organisation, Some(second));
        let foreign = TenantId::from(Uuid::from_u128(9));
        let refused = Switch { organisation: Some(foreign), ..switch.clone() };
        let refused = house.auth.sessions.ask(&scope(), refused).await;
        assert_eq!(code(refused), "auth.organisation.unavailable");
        let none = Switch { organisation: None, ..switch.clone() };
        let left = house.auth.sessions.ask(&scope(), none).await.expect("leaves all");
        let who = house.check(&left.access_token).await.expect("good");
        assert_eq!(who.principal.tenant, None);
        let logout = Logout { user: member.user, session: tokens.session };
        house.auth.sessions.ask(&scope(), logout).await.expect("logged out");
        let late = house.auth.sessions.ask(&scope(), switch).await;
        assert_eq!(code(late), "auth.session.ended");
    })
    .await;
}

#[tokio::test]
async fn a_barred_user_loses_every_session_and_an_erased_one_the_password_too() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let tokens = house.session().await;
        let end = EndUser { user: member.user, erase: false };
        house.auth.sessions.ask(&scope(), end.clone()).await.expect("ended");
        assert_eq!(forgotten_subject(&house.gate).await, member.user.uuid());
        assert_eq!(code(house.check(&tokens.access_token).await), "auth.session.ended");
        assert!(house.log_in(MEMBER, PASSWORD).await.is_ok(), "reinstated, the password is there");
        let erase = EndUser { erase: true, ..end };
        house.auth.sessions.ask(&scope(), erase.clone()).await.expect("erased");
        house.auth.sessions.ask(&scope(), erase).await.expect("an event may come twice");
        assert_eq!(code(house.log_in(MEMBER, PASSWORD).await), "auth.login.refused");
    })
    .await;
}

#[tokio::test]
async fn who_leaves_an_organisation_and_who_is_in_a_closed_one_lose_the_sessions_there() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let organisation = member.organisation.expect("made one");
        let tokens = house.session().await;
        let elsewhere = house.log_in(ADMINISTRATOR, PASSWORD).await.expect("logs in");
        let leave = EndMembership { user: member.user, organisation };
        house.auth.sessions.ask(&scope(), leave).await.expect("ended");
        assert_eq!(forgotten_session(&house.gate).await, tokens.session.uuid());
        assert_eq!(forgotten_subject(&house.gate).await, member.user.uuid());
        assert_eq!(code(house.check(&tokens.access_token).await), "auth.session.ended");
        let back = house.session().await;
        house.auth.sessions.ask(&scope(), EndTenant { organisation }).await.expect("ended");
        let mut told = Vec::new();
        for _ in 0..2 {
            told.push(forgotten_session(&house.gate).await);
        }
        assert!(told.contains(&back.session.uuid()), "beside what ended a moment ago: {told:?}");
        assert_eq!(code(house.check(&back.access_token).await), "auth.session.ended");
        assert!(house.check(&elsewhere.access_token).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_sweep_deletes_what_is_long_past_and_nothing_else() {
    with_config(LASTING_KEYS, async |house: &House| {
        house.member().await;
        let old = house.session().await;
        house.clock.advance(45 * DAY);
        let fresh = house.session().await;
        let swept = house.auth.sessions.ask(&scope(), Sweep).await.expect("swept");
        assert!(swept.rows >= 2, "the session and its token: {swept:?}");
        assert_eq!(code(refresh(house, &old.refresh_token).await), "auth.refresh.refused");
        assert!(refresh(house, &fresh.refresh_token).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_refresh_of_a_barred_user_ends_the_session() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let tokens = house.session().await;
        house.identity.set_status(member.user, UserStatus::Suspended);
        let refused = refresh(house, &tokens.refresh_token).await;
        assert_eq!(code(refused), "auth.refresh.refused");
        assert_eq!(forgotten_session(&house.gate).await, tokens.session.uuid());
        house.identity.set_status(member.user, UserStatus::Active);
        assert_eq!(code(house.check(&tokens.access_token).await), "auth.session.ended");
        assert_eq!(code(refresh(house, &tokens.refresh_token).await), "auth.refresh.refused");
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_is_not_spent_when_identity_does_not_answer() {
    with_house(async |house: &House| {
        house.member().await;
        let tokens = house.session().await;
        house.identity.people().failing = Some(Failure::unavailable("test.down", "down"));
        assert_eq!(code(refresh(house, &tokens.refresh_token).await), "test.down");
        house.identity.people().failing = None;
        assert!(refresh(house, &tokens.refresh_token).await.is_ok());
    })
    .await;
}
