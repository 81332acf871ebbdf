//! A database that moved to a younger PostgreSQL cluster, as a dump that is restored does.

use std::time::Duration;

use troupe_database::testing::TestDatabase;
use troupe_database::{Db, Dialect, Plan, UnitOfWork};
use troupe_events::{EventsConfig, Position};

use crate::recorder::{Node, Shared, applied, config, count, migrations, scope, until};

/// By how much the transactions of the other cluster were ahead.
const AHEAD: i64 = 1_000_000_000;

/// Lets everything stored come from a cluster whose transactions were ahead of this one's.
async fn come_from_elsewhere(db: &Db) {
    db.transaction(&scope(), async |uow: &mut UnitOfWork| {
        for table in ["outbox", "consumer_offsets"] {
            let sql = format!("UPDATE {table} SET transaction_id = transaction_id + {AHEAD}");
            uow.conn().batch(&sql).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
}

/// What a node does with its database before it starts its actors.
async fn prepared(database: &TestDatabase) -> Db {
    let db = database.open().await;
    db.migrate(&Plan::merge(&[&migrations()]).unwrap()).await.unwrap();
    db
}

async fn position(node: &Node) -> Position {
    node.events.lag().await.unwrap()[0].position
}

#[tokio::test]
async fn the_log_goes_on_in_a_cluster_whose_transactions_are_behind() {
    let Some(database) = TestDatabase::create(Dialect::Postgres, &migrations()).await else {
        return;
    };
    let polling = || EventsConfig { poll: Duration::from_millis(50), ..config() };
    let notes = Shared::default();
    let one = Node::start(prepared(&database).await, &notes, polling()).await;
    count(&one.db, "a", 1).await;
    count(&one.db, "b", 2).await;
    until("the first are read", async || {
        applied(&one.db, "b").await == [2] && one.events.lag().await.unwrap()[0].events == 0
    })
    .await;
    one.stop().await;

    let db = prepared(&database).await;
    // Written, not delivered, and of two subjects: one goes on afterwards and one does not.
    count(&db, "a", 3).await;
    count(&db, "c", 4).await;
    come_from_elsewhere(&db).await;
    drop(db);

    let two = Node::start(prepared(&database).await, &notes, polling()).await;
    count(&two.db, "a", 5).await;
    count(&two.db, "d", 6).await;
    until("old and new are applied", async || {
        let mut numbers = Vec::new();
        for subject in ["a", "c", "d"] {
            numbers.extend(applied(&two.db, subject).await);
        }
        numbers == [1, 3, 5, 4, 6]
    })
    .await;
    let mut delivered = notes.lock().delivered.clone();
    delivered.sort_unstable();
    assert_eq!(delivered, [1, 2, 3, 4, 5, 6], "each once");
    until("all is read", async || two.events.lag().await.unwrap()[0].events == 0).await;
    let moved = position(&two).await;
    assert!(moved.transaction > AHEAD, "{moved:?}");
    two.stop().await;

    // Another start in the same cluster finds its own transactions and lets the base be.
    let three = Node::start(prepared(&database).await, &notes, polling()).await;
    count(&three.db, "a", 7).await;
    until("the last is applied", async || applied(&three.db, "a").await.contains(&7)).await;
    until("all is read", async || three.events.lag().await.unwrap()[0].events == 0).await;
    let gone = position(&three).await.transaction - moved.transaction;
    assert!((1..AHEAD).contains(&gone), "the base rose again: {gone}");
    assert_eq!(notes.lock().delivered.len(), 7);
    three.stop().await;
    database.remove().await;
}
