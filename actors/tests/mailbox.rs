//! Bounds, priorities and dead letters.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use troupe_actors::{DeadReason, FailureKind, Priority, Scope, Supervisor};

use crate::shop::{Add, AddLater, Note, Slow, eventually, open, scope, shop, system};

#[tokio::test]
async fn a_full_mailbox_refuses_with_a_wait_and_the_service_goes_on() {
    let (running, shop, _) = open(|spec| spec.capacity(10), 5).await;
    shop.tell(&scope(), Slow { wait_ms: 100 }).expect("accepted");
    eventually("the slow one is being handled", || shop.depth() == 0).await;
    let sent: Vec<_> =
        (0..20).map(|_| shop.tell(&scope(), Note { text: "one of many".into() })).collect();
    assert_eq!(sent.iter().filter(|sent| sent.is_ok()).count(), 9, "nine tenths for ordinary work");
    let refused = sent.into_iter().find_map(Result::err).expect("some were refused");
    assert_eq!(refused.kind(), FailureKind::Overloaded);
    assert!(refused.retry_after_duration().is_some());
    let high = scope().with_priority(Priority::High);
    shop.tell(&high, Note { text: "urgent".into() }).expect("the last tenth is for the platform");
    let low = scope().with_priority(Priority::Low);
    assert!(shop.tell(&low, Note { text: "crawler".into() }).is_err());
    let view = running.system().actor(&shop.path()).expect("it lives");
    assert_eq!(view.counts.shed, 12);
    assert_eq!(
        shop.ask(&high, Add { amount: 0 }).await.map_err(|failure| failure.kind()),
        Err(FailureKind::Overloaded)
    );
    eventually("the mailbox is empty again", || shop.depth() == 0).await;
    assert_eq!(shop.ask(&scope(), Add { amount: 0 }).await, Ok(10));
    running.shutdown().await;
}

#[tokio::test]
async fn what_a_stopped_service_had_no_time_for_becomes_dead_letters() {
    let (running, shop, _) = open(|spec| spec.stop_within(Duration::from_millis(30)), 5).await;
    shop.tell(&scope(), Slow { wait_ms: 60_000 }).expect("accepted");
    shop.tell(&scope(), Note { text: "left over".into() }).expect("accepted");
    let asked = {
        let shop = shop.clone();
        async move { shop.ask(&scope(), Add { amount: 1 }).await }
    };
    let system = running.system().clone();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        running.shutdown().await;
    };
    let (asked, ()) = tokio::join!(asked, stop);
    assert_eq!(asked.expect_err("never handled").kind(), FailureKind::Stopped);
    let dead = system.dead_letters(10);
    assert_eq!(dead.len(), 2);
    assert!(dead.iter().all(|letter| letter.reason == DeadReason::Stopped));
    assert!(dead.iter().any(|letter| letter.payload.contains("left over") && !letter.asked));
}

#[tokio::test(start_paused = true)]
async fn a_system_stops_within_its_own_time_however_many_actors_use_up_theirs() {
    let system = system();
    let opened = (0..5).map(|number| {
        let (spec, tally) = shop(&system, &format!("shop-{number}"));
        let (shop, child) = spec.stop_within(Duration::from_secs(10)).build();
        (shop, child, tally)
    });
    let (mut shops, mut children, mut tallies) = (Vec::new(), Vec::new(), Vec::new());
    for (shop, child, tally) in opened {
        shops.push(shop);
        children.push(child);
        tallies.push(tally);
    }
    let root = Supervisor::new(&system, "root").children(children).into_spec();
    let running = system.start(root).await.expect("starts");
    for shop in &shops[1..] {
        shop.tell(&scope(), Slow { wait_ms: 60_000 }).expect("accepted");
    }
    let began = Instant::now();
    system.stop_within(Duration::from_secs(12));
    running.shutdown().await;
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(12) && took < Duration::from_secs(16), "{took:?}");
    assert_eq!(tallies[0].stops.load(Ordering::SeqCst), 1, "the last one ends in order");
}

#[tokio::test]
async fn an_expired_notice_becomes_a_dead_letter() {
    let (running, shop, _) = open(|spec| spec, 5).await;
    shop.tell(&scope(), Slow { wait_ms: 80 }).expect("accepted");
    shop.tell(&Scope::bare(Duration::from_millis(10)), Note { text: "too late".into() })
        .expect("accepted");
    let system = running.system().clone();
    eventually("it is buried", || system.dead_letter_count() == 1).await;
    assert_eq!(system.dead_letters(1)[0].reason, DeadReason::Expired);
    running.shutdown().await;
}

#[tokio::test]
async fn the_result_of_a_task_is_taken_though_the_mailbox_is_full() {
    let (running, shop, _) = open(|spec| spec.capacity(2), 5).await;
    shop.tell(&scope(), AddLater { amount: 100, wait_ms: 150 }).expect("accepted");
    eventually("its task has begun", || shop.depth() == 0).await;
    shop.tell(&scope(), Slow { wait_ms: 600 }).expect("accepted");
    eventually("the slow one is being handled", || shop.depth() == 0).await;
    let high = scope().with_priority(Priority::High);
    for _ in 0..2 {
        shop.tell(&high, Note { text: "fills".into() }).expect("room for two");
    }
    eventually("the report has come besides", || shop.depth() == 3).await;
    eventually("all are handled", || shop.depth() == 0).await;
    assert_eq!(shop.ask(&scope(), Add { amount: 0 }).await, Ok(102));
    running.shutdown().await;
}
