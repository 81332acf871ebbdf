//! Groups: from Kafka to a service, beside a consumer of rdkafka that does the same.
//!
//! `count`: each event is handed to an actor, or a closure, and its offset committed afterwards.
//! `apply`: the handler writes a row and the inbox in a transaction of its own on PostgreSQL; the bare
//! side does so partition by partition, each on a connection of its own. A turn counts from the first
//! event to the last, so that joining the group is no part of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use futures_util::StreamExt as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use troupe_actors::{Context, Handled, Lent, Service, Spec, Supervisor, System, SystemConfig};
use troupe_database::migrations::{embedded, script};
use troupe_database::{Db, UnitOfWork};
use troupe_events::Events;
use troupe_kernel::{Event, Migration, Script, Subscription, SystemClock, Uuid, new_id};

use super::ground::{self, Ground, KIND, PARTITIONS, Thing, durable, headers};
use super::{Began, Effort, Job, Row, Turn, alternate};

const WITHIN: Duration = Duration::from_secs(300);
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

const COUNT: Job = Job {
    name: "group: Kafka to an actor, offsets committed",
    bare: "rdkafka, offsets committed",
    at_least: Some(0.8),
};
const COUNTED: u64 = 100_000;
const APPLY: Job = Job {
    name: "group: Kafka to a transaction with the inbox on PostgreSQL",
    bare: "rdkafka over diesel-async, a connection each partition",
    at_least: Some(0.8),
};
const APPLIED: u64 = 8_000;

const SCRIPT: Script = script(
    "CREATE TABLE bench_applied (event_id UUID NOT NULL, number BIGINT NOT NULL)",
    "DROP TABLE bench_applied",
);

fn migrations() -> [Migration; 1] {
    [embedded("bench", "0001_applied", SCRIPT, SCRIPT)]
}

/// What an event asks of the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Apply {
    event: Uuid,
    number: u64,
}

troupe_actors::protocol! {
    /// What the service understands.
    pub enum ApplierMessage("bench.applier", 1) redact [] {
        /// Applies an event.
        Apply => (),
    }
}

/// When the first event came, and what a turn took when the last came.
struct Tape {
    wanted: u64,
    count: AtomicU64,
    first: OnceLock<Began>,
    turn: OnceLock<Turn>,
    done: Notify,
}

impl Tape {
    fn new(wanted: u64) -> Arc<Self> {
        Arc::new(Self {
            wanted,
            count: AtomicU64::new(0),
            first: OnceLock::new(),
            turn: OnceLock::new(),
            done: Notify::new(),
        })
    }

    /// Notes that an event is done.
    fn note(&self) {
        let first = self.first.get_or_init(Began::now);
        if self.count.fetch_add(1, Ordering::AcqRel) + 1 == self.wanted {
            self.turn.get_or_init(|| first.turn(self.wanted));
            self.done.notify_one();
        }
    }

    async fn turn(&self) -> anyhow::Result<Turn> {
        timeout(WITHIN, self.done.notified()).await.with_context(|| {
            format!("{} of {} events came", self.count.load(Ordering::Acquire), self.wanted)
        })?;
        self.turn.get().copied().context("the last event ended the turn")
    }
}

/// The service. Mailbox: the kit's default. Restart: permanent; a crash loses nothing.
struct Applier {
    tape: Arc<Tape>,
    /// Where events are applied; without one they are counted.
    db: Option<Db>,
}

impl Service for Applier {
    type Message = ApplierMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<ApplierMessage>,
        ctx: &mut Context<ApplierMessage>,
    ) -> Handled {
        let ApplierMessage::Apply(apply) = &**message;
        if let Some(db) = &self.db {
            let row = insertion(apply.event, apply.number);
            db.consume(ctx.scope(), "bench", apply.event, async move |uow: &mut UnitOfWork| {
                use troupe_database::prelude::*;
                let conn = uow.conn();
                run!(conn, |c| diesel::sql_query(row).execute(c))?;
                Ok(())
            })
            .await?;
        }
        self.tape.note();
        ctx.reply(apply, ())
    }
}

