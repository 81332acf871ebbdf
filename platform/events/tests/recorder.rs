//! A service that applies events through its inbox, and misbehaves when told to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use troupe_actors::{
    ChildSpec, Context, Handled, Lent, Running, Scope, Service, Spec, Supervisor, System,
    SystemConfig,
};
use troupe_database::migrations::{embedded, script};
use troupe_database::prelude::*;
use troupe_database::testing::TestDatabase;
use troupe_database::{Db, UnitOfWork};
use troupe_events::{Events, EventsConfig, MIGRATIONS};
use troupe_kernel::{Event, Failure, Migration, Subscription, Uuid};

table! {
    use diesel::sql_types::{BigInt, Text};

    applied (number) {
        subject -> Text,
        number -> BigInt,
    }
}

/// The bus's tables and the recorder's; nothing keeps an event from being applied twice but the inbox.
pub(crate) fn migrations() -> Vec<Migration> {
    const SCRIPT: troupe_kernel::Script = script(
        "CREATE TABLE applied (subject TEXT NOT NULL, number BIGINT NOT NULL)",
        "DROP TABLE applied",
    );
    let mut all = MIGRATIONS.to_vec();
    all.push(embedded("recorder", "0001_applied", SCRIPT, SCRIPT));
    all
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    event: Uuid,
    subject: String,
    number: i64,
}

troupe_actors::protocol! {
    /// What the recorder understands.
    pub(crate) enum RecorderMessage("recorder", 1) redact [] {
        /// Applies an event.
        Record => (),
    }
}

/// What the recorder saw and how it behaves; shared with the test.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Every delivery that came, also those that fail.
    pub(crate) delivered: Vec<i64>,
    /// Numbers that fail for good.
    pub(crate) poisoned: BTreeSet<i64>,
    /// Numbers on which the handler panics.
    pub(crate) explosive: BTreeSet<i64>,
    /// Numbers whose next deliveries fail, and how many.
    pub(crate) fragile: BTreeMap<i64, u32>,
    /// So many deliveries are answered with "away".
    pub(crate) away: u32,
}

pub(crate) type Shared = Arc<Mutex<Notes>>;

struct Recorder {
    db: Db,
    notes: Shared,
}

impl Service for Recorder {
    type Message = RecorderMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<RecorderMessage>,
        ctx: &mut Context<RecorderMessage>,
    ) -> Handled {
        let RecorderMessage::Record(record) = &**message;
        let number = record.number;
        {
            let mut notes = self.notes.lock();
            notes.delivered.push(number);
            if notes.away > 0 {
                notes.away -= 1;
                return Err(Failure::unavailable("recorder.away", "away"));
            }
            if let Some(left) = notes.fragile.get_mut(&number).filter(|left| **left > 0) {
                *left -= 1;
                return Err(Failure::conflict("recorder.fragile", "not yet"));
            }
            if notes.poisoned.contains(&number) {
                return Err(Failure::conflict(
                    "recorder.poisoned",
                    "this number cannot be applied",
                ));
            }
            assert!(!notes.explosive.contains(&number), "an explosive number");
        }
        let subject = record.subject.clone();
        self.db
            .consume(ctx.scope(), "recorder", record.event, async move |uow: &mut UnitOfWork| {
                let row = (applied::subject.eq(&subject), applied::number.eq(number));
                let conn = uow.conn();
                run!(conn, |c| diesel::insert_into(applied::table).values(row).execute(c))?;
                Ok(())
            })
            .await?;
        ctx.reply(record, ())
    }
}

/// A node with the bus and the recorder.
pub(crate) struct Node {
    pub(crate) db: Db,
    pub(crate) events: Events,
    running: Running,
}

/// Short waits.
pub(crate) fn config() -> EventsConfig {
    EventsConfig {
        batch_max: 10,
        poll: Duration::from_millis(500),
        retry_first: Duration::from_millis(1),
        retry_max: Duration::from_millis(10),
        attempts_max: 3,
        lease: Duration::from_secs(1),
        ..EventsConfig::default()
    }
}

fn subscriptions(system: &System, db: &Db, notes: &Shared) -> (Vec<Subscription>, ChildSpec) {
    let (db, notes) = (db.clone(), notes.clone());
    let (recorder, child) =
        Spec::new(system, "recorder", move || Recorder { db: db.clone(), notes: notes.clone() })
            .workers(4)
            .build();
    let subscription = Subscription::new("recorder", &["test.counted"]).schema_max(2).ask(
        &recorder,
        |event: &Event| {
            Ok(Record { event: event.id, subject: event.subject.clone(), number: event.data()? })
        },
    );
    (vec![subscription], child)
}

impl Node {
    pub(crate) async fn start(db: Db, notes: &Shared, config: EventsConfig) -> Self {
        // Every message passes through its encoding, as between nodes.
        let system = System::new(SystemConfig { wire_always: true, ..SystemConfig::default() });
        let events = Events::new(&db, config);
        let (subscriptions, recorder) = subscriptions(&system, &db, notes);
        let root = Supervisor::new(&system, "root")
            .child(recorder)
            .child(events.consumers(&system, subscriptions));
        let running = system.start(root.into_spec()).await.unwrap();
        Self { db, events, running }
    }

    pub(crate) async fn stop(self) {
        self.running.shutdown().await;
    }
}

/// A node in a runtime of its own, which ends as a killed process does.
pub(crate) struct Mortal {
    runtime: tokio::runtime::Runtime,
}

impl Mortal {
    pub(crate) async fn start(
        database: &TestDatabase,
        notes: &Shared,
        config: EventsConfig,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (database, notes) = (database.config(), notes.clone());
        let node = runtime.spawn(async move {
            let node = Node::start(Db::open(&database).await.unwrap(), &notes, config).await;
            // It lives as long as the runtime.
            std::mem::forget(node);
        });
        node.await.unwrap();
        Self { runtime }
    }

    pub(crate) fn kill(self) {
        self.runtime.shutdown_background();
    }
}

pub(crate) fn scope() -> Scope {
    Scope::system("test", Duration::from_secs(20))
}

/// Commits one event in a transaction of its own.
pub(crate) async fn count(db: &Db, subject: &str, number: i64) {
    db.transaction(&scope(), async |uow: &mut UnitOfWork| {
        uow.event(Event::new("test.counted", subject, &number));
        Ok(())
    })
    .await
    .unwrap();
}

/// What was applied, in order.
pub(crate) async fn applied(db: &Db, subject: &str) -> Vec<i64> {
    db.read(async |conn: &mut DbConn| {
        Ok(run!(
            conn,
            pg | c
                | applied::table
                    .filter(applied::subject.eq(subject))
                    // The deliveries of a subject follow each other, and so do their transactions. The
                    // places of rows do not: each connection fills a page of its own.
                    .order(fragment::<diesel::sql_types::BigInt>("xmin::text::bigint"))
                    .select(applied::number)
                    .load::<i64>(c),
            sqlite
                | c
                | applied::table
                    .filter(applied::subject.eq(subject))
                    .order(fragment::<diesel::sql_types::BigInt>("rowid"))
                    .select(applied::number)
                    .load::<i64>(c),
        )?)
    })
    .await
    .unwrap()
}

/// Waits until the condition holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..3_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come to be: {what}");
}
