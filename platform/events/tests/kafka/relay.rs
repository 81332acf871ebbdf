//! The outbox on its way to Kafka.

use rdkafka::message::Message;
use troupe_database::{Dialect, UnitOfWork};
use troupe_events::{EventsConfig, KafkaConfig};
use troupe_kernel::{Event, PageRequest, TenantId, Uuid};

use super::{header, key, messages, numbers};
use crate::place::on_kafka;
use crate::recorder::{Node, Shared, applied, count, scope, until};

#[tokio::test]
async fn an_event_is_a_cloud_event_in_the_topic_of_its_module_under_its_subject() {
    on_kafka(async |place| {
        let node = Node::start(place.open().await, &Shared::default(), place.events()).await;
        let tenant = TenantId::from(Uuid::now_v7());
        node.db
            .transaction(&scope(), async move |uow: &mut UnitOfWork| {
                let event = Event::new("other.thing.done", "thing-1", &[1, 2]);
                uow.event(event.tenant(tenant).schema_version(7));
                Ok(())
            })
            .await
            .unwrap();
        let kafka = place.events().kafka;
        let found = messages(&kafka, "other", 1).await;
        let [message] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(key(message), "thing-1");
        let data: [u8; 2] = serde_json::from_slice(message.payload().unwrap()).unwrap();
        assert_eq!(data, [1, 2]);
        for (name, expected) in [
            ("content-type", "application/json"),
            ("ce_specversion", "1.0"),
            ("ce_type", "other.thing.done"),
            ("ce_source", "/troupe/other"),
            ("ce_subject", "thing-1"),
            ("ce_troupeschema", "7"),
            ("ce_troupetenant", &tenant.to_string()),
        ] {
            assert_eq!(header(message, name).as_deref(), Some(expected), "{name}");
        }
        let time: troupe_kernel::Timestamp = header(message, "ce_time").unwrap().parse().unwrap();
        assert_eq!(message.timestamp().to_millis(), Some(time.as_micros() / 1_000));
        assert!(header(message, "ce_id").unwrap().parse::<Uuid>().is_ok());
        assert!(header(message, "ce_traceparent").unwrap().starts_with("00-"));
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn two_nodes_publish_each_event_once_and_in_order_whatever_the_batch() {
    on_kafka(async |place| {
        // A batch of two, so that many are under way one after the other.
        let own = place.events();
        let kafka = KafkaConfig { publish_batch_max: 2, ..own.kafka.clone() };
        let config = EventsConfig { kafka, ..own.clone() };
        let notes = Shared::default();
        let one = Node::start(place.open().await, &notes, config.clone()).await;
        let two = match one.db.dialect() {
            Dialect::Postgres => Some(Node::start(place.open().await, &notes, config).await),
            Dialect::Sqlite => None,
        };
        for number in 0..40 {
            let db =
                if number % 2 == 0 { &one.db } else { two.as_ref().map_or(&one.db, |two| &two.db) };
            count(db, "a", number).await;
            count(db, "b", 100 + number).await;
        }
        let found = messages(&own.kafka, "test", 80).await;
        assert_eq!(numbers(&found, "a"), (0..40).collect::<Vec<_>>());
        assert_eq!(numbers(&found, "b"), (100..140).collect::<Vec<_>>());
        if let Some(two) = two {
            two.stop().await;
        }
        one.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_event_that_kafka_never_takes_becomes_a_dead_letter_and_the_others_go_on() {
    on_kafka(async |place| {
        let own = place.events();
        let kafka = KafkaConfig { message_bytes_max: 2_048, ..own.kafka.clone() };
        let config = EventsConfig { kafka, ..own.clone() };
        let node = Node::start(place.open().await, &Shared::default(), config).await;
        count(&node.db, "a", 1).await;
        node.db
            .transaction(&scope(), async |uow: &mut UnitOfWork| {
                uow.event(Event::new("test.other", "a", &"x".repeat(5_000)));
                Ok(())
            })
            .await
            .unwrap();
        count(&node.db, "a", 2).await;
        until("the others are applied", async || applied(&node.db, "a").await == [1, 2]).await;
        let page = PageRequest::default();
        let letters = node.events.dead_letters(Some("events.relay"), &page).await.unwrap().items;
        let [letter] = letters.as_slice() else { panic!("{letters:?}") };
        assert_eq!(letter.cause_code, "events.kafka.message");
        let failure = node.events.replay(&scope(), letter.id).await.unwrap_err();
        assert_eq!(failure.code(), "events.kafka.message");
        assert_eq!(node.events.dead_letter(letter.id).await.unwrap().attempts, 2);
        assert_eq!(messages(&own.kafka, "test", 2).await.len(), 2);
        node.stop().await;
    })
    .await;
}
