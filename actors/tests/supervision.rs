//! Crashes, restarts, strategies, escalation.

use std::sync::atomic::Ordering;
use std::time::Duration;

use troupe_actors::{
    ActorState, Backoff, CrashDecision, FailureKind, Restart, Strategy, Supervisor,
};

use crate::shop::{Add, AddLater, Explode, Note, Slow, eventually, open, scope, shop, system};

fn bomb() -> Explode {
    Explode { password: "hunter2 hunter2".into() }
}

#[tokio::test]
async fn a_crash_costs_one_message_and_keeps_those_that_wait() {
    let (running, shop, tally) = open(|spec| spec, 5).await;
    shop.tell(&scope(), Slow { wait_ms: 30 }).expect("accepted");
    let bombed = {
        let shop = shop.clone();
        async move { shop.ask(&scope(), bomb()).await }
    };
    let after = {
        let shop = shop.clone();
        async move {
            let notes = (0..50).map(|_| shop.tell(&scope(), Note { text: "kept".into() }));
            assert!(notes.into_iter().all(|sent| sent.is_ok()));
            shop.ask(&scope(), Add { amount: 0 }).await
        }
    };
    let (bombed, after) = tokio::join!(bombed, after);
    assert_eq!(bombed.expect_err("it crashed").kind(), FailureKind::Crashed);
    assert_eq!(after, Ok(50), "the fifty that waited were handled by the next incarnation");
    assert_eq!(tally.starts.load(Ordering::SeqCst), 2);
    running.shutdown().await;
}

#[tokio::test]
async fn a_report_of_an_earlier_incarnation_does_not_reach_the_next() {
    let (running, shop, tally) = open(|spec| spec, 5).await;
    shop.tell(&scope(), AddLater { amount: 100, wait_ms: 10 }).expect("accepted");
    shop.tell(&scope(), Slow { wait_ms: 60 }).expect("accepted");
    // The report waits behind this crash, which was sent before the task ended.
    shop.ask(&scope(), bomb()).await.expect_err("it crashed");
    eventually("it is back", || tally.starts.load(Ordering::SeqCst) == 2).await;
    assert_eq!(shop.ask(&scope(), Add { amount: 1 }).await, Ok(1));
    let counts = running.system().actor(&shop.path()).expect("it lives").counts;
    assert_eq!(counts.dead, 1, "the report is accounted for");
    shop.tell(&scope(), AddLater { amount: 10, wait_ms: 1 }).expect("accepted");
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert_eq!(shop.ask(&scope(), Add { amount: 1 }).await, Ok(12), "its own report reaches it");
    running.shutdown().await;
}

#[tokio::test]
async fn a_crash_record_shows_place_killer_and_decision_without_secrets() {
    let (running, shop, _) = open(|spec| spec, 5).await;
    for amount in 0..3 {
        shop.ask(&scope(), Add { amount }).await.expect("answered");
    }
    shop.ask(&scope(), bomb()).await.expect_err("it crashed");
    eventually("the supervisor decides", || {
        running.system().crashes(1)[0].decision != CrashDecision::Pending
    })
    .await;
    let crash = running.system().crashes(1).remove(0);
    assert_eq!(crash.reason, "the shop explodes");
    assert!(crash.location.is_some_and(|place| place.contains("shop.rs")));
    assert_eq!(crash.killer_kind.as_deref(), Some("Explode"));
    let killer = crash.killer.expect("the message was on loan");
    assert!(killer.contains("[redacted]") && !killer.contains("hunter2"));
    assert_eq!(crash.before.len(), 4, "the killer and the three before it");
    assert!(matches!(crash.decision, CrashDecision::Restart { .. }));
    running.shutdown().await;
}

#[tokio::test]
async fn too_many_crashes_escalate_and_fail_the_root() {
    let (running, shop, tally) = open(|spec| spec, 2).await;
    for _ in 0..3 {
        shop.ask(&scope(), bomb()).await.expect_err("it crashed");
    }
    running.failed().await;
    assert!(!running.is_healthy());
    assert_eq!(tally.starts.load(Ordering::SeqCst), 3);
    assert_eq!(running.system().crashes(1)[0].decision, CrashDecision::Escalated);
    running.shutdown().await;
}

#[tokio::test]
async fn an_escalation_restarts_the_whole_subtree_with_its_mailboxes() {
    let system = system();
    let (spec, tally) = shop(&system, "fragile");
    let (fragile, fragile_child) = spec.build();
    let (spec, sibling_tally) = shop(&system, "sibling");
    let (sibling, sibling_child) = spec.build();
    let inner = Supervisor::new(&system, "inner")
        .intensity(1, Duration::from_secs(10))
        .backoff(Backoff::none())
        .children([sibling_child, fragile_child])
        .into_spec();
    let root = Supervisor::new(&system, "root").child(inner).into_spec();
    let running = system.start(root).await.expect("starts");
    for _ in 0..2 {
        fragile.ask(&scope(), bomb()).await.expect_err("it crashed");
    }
    assert_eq!(fragile.ask(&scope(), Add { amount: 1 }).await, Ok(1), "it is back");
    assert_eq!(sibling.ask(&scope(), Add { amount: 1 }).await, Ok(1), "and so is its sibling");
    assert_eq!(tally.starts.load(Ordering::SeqCst), 3);
    assert_eq!(sibling_tally.starts.load(Ordering::SeqCst), 2);
    assert_eq!(sibling_tally.stops.load(Ordering::SeqCst), 1, "the sibling was stopped in order");
    assert!(running.is_healthy());
    running.shutdown().await;
}

