//! Several nodes on one database: one delivers at a time.

use std::time::Duration;

use troupe_database::Dialect;
use troupe_events::EventsConfig;

use crate::recorder::{Mortal, Node, Shared, applied, config, count, on_both, until};

/// A second node hears of commits by polling only.
fn polling() -> EventsConfig {
    EventsConfig { poll: Duration::from_millis(50), ..config() }
}

#[tokio::test]
async fn two_nodes_deliver_each_event_once() {
    on_both(async |database| {
        let notes = Shared::default();
        let one = Node::start(database.open().await, &notes, polling()).await;
        if one.db.dialect() == Dialect::Postgres {
            let two = Node::start(database.open().await, &notes, polling()).await;
            for number in 0..30 {
                count(if number % 2 == 0 { &one.db } else { &two.db }, "a", number).await;
            }
            until("all is applied", async || applied(&one.db, "a").await.len() == 30).await;
            assert_eq!(notes.lock().delivered, (0..30).collect::<Vec<_>>());
            two.stop().await;
        }
        one.stop().await;
    })
    .await;
}

#[tokio::test]
async fn another_node_takes_over_from_one_that_was_killed() {
    on_both(async |database| {
        let notes = Shared::default();
        let db = database.open().await;
        let one = Mortal::start(database, &notes, polling()).await;
        count(&db, "a", 1).await;
        until("the first is applied", async || applied(&db, "a").await == [1]).await;
        one.kill();
        let two = Node::start(database.open().await, &notes, polling()).await;
        count(&two.db, "a", 2).await;
        until("the second is applied", async || applied(&two.db, "a").await == [1, 2]).await;
        two.stop().await;
    })
    .await;
}

#[tokio::test]
async fn another_node_need_not_wait_for_one_that_stopped_in_order() {
    on_both(async |database| {
        let notes = Shared::default();
        let patient = EventsConfig { lease: Duration::from_secs(3_600), ..polling() };
        let one = Node::start(database.open().await, &notes, patient.clone()).await;
        count(&one.db, "a", 1).await;
        until("the first is applied", async || applied(&one.db, "a").await == [1]).await;
        one.stop().await;
        let two = Node::start(database.open().await, &notes, patient).await;
        count(&two.db, "a", 2).await;
        until("the second is applied", async || applied(&two.db, "a").await == [1, 2]).await;
        two.stop().await;
    })
    .await;
}
