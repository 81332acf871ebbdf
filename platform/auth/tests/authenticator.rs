//! The port the gates ask: live sessions, and tokens that belong to others.

use std::time::Duration;

use troupe_actors::FailureKind;
use troupe_auth::SecretText;
use troupe_auth::messages::{EndMembership, ListSessions, Switch};
use troupe_auth::repository::sessions;
use troupe_database::UnitOfWork;
use troupe_identity_messages::OrganisationStatus;
use troupe_kernel::ids::SessionId;
use uuid::Uuid;

use crate::harness::{House, code, forgotten_session, forgotten_subject, scope, with_house};

#[tokio::test]
async fn what_is_no_token_is_refused_as_unauthenticated() {
    with_house(async |house: &House| {
        house.member().await;
        let tokens = house.session().await;
        let mut changed = tokens.access_token.expose().to_owned();
        changed.replace_range(40..41, if &changed[40..41] == "A" { "B" } else { "A" });
        for wrong in ["", "a", "a.b.c", tokens.refresh_token.expose(), &changed, &"x".repeat(9_000)]
        {
            let refused = house.check(&SecretText::new(wrong)).await.expect_err("refused");
            assert_eq!(refused.kind(), FailureKind::Unauthenticated, "{wrong}");
            assert_eq!(refused.code(), "auth.token.invalid", "{wrong}");
            assert!(!refused.detail().contains("kid"), "it does not say why: {refused}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_of_a_session_that_belongs_to_somebody_else_is_refused() {
    with_house(async |house: &House| {
        house.member().await;
        let tokens = house.session().await;
        let session: SessionId = tokens.session;
        house
            .db
            .transaction(&scope(), async move |uow: &mut UnitOfWork| {
                let row = sessions::find(uow.conn(), session).await?.expect("is there");
                sessions::erase(uow.conn(), row.user_id.to()).await?;
                let other = troupe_database::DbUuid::from(Uuid::from_u128(7));
                sessions::insert(uow.conn(), &sessions::SessionRow { user_id: other, ..row })
                    .await?;
                Ok(())
            })
            .await
            .expect("the row is exchanged");
        assert_eq!(code(house.check(&tokens.access_token).await), "auth.session.ended");
    })
    .await;
}

#[tokio::test]
async fn many_checks_at_once_answer_each_for_itself() {
    with_house(async |house: &House| {
        house.member().await;
        let mut all = Vec::new();
        for _ in 0..8 {
            all.push(house.session().await);
        }
        let ended = all[3].session;
        let revoke = troupe_auth::messages::RevokeSession { user: all[3].user, session: ended };
        house.auth.sessions.ask(&scope(), revoke).await.expect("ended");
        let checks = all.iter().map(|tokens| house.check(&tokens.access_token));
        let results = join(checks.collect()).await;
        for (tokens, result) in all.iter().zip(results) {
            if tokens.session == ended {
                assert_eq!(code(result), "auth.session.ended");
            } else {
                let who = result.expect("live");
                assert_eq!(who.principal.session, Some(tokens.session.uuid()));
            }
        }
    })
    .await;
}

/// All futures on one task, polled together.
async fn join<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut results: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    results.into_iter().flatten().collect()
}

#[tokio::test]
async fn the_last_use_of_a_session_is_noted_once_a_minute() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let tokens = house.session().await;
        let started = house.now();
        house.clock.advance(Duration::from_secs(59));
        house.check(&tokens.access_token).await.expect("live");
        let query = ListSessions { user: member.user, current: None };
        let shown = house.auth.sessions.ask(&scope(), query.clone()).await.expect("listed");
        assert_eq!(shown[0].last_seen_at, started, "not yet");
        house.clock.advance(Duration::from_secs(1));
        house.check(&tokens.access_token).await.expect("live");
        for _ in 0..200 {
            let shown = house.auth.sessions.ask(&scope(), query.clone()).await.expect("listed");
            if shown[0].last_seen_at == house.now() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("the use was never noted");
    })
    .await;
}

#[tokio::test]
async fn a_token_is_refused_when_its_session_has_moved_to_another_organisation() {
    with_house(async |house: &House| {
        let member = house.member().await;
        let first = member.organisation.expect("made one");
        let second = house.identity.join(member.user, "second", OrganisationStatus::Active);
        let tokens = house.session().await;
        let switch = async |organisation| {
            let request = Switch { user: member.user, session: tokens.session, organisation };
            let switched = house.auth.sessions.ask(&scope(), request).await.expect("switches");
            assert_eq!(forgotten_session(&house.gate).await, tokens.session.uuid());
            switched.access_token
        };
        let there = switch(Some(second)).await;
        assert_eq!(code(house.check(&tokens.access_token).await), "auth.session.moved");
        assert!(house.check(&there).await.is_ok());
        let leave = EndMembership { user: member.user, organisation: first };
        house.auth.sessions.ask(&scope(), leave).await.expect("left");
        assert_eq!(code(house.check(&tokens.access_token).await), "auth.session.moved");
        assert!(house.check(&there).await.is_ok(), "it is not of the organisation that was left");
        assert_eq!(forgotten_subject(&house.gate).await, member.user.uuid());
        let nowhere = switch(None).await;
        assert_eq!(code(house.check(&there).await), "auth.session.moved");
        assert!(house.check(&nowhere).await.is_ok());
    })
    .await;
}
