//! The log stays within bounds.

use std::sync::Arc;
use std::time::Duration;

use troupe_database::DbConn;
use troupe_database::prelude::*;
use troupe_database::schema::{consumer_offsets, outbox};
use troupe_database::{Db, UnitOfWork};
use troupe_events::{EventsConfig, Trim};
use troupe_kernel::ManualClock;

use crate::place::on_both;
use crate::recorder::{Node, Shared, applied, config, count, scope, until};

async fn log_length(db: &Db) -> i64 {
    db.read(async |conn: &mut DbConn| {
        Ok(run!(conn, |c| outbox::table.count().get_result::<i64>(c))?)
    })
    .await
    .unwrap()
}

async fn trim(node: &Node) -> u64 {
    node.events.retention().unwrap().ask(&scope(), Trim).await.unwrap()
}

#[tokio::test]
async fn what_every_consumer_has_read_is_removed_after_a_while_and_the_rest_much_later() {
    on_both(async |place| {
        let clock = Arc::new(ManualClock::default());
        let notes = Shared::default();
        let day = Duration::from_secs(24 * 3_600);
        let config = EventsConfig { keep: day, keep_max: 10 * day, ..config() };
        let node = Node::start(place.open_with(clock.clone()).await, &notes, config).await;
        for number in 0..3 {
            count(&node.db, "a", number).await;
        }
        until("all is applied", async || applied(&node.db, "a").await.len() == 3).await;
        assert_eq!(trim(&node).await, 0, "it is too young");
        // A consumer of another node that has read nothing yet.
        node.db
            .transaction(&scope(), async |uow: &mut UnitOfWork| {
                let slow = (
                    consumer_offsets::consumer.eq("elsewhere.slow"),
                    consumer_offsets::transaction_id.eq(0),
                    consumer_offsets::position.eq(0),
                    consumer_offsets::updated_at.eq(DbTimestamp(uow.now())),
                );
                let conn = uow.conn();
                run!(conn, |c| diesel::insert_into(consumer_offsets::table)
                    .values(slow)
                    .execute(c))?;
                Ok(())
            })
            .await
            .unwrap();
        clock.advance(2 * day);
        assert_eq!(trim(&node).await, 0, "a consumer has not read it");
        count(&node.db, "a", 3).await;
        until("all is applied", async || applied(&node.db, "a").await.len() == 4).await;
        // The offset is stored after the last delivery.
        until("all is read", async || {
            let lags = node.events.lag().await.unwrap();
            lags.iter().any(|lag| lag.consumer == "recorder" && lag.events == 0)
        })
        .await;
        clock.advance(9 * day);
        assert_eq!(trim(&node).await, 4, "the slow consumer has not moved for too long");
        assert_eq!(log_length(&node.db).await, 0);
        node.stop().await;
    })
    .await;
}
