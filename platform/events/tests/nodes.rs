//! The contract of every bus: several nodes on one database.

use std::time::Duration;

use troupe_database::Dialect;
use troupe_events::EventsConfig;

use crate::place::{Place, on_each};
use crate::recorder::{Mortal, Node, Shared, applied, count, until};

/// A second node hears of commits by polling only.
fn polling(place: &Place) -> EventsConfig {
    EventsConfig { poll: Duration::from_millis(50), ..place.events() }
}

#[tokio::test]
async fn two_nodes_deliver_each_event_once() {
    on_each(async |place| {
        let notes = Shared::default();
        let one = Node::start(place.open().await, &notes, polling(place)).await;
        if one.db.dialect() == Dialect::Postgres {
            let two = Node::start(place.open().await, &notes, polling(place)).await;
            for number in 0..30 {
                count(if number % 2 == 0 { &one.db } else { &two.db }, "a", number).await;
            }
            until("all is applied", async || applied(&one.db, "a").await.len() == 30).await;
            assert_eq!(applied(&one.db, "a").await, (0..30).collect::<Vec<_>>());
            let delivered = notes.lock().delivered.len();
            assert!(delivered == 30 || place.may_repeat(), "{delivered}");
            two.stop().await;
        }
        one.stop().await;
    })
    .await;
}

#[tokio::test]
async fn another_node_takes_over_from_one_that_was_killed() {
    on_each(async |place| {
        let notes = Shared::default();
        let db = place.open().await;
        let one = Mortal::start(place, &notes, polling(place)).await;
        count(&db, "a", 1).await;
        until("the first is applied", async || applied(&db, "a").await == [1]).await;
        one.kill();
        let two = Node::start(place.open().await, &notes, polling(place)).await;
        count(&two.db, "a", 2).await;
        until("the second is applied", async || applied(&two.db, "a").await == [1, 2]).await;
        two.stop().await;
    })
    .await;
}

#[tokio::test]
async fn another_node_need_not_wait_for_one_that_stopped_in_order() {
    on_each(async |place| {
        let notes = Shared::default();
        let patient = EventsConfig { lease: Duration::from_secs(3_600), ..polling(place) };
        let one = Node::start(place.open().await, &notes, patient.clone()).await;
        count(&one.db, "a", 1).await;
        until("the first is applied", async || applied(&one.db, "a").await == [1]).await;
        one.stop().await;
        let two = Node::start(place.open().await, &notes, patient).await;
        count(&two.db, "a", 2).await;
        until("the second is applied", async || applied(&two.db, "a").await == [1, 2]).await;
        two.stop().await;
    })
    .await;
}
