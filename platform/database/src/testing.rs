//! A database per test, on both dialects.
//!
//! ```ignore
//! #[tokio::test]
//! async fn a_post_is_found_by_its_slug() {
//!     for_both(MIGRATIONS, async |db: Db| { … }).await;
//! }
//! ```
//!
//! SQLite gets a file in a temporary directory. PostgreSQL gets a database of its own, copied from a
//! template that was migrated once, on the server that `TROUPE_TEST_POSTGRES` names (a URL of a user
//! who may create databases). Both are removed afterwards, also when the test fails. Without the
//! variable the PostgreSQL half is skipped and says so on standard error, where `cargo xtask test`
//! counts it.

mod filling;
mod plans;
mod sites;
pub(crate) mod statements;

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use troupe_kernel::clock::{Clock, SystemClock};
use troupe_kernel::{Migration, SharedClock};

use crate::config::DatabaseConfig;
use crate::connection::Dialect;
use crate::db::Db;
use crate::migrations::Plan;

pub use filling::Filling;
pub use plans::{Planned, Plans, plans};

/// The marker of a skipped half in the output of a test run.
pub const SKIPPED: &str = "TROUPE-SKIPPED postgres";

/// The variable with the URL of the test server.
pub const POSTGRES_VARIABLE: &str = "TROUPE_TEST_POSTGRES";

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// Runs `test` on SQLite and then on PostgreSQL, each time with a fresh database that has this crate's
/// and the given migrations.
///
/// # Panics
/// When the test panics, or when a database cannot be made.
pub async fn for_both(migrations: &[Migration], test: impl AsyncFn(Db)) {
    for_both_with(migrations, Arc::new(SystemClock), test).await;
}

/// [`for_both`] with a clock of the test's own.
///
/// # Panics
/// As [`for_both`].
pub async fn for_both_with(migrations: &[Migration], clock: SharedClock, test: impl AsyncFn(Db)) {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(database) = TestDatabase::create(dialect, migrations).await else { continue };
        let db = database.open_with(clock.clone()).await;
        let outcome = AssertUnwindSafe(test(db)).catch_unwind().await;
        database.remove().await;
        if let Err(panic) = outcome {
            let mut stderr = std::io::stderr();
            drop(writeln!(stderr, "the test failed on {dialect:?}"));
            std::panic::resume_unwind(panic);
        }
    }
}

/// A database of one test, for tests that open it several times (a restart, a second node).
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Sqlite { directory: PathBuf },
    Postgres { name: String },
}

impl TestDatabase {
    /// Makes and migrates a database; none when there is no server for the dialect.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn create(dialect: Dialect, migrations: &[Migration]) -> Option<Self> {
        let plan = Plan::merge(&[migrations]).expect("the migrations of a test fit together");
        match dialect {
            Dialect::Sqlite => Some(Self::sqlite(&plan).await),
            Dialect::Postgres => match postgres_url() {
                Some(server) => Some(Self::postgres(&server, &plan).await),
                None => {
                    skip(&format!("{POSTGRES_VARIABLE} is not set"));
                    None
                }
            },
        }
    }

    /// The URL, as in `database.url`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The configuration that [`open`](Self::open) uses: few connections.
    #[must_use]
    pub fn config(&self) -> DatabaseConfig {
        DatabaseConfig {
            connections_max: 10,
            readers_max: 2,
            lock_timeout: Duration::from_secs(10),
            ..DatabaseConfig::with_url(&self.url)
        }
    }

    /// Opens it with the clock of the machine.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(&self) -> Db {
        self.open_with(Arc::new(SystemClock)).await
    }

    /// Opens it with another clock.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open_with(&self, clock: SharedClock) -> Db {
        Db::open_with(&self.config(), clock).await.expect("a test database opens")
    }

    /// Removes it, whoever is still connected.
    pub async fn remove(self) {
        match self.kind {
            Kind::Sqlite { directory } => drop(std::fs::remove_dir_all(directory)),
            Kind::Postgres { name } => {
                let Some(server) = postgres_url() else { return };
                let mut conn = admin(&server).await;
                let dropped = conn
                    .batch_execute(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"))
                    .await;
                if let Err(error) = dropped {
                    drop(writeln!(
                        std::io::stderr(),
                        "the test database {name} was not dropped: {error}"
                    ));
                }
            }
        }
    }

    async fn sqlite(plan: &Plan) -> Self {
        let directory = std::env::temp_dir().join(format!("troupe-test-{}", unique_name()));
        let url = format!("sqlite:{}", directory.join("test.db").display());
        let database = Self { url, kind: Kind::Sqlite { directory } };
        database.open().await.migrate(plan).await.expect("the migrations of a test apply");
        database
    }

    async fn postgres(server: &str, plan: &Plan) -> Self {
        let template = template(server, plan).await;
        let name = format!("troupe_test_{}", unique_name());
        let mut conn = admin(server).await;
        conn.batch_execute(&format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\""))
            .await
            .expect("a database can be made from the template");
        Self { url: with_database(server, &name), kind: Kind::Postgres { name } }
    }
}

