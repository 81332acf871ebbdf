//! The relay: from the rows of the outbox to Kafka, beside a loop over rdkafka that does the same.
//!
//! Both read a thousand rows at a time while the last thousand are under way, wait until all replicas
//! in sync have each, and store in the database how far they have come. Connecting is part of it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use diesel::sql_types::Text;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::time::{Instant, sleep};
use troupe_actors::{System, SystemConfig};
use troupe_database::fragment;
use troupe_database::prelude::{DbTimestamp, DbUuid, ExpressionMethods as _, QueryDsl as _};
use troupe_database::schema::outbox;
use troupe_events::Events;

use super::ground::{self, Ground, KIND, durable, headers};
use super::{Began, Effort, Job, Row, Turn, alternate};

const EVENTS: u64 = 100_000;
const BATCH: i64 = 1_000;
/// How often it is seen whether the relay is done.
const LOOK: Duration = Duration::from_millis(5);
const WITHIN: Duration = Duration::from_secs(120);

const JOB: Job = Job {
    name: "relay: outbox to Kafka, acks=all, idempotent",
    bare: "rdkafka over diesel-async",
    at_least: Some(0.8),
};

pub(super) async fn measure(postgres: &str, kafka: &str, effort: Effort) -> anyhow::Result<Row> {
    let events = EVENTS / effort.divisor;
    let ground = Ground::make(postgres, &[]).await?;
    ground.fill(events).await?;
    let prefix = ground::prefix();
    let topic = format!("{prefix}.bench");
    ground::make_topic(kafka, &topic).await?;
    let last: i64 = ground.statement("SELECT max(position) FROM outbox")?.parse()?;
    let row = alternate(
        &JOB,
        effort.rounds,
        async || ours(&ground, kafka, &prefix, last, events).await,
        async || bare(&ground, kafka, &topic, events).await,
    )
    .await;
    ground::remove_topics(kafka, &[&topic]).await?;
    ground.remove()?;
    row
}

async fn ours(
    ground: &Ground,
    kafka: &str,
    prefix: &str,
    last: i64,
    events: u64,
) -> anyhow::Result<Turn> {
    ground.statement("DELETE FROM consumer_offsets")?;
    let db = ground.open().await?;
    let system = System::new(SystemConfig::default());
    let bus = Events::new(&db, ground::config(kafka, prefix));
    let spec = bus.consumers(&system, Vec::new());
    let began = Began::now();
    let running = system.start(spec).await?;
    let late = Instant::now() + WITHIN;
    while ground::place(&db).await? < last {
        if Instant::now() > late {
            bail!("the relay is not done within {} s", WITHIN.as_secs());
        }
        sleep(LOOK).await;
    }
    let turn = began.turn(events);
    running.shutdown().await;
    Ok(turn)
}

/// A row as the bare loop reads it.
type Line = (i64, DbUuid, String, String, DbTimestamp, String, Option<String>);

async fn bare(ground: &Ground, kafka: &str, topic: &str, events: u64) -> anyhow::Result<Turn> {
    ground.statement("DELETE FROM consumer_offsets")?;
    ground.statement(
        "INSERT INTO consumer_offsets (consumer, transaction_id, position, updated_at) \
         VALUES ('bare', 0, 0, now())",
    )?;
    let began = Began::now();
    let mut conn = AsyncPgConnection::establish(&ground.url).await?;
    let producer: FutureProducer = durable(kafka).create()?;
    let (mut read, mut published) = (0_i64, 0);
    let mut before: Vec<DeliveryFuture> = Vec::new();
    loop {
        let lines: Vec<Line> = outbox::table
            .filter(outbox::position.gt(read))
            .order(outbox::position)
            .limit(BATCH)
            .select((
                outbox::position,
                outbox::event_id,
                outbox::kind,
                outbox::subject,
                outbox::occurred_at,
                fragment::<Text>("data::text"),
                outbox::trace,
            ))
            .load(&mut conn)
            .await?;
        let acknowledged = read;
        read = lines.last().map_or(read, |line| line.0);
        let mut flight = Vec::with_capacity(lines.len());
        for line in &lines {
            flight.push(send(&producer, topic, line)?);
        }
        published += land(&mut conn, before, acknowledged).await?;
        before = flight;
        if lines.len() < usize::try_from(BATCH)? {
            published += land(&mut conn, before, read).await?;
            break;
        }
    }
    anyhow::ensure!(published == events, "{published} of {events} were published");
    Ok(began.turn(events))
}

fn send(producer: &FutureProducer, topic: &str, line: &Line) -> anyhow::Result<DeliveryFuture> {
    let (_, id, kind, subject, time, data, trace) = line;
    let trace = trace.as_deref().context("an event has the trace of its cause")?;
    debug_assert_eq!(kind, KIND);
    let headers = headers(&id.0.to_string(), kind, subject, &time.0.to_string(), trace);
    let record = FutureRecord::to(topic)
        .key(subject)
        .payload(data)
        .timestamp(time.0.as_micros() / 1_000)
        .headers(headers);
    producer.send_result(record).map_err(|(error, _)| error.into())
}

/// Waits for the acknowledgements and stores how far they reach.
async fn land(
    conn: &mut AsyncPgConnection,
    flight: Vec<DeliveryFuture>,
    place: i64,
) -> anyhow::Result<u64> {
    let mut landed = 0;
    for delivery in flight {
        delivery.await?.map_err(|(error, _)| error)?;
        landed += 1;
    }
    if landed > 0 {
        let statement = format!(
            "UPDATE consumer_offsets SET position = {place}, updated_at = now() WHERE consumer = 'bare'"
        );
        diesel::sql_query(statement).execute(conn).await?;
    }
    Ok(landed)
}
