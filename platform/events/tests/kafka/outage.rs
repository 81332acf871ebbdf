//! Kafka is away while events are written: a short form of the hour.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use rdkafka::message::Message;
use troupe_database::prelude::*;
use troupe_database::schema::{consumer_offsets, outbox};
use troupe_database::{Db, UnitOfWork};
use troupe_events::{EventsConfig, KafkaConfig};
use troupe_kernel::Event;

use super::broker::Broker;
use super::{key, messages};
use crate::place::place;
use crate::recorder::{Node, Shared, applied, config, count, scope, until};

/// Transactions while Kafka is away, and events in each.
const TRANSACTIONS: i64 = 1_000;
const EVENTS: i64 = 20;
const SUBJECTS: i64 = 50;
/// One in so many is for the recorder.
const RECORDED: i64 = 10;
const DRAINED_WITHIN: Duration = Duration::from_secs(120);

/// Whether the relay's place is that of the last event.
async fn is_drained(db: &Db) -> bool {
    db.read(async |conn: &mut DbConn| {
        let last: (i64, i64) = run!(conn, |c| outbox::table
            .order((outbox::transaction_id.desc(), outbox::position.desc()))
            .select((outbox::transaction_id, outbox::position))
            .limit(1)
            .get_result::<(i64, i64)>(c))?;
        let place: (i64, i64) = run!(conn, |c| consumer_offsets::table
            .find("events.relay")
            .select((consumer_offsets::transaction_id, consumer_offsets::position))
            .get_result::<(i64, i64)>(c))?;
        Ok(place == last)
    })
    .await
    .unwrap()
}

/// Writes the events of the outage; numbers of a subject rise.
async fn write_all(db: &Db) {
    for transaction in 0..TRANSACTIONS {
        db.transaction(&scope(), async move |uow: &mut UnitOfWork| {
            for number in transaction * EVENTS..(transaction + 1) * EVENTS {
                let is_recorded = number / SUBJECTS % RECORDED == 0;
                let kind = if is_recorded { "test.counted" } else { "test.other" };
                uow.event(Event::new(kind, format!("s{}", number % SUBJECTS), &(number + 1)));
            }
            Ok(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_kafka_away_under_load_nothing_is_lost_order_is_kept_and_the_backlog_drains() {
    let Some(mut broker) = Broker::start().await else { return };
    let kafka = KafkaConfig {
        brokers: broker.address(),
        topic_prefix: "outage".to_owned(),
        partitions: 4,
        replication: 1,
        session_timeout: Duration::from_secs(6),
        ..KafkaConfig::default()
    };
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        let kafka = KafkaConfig { topic_prefix: format!("outage-{dialect:?}"), ..kafka.clone() };
        let Some(place) = place(dialect, kafka.clone()).await else { continue };
        let events = EventsConfig { kafka: kafka.clone(), batch_max: 100, ..config() };
        let notes = Shared::default();
        let node = Node::start(place.open().await, &notes, events.clone()).await;
        count(&node.db, "s0", 0).await;
        until("the first is applied", async || applied(&node.db, "s0").await == [0]).await;

        broker.kill();
        let began = Instant::now();
        write_all(&node.db).await;
        let away = began.elapsed();
        assert!(!is_drained(&node.db).await, "nobody was there to take it");
        // The node goes down as well, with what it had under way.
        node.stop().await;
        let node = Node::start(place.open().await, &notes, events).await;

        broker.run().await;
        let back = Instant::now();
        while !is_drained(&node.db).await {
            assert!(back.elapsed() < DRAINED_WITHIN, "the backlog does not drain");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let drained = back.elapsed();
        let expected = |subject: i64, recorded: bool| -> Vec<i64> {
            let all = (0..TRANSACTIONS * EVENTS).filter(|number| number % SUBJECTS == subject);
            let own = all.filter(|number| !recorded || number / SUBJECTS % RECORDED == 0);
            let first = (subject == 0).then_some(0);
            first.into_iter().chain(own.map(|number| number + 1)).collect()
        };
        for subject in 0..SUBJECTS {
            let name = format!("s{subject}");
            let own = expected(subject, true);
            until("all is applied in order", async || applied(&node.db, &name).await == own).await;
        }
        let consumed = back.elapsed();

        let total = usize::try_from(TRANSACTIONS * EVENTS + 1).unwrap();
        let mut found = messages(&kafka, "test", total).await;
        found.sort_by_key(|message| (message.partition(), message.offset()));
        let mut subjects: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for message in &found {
            let text = String::from_utf8(message.payload().unwrap().to_vec()).unwrap();
            let (own, number) = (subjects.entry(key(message)).or_default(), text.parse().unwrap());
            // A second copy may come; the first one's place is what counts.
            if !own.contains(&number) {
                own.push(number);
            }
        }
        for subject in 0..SUBJECTS {
            assert_eq!(subjects[&format!("s{subject}")], expected(subject, false), "s{subject}");
        }
        node.stop().await;
        place.remove().await;
        report(dialect, total, found.len(), away, drained, consumed);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate is a float")]
fn report(
    dialect: Dialect,
    total: usize,
    published: usize,
    away: Duration,
    drained: Duration,
    consumed: Duration,
) {
    let rate = |time: Duration| total as f64 / time.as_secs_f64();
    let mut stderr = std::io::stderr();
    drop(writeln!(
        stderr,
        "kafka away for {away:.1?} on {dialect:?}: {total} events written at {:.0}/s, drained in \
         {drained:.1?} ({:.0}/s), {} twice, the tenth that is for the recorder applied after {consumed:.1?}",
        rate(away),
        rate(drained),
        published - total,
    ));
}