/// The name of the migrated template for this plan; made when it does not exist.
async fn template(server: &str, plan: &Plan) -> String {
    let template = format!("troupe_template_{}", plan.fingerprint());
    let mut conn = admin(server).await;
    // One process makes it; it gets its name when it is complete, so nobody copies half of one.
    conn.batch_execute("SELECT pg_advisory_lock(7402615)")
        .await
        .expect("an advisory lock can be had");
    if !exists(&mut conn, &template).await {
        drop_leftovers(&mut conn).await;
        let draft = format!("troupe_test_{}", unique_name());
        conn.batch_execute(&format!("CREATE DATABASE \"{draft}\""))
            .await
            .expect("the user may create databases");
        let config = DatabaseConfig {
            connections_max: 1,
            ..DatabaseConfig::with_url(&with_database(server, &draft))
        };
        let db = Db::open(&config).await.expect("a new database opens");
        db.migrate(plan).await.expect("the migrations of a test apply");
        drop(db);
        rename(&mut conn, &draft, &template).await;
    }
    conn.batch_execute("SELECT pg_advisory_unlock(7402615)").await.expect("the lock is held");
    template
}

/// Renames a database once its last connection is gone.
async fn rename(conn: &mut AsyncPgConnection, from: &str, to: &str) {
    let sql = format!("ALTER DATABASE \"{from}\" RENAME TO \"{to}\"");
    for _ in 0..100 {
        if conn.batch_execute(&sql).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    conn.batch_execute(&sql).await.expect("the template's last connection ends soon");
}

/// Databases of tests that were killed more than an hour ago.
async fn drop_leftovers(conn: &mut AsyncPgConnection) {
    let oldest = SystemClock.now().minus(Duration::from_secs(3_600)).as_secs();
    for name in names(conn, "datname LIKE 'troupe\\_test\\_%'").await {
        let made = name.split('_').nth(2).and_then(|secs| secs.parse::<i64>().ok());
        if made.is_some_and(|made| made < oldest) {
            drop(
                conn.batch_execute(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"))
                    .await,
            );
        }
    }
}

async fn exists(conn: &mut AsyncPgConnection, name: &str) -> bool {
    !names(conn, &format!("datname = '{name}'")).await.is_empty()
}

async fn names(conn: &mut AsyncPgConnection, condition: &str) -> Vec<String> {
    use diesel_async::RunQueryDsl as _;
    let query = format!("datname::text FROM pg_database WHERE {condition}");
    diesel::select(diesel::dsl::sql::<diesel::sql_types::Text>(&query))
        .load(conn)
        .await
        .expect("the server lists its databases")
}

async fn admin(server: &str) -> AsyncPgConnection {
    AsyncPgConnection::establish(server).await.unwrap_or_else(|error| {
        panic!("{POSTGRES_VARIABLE} names a server that does not answer: {error}")
    })
}

/// The URL of the test server.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no configuration; this is their one variable"
)]
pub fn postgres_url() -> Option<String> {
    std::env::var(POSTGRES_VARIABLE).ok().filter(|url| !url.is_empty())
}

/// Says past the capture of output that the running test does not run in full.
fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    drop(writeln!(std::io::stderr(), "{SKIPPED}: {test} ({why})"));
}

/// The server's URL with another database.
fn with_database(server: &str, name: &str) -> String {
    let (rest, parameters) =
        server.split_once('?').map_or((server, None), |(rest, query)| (rest, Some(query)));
    let authority = rest.find("://").map_or(0, |at| at + 3);
    let base = rest[authority..].find('/').map_or(rest, |at| &rest[..authority + at]);
    let mut url = format!("{base}/{name}");
    if let Some(parameters) = parameters {
        url.push('?');
        url.push_str(parameters);
    }
    url
}

/// Seconds, process and number, so that leftovers show their age.
fn unique_name() -> String {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{}_{}_{number}", SystemClock.now().as_secs(), std::process::id())
}
