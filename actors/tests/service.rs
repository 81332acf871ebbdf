//! Asking, telling, forwarding, deadlines and tasks.

use std::time::Duration;

use troupe_actors::{FailureKind, Origin, Scope, Supervisor};
use uuid::Uuid;

use crate::shop::{
    Add, ExplodeInTask, Forget, Note, PassOn, Refuse, ShopMessage, Slow, open, passing, scope,
    shop, system,
};

#[tokio::test]
async fn an_ask_is_answered_and_messages_of_one_sender_keep_their_order() {
    let (running, shop, _) = open(|spec| spec, 5).await;
    for amount in 1..=100u64 {
        let sum = shop.ask(&scope(), Add { amount }).await.expect("answered");
        assert_eq!(sum, amount * (amount + 1) / 2);
    }
    running.shutdown().await;
}

#[tokio::test]
async fn a_handlers_failure_reaches_the_asker() {
    let (running, shop, _) = open(|spec| spec, 5).await;
    let failure = shop.ask(&scope(), Refuse).await.expect_err("refused");
    assert_eq!((failure.kind(), failure.code()), (FailureKind::Conflict, "shop.refused"));
    running.shutdown().await;
}

#[tokio::test]
async fn a_forgotten_request_fails_at_once_rather_than_by_deadline() {
    let (running, shop, _) = open(|spec| spec, 5).await;
    let failure = shop.ask(&scope(), Forget).await.expect_err("forgotten");
    assert_eq!(failure.code(), "actors.reply.dropped");
    running.shutdown().await;
}

#[tokio::test]
async fn a_forwarded_request_is_answered_by_the_last_and_carries_its_origin() {
    let system = system();
    let (last, last_child) = shop(&system, "last").0.build();
    let (middle, middle_child) = passing(&system, "middle", last).build();
    let (first, first_child) = passing(&system, "first", middle).build();
    let root = Supervisor::new(&system, "root")
        .children([last_child, middle_child, first_child])
        .into_spec();
    let running = system.start(root).await.expect("starts");
    let request = Uuid::now_v7();
    let scope = Scope::root(Duration::from_secs(5), Origin::new(request));
    // The first passes on an Add, which the middle answers itself: one hop here, one typed reply.
    let answer = first.ask_answer(&scope, PassOn { amount: 7 }).await;
    assert_eq!(answer.result, Ok(7));
    assert_eq!(answer.origin.map(|origin| origin.request), Some(request));
    running.shutdown().await;
}

#[test]
fn what_is_written_with_a_changed_copy_of_a_scope_is_seen_by_whoever_has_the_first() {
    let mut origin = Origin::new(Uuid::now_v7());
    origin.seen = Some(3);
    let first = Scope::root(Duration::from_secs(5), origin);
    let mut copy = first.clone();
    copy.origin_mut().idempotency = None;
    copy.wrote(7);
    assert_eq!(
        (first.origin().map(|origin| origin.written.place()), first.seen()),
        (Some(7), Some(7))
    );
    first.wrote(9);
    assert_eq!(copy.for_tenant(Uuid::now_v7()).seen(), Some(9));
    let other = Scope::root(Duration::from_secs(5), Origin::new(Uuid::now_v7()));
    assert_eq!(other.origin().map(|origin| origin.written.place()), Some(0));
}

#[tokio::test]
async fn an_ask_ends_by_its_deadline_though_the_handler_is_stuck() {
    let (running, shop, _) = open(|spec| spec.stop_within(Duration::from_millis(50)), 5).await;
    let short = Scope::bare(Duration::from_millis(30));
    let failure = shop.ask(&short, Slow { wait_ms: 60_000 }).await.expect_err("too slow");
    assert_eq!(failure.kind(), FailureKind::Expired);
    let queued = shop.ask(&short, Add { amount: 1 }).await.expect_err("waits behind");
    assert_eq!(queued.kind(), FailureKind::Expired);
    running.shutdown().await;
}

#[tokio::test]
async fn an_expired_message_is_dropped_before_its_handler_and_counted() {
    let (running, shop, _) = open(|spec| spec, 5).await;
    let slow = shop.clone();
    let first = async { slow.ask(&scope(), Slow { wait_ms: 120 }).await };
    let second = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        shop.ask(&Scope::bare(Duration::from_millis(40)), Add { amount: 100 }).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first, Ok(0));
    assert_eq!(second.expect_err("expired").kind(), FailureKind::Expired);
    assert_eq!(shop.ask(&scope(), Add { amount: 1 }).await, Ok(1), "the expired one had no effect");
    let view = running.system().actor(&shop.path()).expect("it lives");
    assert_eq!(view.counts.expired, 1);
    running.shutdown().await;
}

#[tokio::test]
async fn a_panic_in_a_task_fails_its_asker_and_leaves_the_actor_alone() {
    let (running, shop, tally) = open(|spec| spec, 5).await;
    let failure = shop.ask(&scope(), ExplodeInTask).await.expect_err("it exploded");
    assert_eq!(failure.kind(), FailureKind::Crashed);
    assert_eq!(shop.ask(&scope(), Add { amount: 3 }).await, Ok(3));
    assert_eq!(tally.starts.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(running.system().crashes(1)[0].reason, "the task explodes");
    running.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn workers_share_a_mailbox_and_wait_side_by_side() {
    let (running, shop, _) = open(|spec| spec.workers(8), 5).await;
    let began = tokio::time::Instant::now();
    let asks: Vec<_> = (0..8)
        .map(|_| {
            let shop = shop.clone();
            async move { shop.ask(&scope(), Slow { wait_ms: 200 }).await }
        })
        .collect();
    let answers = futures_util::future::join_all(asks).await;
    assert!(answers.iter().all(Result::is_ok));
    let virtual_time = began.elapsed();
    assert!(virtual_time < Duration::from_millis(2 * 200), "they did not queue for one worker");
    running.shutdown().await;
}

#[tokio::test]
async fn shutdown_handles_what_waits_and_refuses_what_comes() {
    let (running, shop, tally) = open(|spec| spec, 5).await;
    shop.tell(&scope(), Slow { wait_ms: 50 }).expect("accepted");
    for _ in 0..10 {
        shop.tell(&scope(), Note { text: "kept".into() }).expect("accepted");
    }
    let system = running.system().clone();
    running.shutdown().await;
    assert_eq!(tally.stops.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(system.dead_letter_count(), 0, "everything that waited was handled");
    assert_eq!(system.actor_count(), 0, "no actor is left");
    let late = shop.tell(&scope(), Note { text: "late".into() }).expect_err("closed");
    assert_eq!(late.kind(), FailureKind::Stopped);
    let message = ShopMessage::from(Add { amount: 1 });
    assert!(shop.tell(&scope(), message).is_err());
}