/// One text for all, so that both sides have the same statement.
fn insertion(event: Uuid, number: u64) -> String {
    format!("INSERT INTO bench_applied (event_id, number) VALUES ('{event}', {number})")
}

/// A topic with events in it.
struct Topic {
    kafka: String,
    prefix: String,
    name: String,
    events: u64,
}

impl Topic {
    async fn fill(kafka: &str, events: u64) -> anyhow::Result<Self> {
        let prefix = ground::prefix();
        let name = format!("{prefix}.bench");
        ground::make_topic(kafka, &name).await?;
        let producer: FutureProducer = durable(kafka).create()?;
        let mut under_way = Vec::new();
        for number in 0..events {
            let event = ground::event(number);
            let id = new_id(&SystemClock).to_string();
            let time = "2026-01-02T03:04:05.678901Z";
            let (key, data) = (event.subject.clone(), event.data.to_string());
            let record = FutureRecord::to(&name)
                .key(&key)
                .payload(&data)
                .headers(headers(&id, KIND, &key, time, TRACE));
            under_way.push(producer.send_result(record).map_err(|(error, _)| error)?);
        }
        for delivery in under_way {
            delivery.await?.map_err(|(error, _)| error)?;
        }
        Ok(Self { kafka: kafka.to_owned(), prefix, name, events })
    }

    /// The settings of a group's consumer that commits what was stored each second.
    fn consumer(&self, group: &str) -> ClientConfig {
        let mut client = ground::client(&self.kafka);
        client
            .set("group.id", format!("{}.{group}", self.prefix))
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "1000")
            .set("enable.auto.offset.store", "false");
        client
    }
}

pub(super) async fn measure(
    postgres: &str,
    kafka: &str,
    effort: Effort,
) -> anyhow::Result<Vec<Row>> {
    let ground = Ground::make(postgres, &migrations()).await?;
    let mut rows = Vec::new();
    for (job, events) in [(&COUNT, COUNTED), (&APPLY, APPLIED)] {
        let topic = Topic::fill(kafka, events / effort.divisor).await?;
        let applies = std::ptr::eq(job, &APPLY);
        let row = alternate(
            job,
            effort.rounds,
            async || ours(&ground, &topic, applies).await,
            async || match applies {
                true => bare_apply(&ground, &topic).await,
                false => bare_count(&topic).await,
            },
        )
        .await;
        ground::remove_topics(kafka, &[&topic.name]).await?;
        rows.push(row?);
    }
    ground.remove()?;
    Ok(rows)
}

async fn ours(ground: &Ground, topic: &Topic, applies: bool) -> anyhow::Result<Turn> {
    ground.statement("TRUNCATE inbox, bench_applied")?;
    let db = ground.open().await?;
    let tape = Tape::new(topic.events);
    let system = System::new(SystemConfig::default());
    let (notes, writes) = (tape.clone(), applies.then(|| db.clone()));
    let (applier, child) =
        Spec::new(&system, "applier", move || Applier { tape: notes.clone(), db: writes.clone() })
            .workers(16)
            .build();
    // A group that nobody was in before begins with the first event.
    let name = format!("bench-{}", new_id(&SystemClock));
    let subscription = Subscription::new(&name, &[KIND]).ask(&applier, |event: &Event| {
        Ok(Apply { event: event.id, number: event.data::<Thing>()?.number })
    });
    let bus = Events::new(&db, ground::config(&topic.kafka, &topic.prefix));
    let root = Supervisor::new(&system, "bench")
        .child(child)
        .child(bus.consumers(&system, vec![subscription]));
    let running = system.start(root.into_spec()).await?;
    let turn = tape.turn().await;
    running.shutdown().await;
    let aside = ["retry", "dead"].map(|sort| format!("{}.{sort}.{name}", topic.prefix));
    ground::remove_topics(&topic.kafka, &[&aside[0], &aside[1]]).await?;
    turn
}

