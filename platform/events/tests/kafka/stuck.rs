//! A partition that gets nothing done.

use std::time::Duration;

use rdkafka::message::Message;
use troupe_events::EventsConfig;

use super::{key, messages};
use crate::place::on_kafka;
use crate::recorder::{Node, Shared, applied, count, until};

/// More than a member takes in hand of one partition.
const EVENTS: i64 = 30;
const SUBJECTS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

#[tokio::test]
async fn a_partition_that_gets_nothing_done_holds_the_others_up_for_a_moment_only() {
    on_kafka(async |place| {
        let notes = Shared::default();
        // The first event of `a` fails until it is let pass.
        notes.lock().fragile.insert(0, u32::MAX);
        let wait = Duration::from_millis(20);
        let config = EventsConfig {
            attempts_max: u32::MAX,
            retry_first: wait,
            retry_max: wait,
            ..place.events()
        };
        let node = Node::start(place.open().await, &notes, config.clone()).await;
        for number in 0..EVENTS {
            for (index, subject) in (0..).zip(SUBJECTS) {
                count(&node.db, subject, index * 1_000 + number).await;
            }
        }
        let all = SUBJECTS.len() * usize::try_from(EVENTS).unwrap();
        let found = messages(&config.kafka, "test", all).await;
        let partition = |subject: &str| {
            found.iter().find(|message| key(message) == subject).map(Message::partition)
        };
        // Some may share the lane of `a`.
        let others = SUBJECTS.into_iter().filter(|subject| partition(subject) != partition("a"));
        let others: Vec<&str> = others.collect();
        until("others are applied to their end", async || {
            for subject in &others {
                if applied(&node.db, subject).await.len() == usize::try_from(EVENTS).unwrap() {
                    return true;
                }
            }
            false
        })
        .await;
        assert_eq!(applied(&node.db, "a").await, [] as [i64; 0], "its first is not let pass yet");
        notes.lock().fragile.clear();
        until("it goes on where it was held up", async || {
            applied(&node.db, "a").await == (0..EVENTS).collect::<Vec<_>>()
        })
        .await;
        for (index, subject) in (0..).zip(SUBJECTS) {
            let expected: Vec<i64> = (0..EVENTS).map(|number| index * 1_000 + number).collect();
            until("each is applied once and in order", async || {
                applied(&node.db, subject).await == expected
            })
            .await;
        }
        node.stop().await;
    })
    .await;
}