async fn starts_after_the_second_crashes(strategy: Strategy) -> [u32; 3] {
    let system = system();
    let mut tallies = Vec::new();
    let mut shops = Vec::new();
    let mut root = Supervisor::new(&system, "root").strategy(strategy).backoff(Backoff::none());
    for name in ["first", "second", "third"] {
        let (spec, tally) = shop(&system, name);
        let (reference, child) = spec.build();
        root = root.child(child);
        tallies.push(tally);
        shops.push(reference);
    }
    let running = system.start(root.into_spec()).await.expect("starts");
    shops[1].ask(&scope(), bomb()).await.expect_err("it crashed");
    for shop in &shops {
        shop.ask(&scope(), Add { amount: 1 }).await.expect("all three serve again");
    }
    running.shutdown().await;
    [0, 1, 2].map(|index: usize| tallies[index].starts.load(Ordering::SeqCst))
}

#[tokio::test]
async fn each_strategy_restarts_whom_it_says() {
    assert_eq!(starts_after_the_second_crashes(Strategy::OneForOne).await, [1, 2, 1]);
    assert_eq!(starts_after_the_second_crashes(Strategy::OneForAll).await, [2, 2, 2]);
    assert_eq!(starts_after_the_second_crashes(Strategy::RestForOne).await, [1, 2, 2]);
}

#[tokio::test]
async fn a_temporary_child_stays_down_and_buries_what_comes() {
    let (running, shop, tally) = open(|spec| spec.restart(Restart::Temporary), 5).await;
    shop.ask(&scope(), bomb()).await.expect_err("it crashed");
    eventually("it is closed", || shop.tell(&scope(), Note { text: "hello".into() }).is_err())
        .await;
    assert_eq!(tally.starts.load(Ordering::SeqCst), 1);
    assert_eq!(running.system().crashes(1)[0].decision, CrashDecision::LeftStopped);
    running.shutdown().await;
}

#[tokio::test]
async fn a_start_that_fails_at_first_fails_the_system_and_stops_the_others() {
    let system = system();
    let (spec, good) = shop(&system, "good");
    let (_, good_child) = spec.build();
    let (spec, bad) = shop(&system, "bad");
    bad.failing_starts.store(1, Ordering::SeqCst);
    let (_, bad_child) = spec.build();
    let root = Supervisor::new(&system, "root").children([good_child, bad_child]).into_spec();
    let failure = system.start(root).await.err().expect("it cannot start");
    assert_eq!(failure.code(), "shop.closed");
    assert_eq!(good.stops.load(Ordering::SeqCst), 1);
    assert_eq!(system.actor_count(), 0);
}

#[tokio::test]
async fn a_restart_that_fails_is_tried_again() {
    let (running, shop, tally) = open(|spec| spec, 5).await;
    tally.failing_starts.store(2, Ordering::SeqCst);
    shop.ask(&scope(), bomb()).await.expect_err("it crashed");
    assert_eq!(shop.ask(&scope(), Add { amount: 1 }).await, Ok(1));
    assert_eq!(tally.starts.load(Ordering::SeqCst), 4);
    running.shutdown().await;
}

#[tokio::test]
async fn a_crashing_worker_leaves_the_others_at_work() {
    let (running, shop, tally) = open(|spec| spec.workers(4), 5).await;
    let slow = shop.ask(&scope(), Slow { wait_ms: 100 }).await;
    assert!(slow.is_ok());
    shop.ask(&scope(), bomb()).await.expect_err("one crashed");
    eventually("it is back", || tally.starts.load(Ordering::SeqCst) == 5).await;
    assert!(shop.ask(&scope(), Add { amount: 1 }).await.is_ok());
    running.shutdown().await;
}

#[tokio::test]
async fn children_are_added_while_a_supervisor_runs() {
    let system = system();
    let (supervisor, root) = Supervisor::new(&system, "root").build();
    let running = system.start(root).await.expect("starts");
    let (late, child) = shop(&system, "late").0.build();
    supervisor.start_child(child).await.expect("it is added");
    assert_eq!(late.ask(&scope(), Add { amount: 1 }).await, Ok(1));
    let view = system.actor("/node/root/late").expect("it has its place");
    assert_eq!(view.state, ActorState::Running);
    running.shutdown().await;
    assert_eq!(system.actor_count(), 0);
    let (_, child) = shop(&system, "too late").0.build();
    assert!(supervisor.start_child(child).await.is_err());
}

#[tokio::test]
async fn a_child_restarts_though_others_before_it_are_forgotten_while_it_waits() {
    let system = system();
    let specs = ["first", "second", "third", "last"].map(|name| shop(&system, name).0);
    let [first, second, third, last] = specs.map(|spec| spec.restart(Restart::Temporary).build());
    let slow = Backoff { first: Duration::from_millis(150), ..Backoff::default() };
    let (supervisor, root) = Supervisor::new(&system, "root")
        .backoff(slow)
        .children([first.1, second.1, third.1, last.1.restart(Restart::Permanent)])
        .build();
    let running = system.start(root).await.expect("the shops open");
    for shop in [&first.0, &second.0, &third.0, &last.0] {
        shop.ask(&scope(), bomb()).await.expect_err("it crashed");
    }
    eventually("the temporary ones are gone", || running.system().actor_count() == 2).await;
    let (added, child) = shop(&system, "added").0.build();
    supervisor.start_child(child).await.expect("it opens");
    assert_eq!(last.0.ask(&scope(), Add { amount: 1 }).await, Ok(1));
    assert_eq!(added.ask(&scope(), Add { amount: 1 }).await, Ok(1));
    running.shutdown().await;
}
