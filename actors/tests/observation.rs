//! What the system shows of itself.

use std::time::Duration;

use troupe_actors::{SortKey, TapLimits, TapSelector};

use crate::shop::{Add, Explode, Note, Slow, eventually, open, scope};

#[tokio::test]
async fn the_tree_shows_every_actor_with_its_place_and_counters() {
    let (running, shop, _) = open(|spec| spec.workers(3), 5).await;
    for _ in 0..5 {
        shop.ask(&scope(), Add { amount: 1 }).await.expect("answered");
    }
    let tree = running.system().tree(100);
    let pool = &tree[0].children[0];
    assert_eq!(pool.actor.path, "/node/root/shop");
    assert_eq!(pool.children.len(), 3);
    eventually("all five are counted", || {
        running.system().actor("/node/root/shop").is_some_and(|view| view.counts.handled == 5)
    })
    .await;
    assert_eq!(running.system().tree(2)[0].children[0].hidden_children, 3);
    running.shutdown().await;
}

#[tokio::test]
async fn the_busiest_come_first() {
    let (running, shop, _) = open(|spec| spec.stop_within(Duration::from_millis(20)), 5).await;
    shop.tell(&scope(), Slow { wait_ms: 10_000 }).expect("accepted");
    shop.tell(&scope(), Note { text: "waits".into() }).expect("accepted");
    eventually("the handler is seen waiting", || {
        let top = running.system().top(10, SortKey::Busy);
        top[0].busy_ms >= 5 && top[0].counts.depth == 1
    })
    .await;
    running.shutdown().await;
}

#[tokio::test]
async fn records_separate_waiting_from_handling() {
    let (running, shop, _) = open(|spec| spec, 5).await;
    shop.tell(&scope(), Slow { wait_ms: 40 }).expect("accepted");
    shop.ask(&scope(), Add { amount: 1 }).await.expect("answered");
    eventually("both are recorded", || running.system().records(10).len() == 2).await;
    let records = running.system().records(10);
    let (add, slow) = (&records[0], &records[1]);
    assert_eq!((&*add.kind, &*slow.kind), ("Add", "Slow"));
    assert!(add.began_nanos - add.sent_nanos >= 30_000_000, "it waited behind the slow one");
    assert!(add.ended_nanos - add.began_nanos < 30_000_000);
    assert!(slow.ended_nanos - slow.began_nanos >= 30_000_000);
    assert!(add.asked && !slow.asked);
    running.shutdown().await;
}

#[tokio::test]
async fn a_tap_shows_redacted_payloads_and_ends_by_itself() {
    let (running, shop, _) = open(|spec| spec, 100).await;
    let system = running.system().clone();
    let unselective = system.tap(TapSelector::default(), &TapLimits::default());
    assert!(unselective.is_err(), "a tap on everything is refused");
    let selector = TapSelector { protocol: Some("shop".into()), ..TapSelector::default() };
    let limits = TapLimits { records: 2, payload: true, ..TapLimits::default() };
    let tap = system.tap(selector, &limits).expect("opened");
    shop.ask(&scope(), Explode { password: "s3cret".into() }).await.expect_err("crashed");
    for amount in 0..5 {
        shop.ask(&scope(), Add { amount }).await.expect("answered");
    }
    let (records, _, open) = system.read_tap(tap).expect("known");
    assert_eq!(records.len(), 2, "it ended after two records");
    assert!(!open);
    let payload = records[0].payload.as_deref().expect("asked for");
    assert!(payload.contains("[redacted]") && !payload.contains("s3cret"));
    assert!(records[1].payload.as_deref().is_some_and(|payload| payload.contains("amount")));
    system.close_tap(tap);
    assert!(system.read_tap(tap).is_none());
    running.shutdown().await;
}

#[tokio::test]
async fn timings_are_kept_by_kind_of_message() {
    let (running, shop, _) = open(|spec| spec, 5).await;
    for _ in 0..20 {
        shop.ask(&scope(), Add { amount: 1 }).await.expect("answered");
    }
    eventually("they are timed", || {
        let kinds = running.system().kinds();
        kinds.iter().any(|kind| kind.kind == "Add" && kind.handling.count == 20)
    })
    .await;
    running.shutdown().await;
}

#[tokio::test]
async fn a_tap_takes_so_many_records_in_a_second_and_counts_the_others() {
    const MESSAGES: u64 = 80;
    let (running, shop, _) = open(|spec| spec, 5).await;
    let system = running.system().clone();
    let selector = TapSelector { protocol: Some("shop".into()), ..TapSelector::default() };
    let limits = TapLimits { records: 1000, payload: true, ..TapLimits::default() };
    let tap = system.tap(selector, &limits).expect("opened");
    for _ in 0..MESSAGES {
        shop.ask(&scope(), Add { amount: 1 }).await.expect("answered");
    }
    let (records, suppressed, open) = system.read_tap(tap).expect("known");
    assert_eq!(records.len() as u64 + suppressed, MESSAGES, "none is lost uncounted");
    assert!(suppressed > 0 && records.iter().all(|record| record.payload.is_some()));
    assert!(open);
    running.shutdown().await;
}