/// What a handler needs of a message: its id, and its data.
fn read(message: &BorrowedMessage<'_>) -> anyhow::Result<(Uuid, Thing)> {
    let headers = message.headers().context("a message has headers")?;
    let id = headers.iter().find(|header| header.key == "ce_id");
    let id = id.and_then(|header| header.value).context("a message has an id")?;
    let id = std::str::from_utf8(id)?.parse()?;
    Ok((id, serde_json::from_slice(message.payload().unwrap_or_default())?))
}

async fn bare_count(topic: &Topic) -> anyhow::Result<Turn> {
    let tape = Tape::new(topic.events);
    let group = format!("bare-{}", new_id(&SystemClock));
    let consumer: StreamConsumer = topic.consumer(&group).create()?;
    consumer.subscribe(&[&topic.name])?;
    let mut messages = consumer.stream();
    let mut sum = 0;
    for _ in 0..topic.events {
        let message = timeout(WITHIN, messages.next()).await?.context("a stream has no end")??;
        let (_, thing) = read(&message)?;
        sum += thing.number;
        consumer.store_offset_from_message(&message)?;
        tape.note();
    }
    anyhow::ensure!(sum == topic.events * (topic.events - 1) / 2, "each event came once");
    tape.turn().await
}

async fn bare_apply(ground: &Ground, topic: &Topic) -> anyhow::Result<Turn> {
    ground.statement("TRUNCATE inbox, bench_applied")?;
    let tape = Tape::new(topic.events);
    let group = format!("bare-{}", new_id(&SystemClock));
    let consumer: Arc<StreamConsumer> = Arc::new(topic.consumer(&group).create()?);
    let mut partitions = TopicPartitionList::new();
    for number in 0..PARTITIONS {
        partitions.add_partition_offset(&topic.name, number, Offset::Beginning)?;
    }
    consumer.assign(&partitions)?;
    let mut workers: JoinSet<anyhow::Result<()>> = JoinSet::new();
    for number in 0..PARTITIONS {
        let queue = consumer.split_partition_queue(&topic.name, number).context("a partition")?;
        let (consumer, tape) = (consumer.clone(), tape.clone());
        let mut conn = AsyncPgConnection::establish(&ground.url).await?;
        workers.spawn(async move {
            loop {
                let message = queue.recv().await?;
                let (id, thing) = read(&message)?;
                apply(&mut conn, id, thing.number).await?;
                consumer.store_offset_from_message(&message)?;
                tape.note();
            }
        });
    }
    // The client asks to be polled beside its partitions.
    let turn = tokio::select! {
        turn = tape.turn() => turn,
        met = consumer.recv() => Err(anyhow::anyhow!("a partition was not split off: {:?}", met.err())),
        Some(ended) = workers.join_next() => match ended {
            Ok(Err(error)) => Err(error),
            _ => Err(anyhow::anyhow!("a worker ended")),
        },
    };
    workers.shutdown().await;
    turn
}

/// The inbox and the row in one transaction.
async fn apply(conn: &mut AsyncPgConnection, id: Uuid, number: u64) -> anyhow::Result<()> {
    use diesel_async::{RunQueryDsl as _, SimpleAsyncConnection as _};
    conn.batch_execute("BEGIN").await?;
    let noted = diesel::sql_query(format!(
        "INSERT INTO inbox (consumer, event_id, applied_at) VALUES ('bench', '{id}', now()) \
         ON CONFLICT DO NOTHING"
    ))
    .execute(conn)
    .await?;
    if noted > 0 {
        diesel::sql_query(insertion(id, number)).execute(conn).await?;
    }
    conn.batch_execute("COMMIT").await?;
    Ok(())
}
