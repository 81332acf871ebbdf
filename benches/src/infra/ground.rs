//! What the measurements of events stand on: a database with a full outbox, and topics.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use serde::{Deserialize, Serialize};
use troupe_database::prelude::*;
use troupe_database::schema::consumer_offsets;
use troupe_database::{DatabaseConfig, Db, Plan, UnitOfWork};
use troupe_events::{EventsConfig, KafkaConfig, MIGRATIONS};
use troupe_kernel::{Event, Migration, Scope, Uuid};

use crate::suite::server::psql;

/// What the events tell.
pub(super) const KIND: &str = "bench.thing.done";
/// Subjects that the events are about.
const SUBJECTS: u64 = 1_000;
/// Partitions of the topics.
pub(super) const PARTITIONS: i32 = 4;
/// Events in one transaction of the preparation.
const AT_ONCE: u64 = 1_000;
const WITHIN: Duration = Duration::from_secs(60);

/// The data of an event, some 200 bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Thing {
    pub(super) number: u64,
    title: String,
    note: String,
}

impl Thing {
    fn new(number: u64) -> Self {
        let note = "What changed, and why: the price, the place, the people who were asked, and who agreed.";
        Self { number, title: format!("Thing number {number} of the run"), note: note.to_owned() }
    }
}

pub(super) fn event(number: u64) -> Event {
    Event::new(KIND, format!("thing-{}", number % SUBJECTS), &Thing::new(number))
}

/// A database of its own on the server.
pub(super) struct Ground {
    server: String,
    name: String,
    pub(super) url: String,
}

impl Ground {
    /// Makes it, with the tables of the bus and those given.
    pub(super) async fn make(server: &str, more: &[Migration]) -> anyhow::Result<Self> {
        let name = format!("bench_infra_{}", std::process::id());
        psql(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
        psql(server, &format!("CREATE DATABASE {name}"))?;
        let (base, _) = server.rsplit_once('/').context("the URL ends with /DATABASE")?;
        let ground = Self { server: server.to_owned(), url: format!("{base}/{name}"), name };
        let migrations = [MIGRATIONS, more].concat();
        ground.open().await?.migrate(&Plan::merge(&[&migrations])?).await?;
        Ok(ground)
    }

    pub(super) async fn open(&self) -> anyhow::Result<Db> {
        Ok(Db::open(&DatabaseConfig::with_url(&self.url)).await?)
    }

    /// Adds events to the outbox, as services do.
    pub(super) async fn fill(&self, events: u64) -> anyhow::Result<()> {
        let db = self.open().await?;
        let scope = Scope::system("bench.fill", WITHIN);
        for first in (0..events).step_by(usize::try_from(AT_ONCE)?) {
            let last = (first + AT_ONCE).min(events);
            db.transaction(&scope, async move |uow: &mut UnitOfWork| {
                (first..last).for_each(|number| uow.event(event(number)));
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Runs a statement beside what is measured.
    pub(super) fn statement(&self, statement: &str) -> anyhow::Result<String> {
        psql(&self.url, statement)
    }

    pub(super) fn remove(self) -> anyhow::Result<()> {
        psql(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name))?;
        Ok(())
    }
}

/// How far the relay has come.
pub(super) async fn place(db: &Db) -> anyhow::Result<i64> {
    let places: Vec<i64> = db
        .read(async |conn: &mut DbConn| {
            Ok(run!(conn, |c| consumer_offsets::table
                .select(consumer_offsets::position)
                .load::<i64>(c))?)
        })
        .await?;
    Ok(places.into_iter().max().unwrap_or(0))
}

/// A prefix of topics that nobody else has.
pub(super) fn prefix() -> String {
    format!("bench-{}", Uuid::now_v7())
}

/// The bus as it is shipped, with these brokers.
pub(super) fn config(brokers: &str, prefix: &str) -> EventsConfig {
    let kafka = KafkaConfig {
        brokers: brokers.to_owned(),
        topic_prefix: prefix.to_owned(),
        partitions: PARTITIONS,
        ..KafkaConfig::default()
    };
    EventsConfig { kafka, ..EventsConfig::default() }
}

pub(super) fn client(brokers: &str) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers);
    client
}

/// A producer's settings with the guarantees of the relay: idempotent, all replicas, no time limit.
pub(super) fn durable(brokers: &str) -> ClientConfig {
    let mut client = client(brokers);
    client
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("compression.type", "zstd")
        .set("message.timeout.ms", "0");
    client
}

pub(super) async fn make_topic(brokers: &str, name: &str) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create()?;
    let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(-1));
    for made in admin.create_topics([&topic], &AdminOptions::new()).await? {
        ensure!(made.is_ok(), "the topic {name} cannot be made: {made:?}");
    }
    Ok(())
}

pub(super) async fn remove_topics(brokers: &str, names: &[&str]) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create()?;
    admin.delete_topics(names, &AdminOptions::new()).await?;
    Ok(())
}

/// The headers of a CloudEvent, as a careful author writes them.
pub(super) fn headers(
    id: &str,
    kind: &str,
    subject: &str,
    time: &str,
    trace: &str,
) -> OwnedHeaders {
    let all = [
        ("content-type", "application/json"),
        ("ce_specversion", "1.0"),
        ("ce_id", id),
        ("ce_type", kind),
        ("ce_source", "/troupe/bench"),
        ("ce_subject", subject),
        ("ce_time", time),
        ("ce_troupeschema", "1"),
        ("ce_traceparent", trace),
    ];
    let add = |headers: OwnedHeaders, (key, value): (&str, &str)| {
        headers.insert(Header { key, value: Some(value) })
    };
    all.into_iter().fold(OwnedHeaders::new_with_capacity(all.len()), add)
}
