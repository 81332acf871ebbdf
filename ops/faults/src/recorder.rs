//! The suite's consumer: a process with the platform's event bus that writes down each event it applies.
//!
//! Nothing in its table keeps an event from being applied twice but the inbox. It takes part in the relay
//! as well, as every node with the bus does.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use troupe_actors::{
    ChildSpec, Context, Handled, Lent, Service, ServiceRef, Spec, Supervisor, System, SystemConfig,
};
use troupe_database::prelude::*;
use troupe_database::{DatabaseConfig, Db, UnitOfWork};
use troupe_events::{Events, EventsConfig, KafkaConfig};
use troupe_kernel::config::Secret;
use troupe_kernel::{Event, Subscription, Uuid};

/// The name of its subscription.
pub(crate) const CONSUMER: &str = "faults.recorder";
/// What it takes.
const PATTERNS: [&str; 4] = ["auth.*", "blog.*", "files.*", "identity.*"];
/// What it writes; made by the suite. The numbers of a subject rise in the order of its deliveries: each is
/// committed before the next begins.
pub(crate) const TABLE: &str = "CREATE TABLE IF NOT EXISTS faults_applied (\
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event UUID NOT NULL, subject TEXT NOT NULL)";

table! {
    use diesel::sql_types::Text;
    use troupe_database::Id;

    faults_applied (event) {
        event -> Id,
        subject -> Text,
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    event: Uuid,
    subject: String,
}

troupe_actors::protocol! {
    /// What the recorder understands.
    enum RecorderMessage("faults.recorder", 1) redact [] {
        /// Applies an event.
        Record => (),
    }
}

struct Recorder {
    db: Db,
}

impl Service for Recorder {
    type Message = RecorderMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<RecorderMessage>,
        ctx: &mut Context<RecorderMessage>,
    ) -> Handled {
        let RecorderMessage::Record(record) = &**message;
        let (event, subject) = (record.event, record.subject.clone());
        self.db
            .consume(ctx.scope(), CONSUMER, event, async move |uow: &mut UnitOfWork| {
                let row =
                    (faults_applied::event.eq(DbUuid(event)), faults_applied::subject.eq(&subject));
                let conn = uow.conn();
                run!(conn, |c| diesel::insert_into(faults_applied::table).values(row).execute(c))?;
                Ok(())
            })
            .await?;
        ctx.reply(record, ())
    }
}

/// Whether an event of this kind is the recorder's.
pub(crate) fn takes(kind: &str) -> bool {
    PATTERNS.iter().any(|pattern| kind.starts_with(pattern.trim_end_matches('*')))
}

/// Records until it is killed.
pub(crate) fn serve(database: &str, brokers: &str, prefix: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(record(database, brokers, prefix))
}

async fn record(database: &str, brokers: &str, prefix: &str) -> Result<()> {
    const AGAIN: Duration = Duration::from_secs(1);
    let config = DatabaseConfig { url: Secret::new(database), ..DatabaseConfig::default() };
    let db = loop {
        match Db::open(&config).await {
            Ok(db) => break db,
            // It may start while the database is away.
            Err(error) => {
                crate::table::say(&format!("recorder: {error}"));
                tokio::time::sleep(AGAIN).await;
            }
        }
    };
    let kafka = KafkaConfig {
        brokers: brokers.to_owned(),
        topic_prefix: prefix.to_owned(),
        partitions: 4,
        session_timeout: Duration::from_secs(10),
        retry_wait: Duration::from_secs(5),
        ..KafkaConfig::default()
    };
    let system = System::new(SystemConfig::default());
    let events = Events::new(&db, EventsConfig { kafka, ..EventsConfig::default() });
    let (recorder, child) = actor(&system, &db);
    let subscription = Subscription::new(CONSUMER, &PATTERNS)
        .schema_max(u16::MAX)
        .ask(&recorder, |event: &Event| {
            Ok(Record { event: event.id, subject: event.subject.clone() })
        });
    let root = Supervisor::new(&system, "recorder")
        .child(child)
        .child(events.consumers(&system, vec![subscription]));
    let running = system.start(root.into_spec()).await.context("the recorder does not start")?;
    std::future::pending::<()>().await;
    running.shutdown().await;
    Ok(())
}

fn actor(system: &System, db: &Db) -> (ServiceRef<RecorderMessage>, ChildSpec) {
    let db = db.clone();
    Spec::new(system, "recorder", move || Recorder { db: db.clone() }).workers(4).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorder_takes_what_its_patterns_name() {
        assert!(takes("blog.post.created") && takes("auth.session.started"));
        assert!(!takes("blogs.post.created") && !takes("platform.node.started"));
    }
}
