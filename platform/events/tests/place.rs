//! Where a test runs: a database that several nodes may open, and the bus that they use.
//!
//! Each test of the contract runs on both dialects with the log in the database, and again with Kafka
//! where `TROUPE_TEST_KAFKA_BROKERS` names brokers (`host:port`, separated by commas). Every test has a
//! prefix of topics of its own.

use std::io::Write as _;
use std::ops::Deref;
use std::time::Duration;

use troupe_database::Dialect;
use troupe_database::testing::TestDatabase;
use troupe_events::{EventsConfig, KafkaConfig};
use troupe_kernel::Uuid;

use crate::recorder::{config, migrations};

const BROKERS_VARIABLE: &str = "TROUPE_TEST_KAFKA_BROKERS";

/// A database, and how the nodes on it hand events on.
pub(crate) struct Place {
    database: TestDatabase,
    kafka: KafkaConfig,
}

impl Place {
    /// The configuration of the nodes: short waits.
    pub(crate) fn events(&self) -> EventsConfig {
        EventsConfig { kafka: self.kafka.clone(), ..config() }
    }

    /// Whether a message may be delivered twice without a fault: a group does when its members change.
    pub(crate) fn may_repeat(&self) -> bool {
        self.kafka.is_on()
    }

    pub(crate) async fn remove(self) {
        self.database.remove().await;
    }
}

impl Deref for Place {
    type Target = TestDatabase;

    fn deref(&self) -> &TestDatabase {
        &self.database
    }
}

/// Kafka for one test; none, and a line on standard error, where there is none.
pub(crate) fn kafka() -> Option<KafkaConfig> {
    if cfg!(not(feature = "kafka")) {
        skipped("built without the feature kafka");
        return None;
    }
    #[expect(clippy::disallowed_methods, reason = "tests find their servers by variables")]
    let Ok(brokers) = std::env::var(BROKERS_VARIABLE) else {
        skipped(&format!("{BROKERS_VARIABLE} is not set"));
        return None;
    };
    Some(KafkaConfig {
        brokers,
        topic_prefix: format!("test-{}", Uuid::now_v7()),
        partitions: 4,
        replication: 1,
        retries_max: 0,
        session_timeout: Duration::from_secs(6),
        ..KafkaConfig::default()
    })
}

/// Says what did not run where `cargo xtask test` counts it.
pub(crate) fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    let mut stderr = std::io::stderr();
    drop(writeln!(stderr, "TROUPE-SKIPPED kafka: {test} ({why})"));
}

/// A place with this bus; none where the dialect has no server.
pub(crate) async fn place(dialect: Dialect, kafka: KafkaConfig) -> Option<Place> {
    let database = TestDatabase::create(dialect, &migrations()).await?;
    Some(Place { database, kafka })
}

/// Runs a test of the log in the database on each dialect.
pub(crate) async fn on_both(test: impl AsyncFn(&Place)) {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(place) = place(dialect, KafkaConfig::default()).await else { continue };
        test(&place).await;
        place.remove().await;
    }
}

/// Runs a test with Kafka on each dialect.
pub(crate) async fn on_kafka(test: impl AsyncFn(&Place)) {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(kafka) = kafka() else { return };
        let Some(place) = place(dialect, kafka).await else { continue };
        test(&place).await;
        place.remove().await;
    }
}

/// Runs a test of the contract: with the log in the database, and with Kafka.
pub(crate) async fn on_each(test: impl AsyncFn(&Place)) {
    on_both(&test).await;
    on_kafka(&test).await;
}
