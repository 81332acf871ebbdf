//! No more may wait for Kafka than is allowed.

use std::time::Duration;

use troupe_database::{Dialect, UnitOfWork};
use troupe_events::{EventsConfig, KafkaConfig};
use troupe_kernel::{Event, Failure};

use crate::place::place;
use crate::recorder::{Node, Shared, scope, until};

async fn write(node: &Node, events: i64) -> Result<(), Failure> {
    node.db
        .transaction(&scope(), async |uow: &mut UnitOfWork| {
            for number in 0..events {
                uow.event(Event::new("test.counted", "a", &number));
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn with_a_full_backlog_new_events_are_refused_and_other_work_is_not() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        // Nobody listens there.
        let kafka = KafkaConfig {
            brokers: "127.0.0.1:1".to_owned(),
            backlog_max: 1_000,
            ..KafkaConfig::default()
        };
        let Some(place) = place(dialect, kafka).await else { continue };
        let poll = Duration::from_millis(50);
        let events = EventsConfig { poll, ..place.events() };
        let node = Node::start(place.open().await, &Shared::default(), events).await;
        for _ in 0..9 {
            write(&node, 100).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        write(&node, 100).await.expect("less than the most wait");
        until("new events are refused", async || {
            write(&node, 1).await.is_err_and(|failure| {
                failure.code() == "events.backlog.full" && failure.retry_after_duration().is_some()
            })
        })
        .await;
        write(&node, 0).await.expect("work without events goes on");
        node.stop().await;
        place.remove().await;
    }
}
