//! The contract of every bus: each event reaches its service, in order, and is applied once.

use std::time::Duration;

use tokio::sync::oneshot;
use troupe_database::UnitOfWork;
use troupe_database::prelude::*;
use troupe_database::schema::consumer_offsets;
use troupe_events::EventsConfig;
use troupe_kernel::{Event, EventBus};

use crate::place::on_each;
use crate::recorder::{Node, Shared, applied, count, scope, until};

#[tokio::test]
async fn events_of_a_subject_arrive_in_order_soon_after_their_commit() {
    on_each(async |place| {
        let notes = Shared::default();
        let db = place.open().await;
        // On SQLite the poll comes after ten minutes, so that only the commits wake the consumer. On
        // PostgreSQL a transaction of another test's database may keep a commit from being read.
        let poll = match db.dialect() {
            Dialect::Sqlite => Duration::from_secs(600),
            Dialect::Postgres => place.events().poll,
        };
        let node = Node::start(db, &notes, EventsConfig { poll, ..place.events() }).await;
        for number in 0..25 {
            count(&node.db, "a", number).await;
            count(&node.db, "b", 100 + number).await;
            node.db
                .transaction(&scope(), async |uow: &mut UnitOfWork| {
                    uow.event(Event::new("test.other", "a", &0));
                    Ok(())
                })
                .await
                .unwrap();
        }
        until("all is applied", async || {
            applied(&node.db, "b").await.len() == 25 && applied(&node.db, "a").await.len() == 25
        })
        .await;
        assert_eq!(applied(&node.db, "a").await, (0..25).collect::<Vec<_>>());
        assert_eq!(applied(&node.db, "b").await, (100..125).collect::<Vec<_>>());
        let delivered = notes.lock().delivered.len();
        assert!(delivered == 50 || place.may_repeat(), "{delivered}");
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_was_committed_before_a_crash_is_delivered_after_it() {
    on_each(async |place| {
        let notes = Shared::default();
        let db = place.open().await;
        for number in 0..12 {
            count(&db, "a", number).await;
        }
        drop(db);
        let node = Node::start(place.open().await, &notes, place.events()).await;
        until("all is applied", async || applied(&node.db, "a").await.len() == 12).await;
        assert_eq!(applied(&node.db, "a").await, (0..12).collect::<Vec<_>>());
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_delivered_twice_is_applied_once() {
    on_each(async |place| {
        let notes = Shared::default();
        let node = Node::start(place.open().await, &notes, place.events()).await;
        for number in 0..12 {
            count(&node.db, "a", number).await;
        }
        until("all is applied", async || applied(&node.db, "a").await.len() == 12).await;
        node.stop().await;
        let db = place.open().await;
        db.transaction(&scope(), async |uow: &mut UnitOfWork| {
            // As after a crash between the delivery and the storing of the offset.
            let back = (consumer_offsets::transaction_id.eq(0), consumer_offsets::position.eq(0));
            let conn = uow.conn();
            run!(conn, |c| diesel::update(consumer_offsets::table).set(back).execute(c))?;
            Ok(())
        })
        .await
        .unwrap();
        let node = Node::start(db, &notes, place.events()).await;
        until("all is delivered again", async || notes.lock().delivered.len() >= 24).await;
        assert_eq!(applied(&node.db, "a").await, (0..12).collect::<Vec<_>>());
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_event_that_commits_late_is_not_skipped() {
    on_each(async |place| {
        let notes = Shared::default();
        let node = Node::start(place.open().await, &notes, place.events()).await;
        if node.db.dialect() == Dialect::Postgres {
            let (begun, has_begun) = oneshot::channel();
            let (go_on, may_go_on) = oneshot::channel::<()>();
            let scope = scope();
            let late = node.db.transaction(&scope, async move |uow: &mut UnitOfWork| {
                // A write gives the transaction its id now, before the other one begins.
                let conn = uow.conn();
                run!(conn, |c| diesel::delete(consumer_offsets::table.find("nobody")).execute(c))?;
                conn.batch("CREATE TEMPORARY TABLE written (id INTEGER)").await?;
                begun.send(()).unwrap();
                may_go_on.await.unwrap();
                uow.event(Event::new("test.counted", "late", &1));
                Ok(())
            });
            let quick = async {
                has_begun.await.unwrap();
                count(&node.db, "quick", 2).await;
                tokio::time::sleep(Duration::from_millis(200)).await;
                go_on.send(()).unwrap();
            };
            let (late, ()) = futures_util::future::join(late, quick).await;
            late.unwrap();
            until("both are applied", async || {
                applied(&node.db, "late").await == [1] && applied(&node.db, "quick").await == [2]
            })
            .await;
            let mut delivered = notes.lock().delivered.clone();
            delivered.sort_unstable();
            assert!(delivered == [1, 2] || place.may_repeat(), "{delivered:?}");
        }
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn published_events_are_in_the_log_once() {
    on_each(async |place| {
        let notes = Shared::default();
        let node = Node::start(place.open().await, &notes, place.events()).await;
        let mut event = Event::new("test.counted", "a", &1);
        event.id = troupe_kernel::Uuid::now_v7();
        node.events.publish(&[event.clone(), event.clone()]).await.unwrap();
        node.events.publish(&[event]).await.unwrap();
        count(&node.db, "a", 2).await;
        until("all is applied", async || applied(&node.db, "a").await.len() == 2).await;
        assert_eq!(applied(&node.db, "a").await, [1, 2]);
        let delivered = notes.lock().delivered.clone();
        assert!(delivered == [1, 2] || place.may_repeat(), "{delivered:?}");
        node.stop().await;
    })
    .await;
}
