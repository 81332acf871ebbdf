//! Messages that cannot be applied: the retry topic and the dead-letter topic.

use std::time::Duration;

use rdkafka::message::Message;
use troupe_events::{EventsConfig, KafkaConfig};
use troupe_kernel::{PageRequest, Uuid};

use super::{header, key, messages, send, topic};
use crate::place::{Place, on_kafka};
use crate::recorder::{Node, Shared, applied, count, scope, until};

fn with_retries(place: &Place, retries_max: u32) -> EventsConfig {
    let own = place.events();
    let retry_wait = Duration::from_millis(200);
    let kafka = KafkaConfig { retries_max, retry_wait, ..own.kafka.clone() };
    EventsConfig { kafka, ..own }
}

#[tokio::test]
async fn an_event_that_fails_for_a_while_comes_again_from_the_retry_topic() {
    on_kafka(async |place| {
        let notes = Shared::default();
        // Three attempts in place, three after the first retry, and one after the second.
        notes.lock().fragile.insert(1, 6);
        let config = with_retries(place, 2);
        let node = Node::start(place.open().await, &notes, config.clone()).await;
        for number in 0..3 {
            count(&node.db, "a", number).await;
        }
        until("all is applied", async || applied(&node.db, "a").await == [0, 2, 1]).await;
        let found = messages(&config.kafka, "retry.recorder", 2).await;
        let [first, second] = found.as_slice() else { panic!("{found:?}") };
        for (message, attempts, retries) in [(first, "3", "1"), (second, "6", "2")] {
            assert_eq!((key(message).as_str(), message.payload()), ("a", Some(&b"1"[..])));
            for (name, expected) in [
                ("troupe_attempts", attempts),
                ("troupe_retries", retries),
                ("troupe_cause_code", "recorder.fragile"),
                ("troupe_topic", &topic(&config.kafka, "test")),
                ("ce_type", "test.counted"),
            ] {
                assert_eq!(header(message, name).as_deref(), Some(expected), "{name}");
            }
        }
        assert_eq!(header(first, "ce_id"), header(second, "ce_id"));
        let letters = node.events.dead_letters(None, &PageRequest::default()).await.unwrap();
        assert!(letters.items.is_empty());
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_keeps_key_headers_and_cause_in_its_topic_and_can_be_replayed() {
    on_kafka(async |place| {
        let notes = Shared::default();
        notes.lock().poisoned.insert(1);
        let config = with_retries(place, 1);
        let node = Node::start(place.open().await, &notes, config.clone()).await;
        count(&node.db, "a", 0).await;
        until("the topic is there", async || applied(&node.db, "a").await == [0]).await;
        let id = Uuid::now_v7().to_string();
        let foreign = [
            ("ce_specversion", "1.0"),
            ("ce_id", id.as_str()),
            ("ce_type", "test.counted"),
            ("ce_source", "/elsewhere"),
            ("ce_subject", "a"),
            ("ce_time", "2026-01-31T12:00:00Z"),
            ("x-extra", "seven"),
        ];
        send(&config.kafka, "test", &foreign, "1").await;
        let found = messages(&config.kafka, "dead.recorder", 1).await;
        let [message] = found.as_slice() else { panic!("{found:?}") };
        let sent = messages(&config.kafka, "test", 2).await;
        let original =
            sent.iter().find(|each| header(each, "ce_id").as_ref() == Some(&id)).unwrap();
        assert_eq!((key(message).as_str(), message.payload()), ("a", Some(&b"1"[..])));
        for (name, value) in foreign {
            assert_eq!(header(message, name).as_deref(), Some(value), "{name}");
        }
        for (name, expected) in [
            ("troupe_attempts", "6".to_owned()),
            ("troupe_cause_code", "recorder.poisoned".to_owned()),
            ("troupe_cause", "this number cannot be applied".to_owned()),
            ("troupe_topic", original.topic().to_owned()),
            ("troupe_partition", original.partition().to_string()),
            ("troupe_offset", original.offset().to_string()),
        ] {
            assert_eq!(header(message, name), Some(expected), "{name}");
        }
        let page = PageRequest::default();
        let mut letters = Vec::new();
        until("the letter is listed", async || {
            letters = node.events.dead_letters(Some("recorder"), &page).await.unwrap().items;
            letters.len() == 1
        })
        .await;
        assert_eq!((letters[0].attempts, letters[0].event.id.to_string()), (6, id));
        notes.lock().poisoned.clear();
        node.events.replay(&scope(), letters[0].id).await.unwrap();
        assert_eq!(applied(&node.db, "a").await, [0, 1]);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_no_event_is_kept_as_it_is_and_holds_nothing_up() {
    on_kafka(async |place| {
        let config = with_retries(place, 1);
        let node = Node::start(place.open().await, &Shared::default(), config.clone()).await;
        count(&node.db, "a", 0).await;
        until("the topic is there", async || applied(&node.db, "a").await == [0]).await;
        send(&config.kafka, "test", &[("mine", "too")], "not an event").await;
        count(&node.db, "a", 1).await;
        until("the next is applied", async || applied(&node.db, "a").await == [0, 1]).await;
        let found = messages(&config.kafka, "dead.recorder", 1).await;
        let [message] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(message.payload(), Some(&b"not an event"[..]));
        assert_eq!(header(message, "mine").as_deref(), Some("too"));
        assert_eq!(header(message, "troupe_cause_code").as_deref(), Some("events.kafka.malformed"));
        node.stop().await;
    })
    .await;
}
