//! Directories and databases that a test has for itself.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use troupe_actors::Scope;
use troupe_database::testing::{TestDatabase, postgres_url};
use troupe_database::{DatabaseConfig, Db, Dialect};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A directory that is removed with the value.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("troupe-node-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a directory for a test can be made");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and answers its path as text.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.join(name);
        std::fs::write(&path, text).expect("the directory of a test is writable");
        path.display().to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A connection to a node's SQLite file, past the node; it waits while the node writes.
pub fn sqlite(data: &Path) -> SqliteConnection {
    let file = data.join("troupe.db");
    let mut connection =
        SqliteConnection::establish(&file.display().to_string()).expect("the file can be opened");
    connection.batch_execute("PRAGMA busy_timeout = 10000").expect("it can wait");
    connection
}

pub fn run_sql(data: &Path, sql: &str) {
    sqlite(data).batch_execute(sql).expect("the statement is right");
}

/// An empty database of its own on the test server; none without a server.
pub struct Postgres {
    runtime: tokio::runtime::Runtime,
    database: Option<TestDatabase>,
}

impl Postgres {
    #[expect(clippy::print_stdout, reason = "what is skipped is said loudly")]
    pub fn create() -> Option<Self> {
        if postgres_url().is_none() {
            println!("SKIPPED on PostgreSQL: TROUPE_TEST_POSTGRES is not set");
            return None;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let database = runtime.block_on(TestDatabase::create(Dialect::Postgres, &[]));
        Some(Self { runtime, database })
    }

    pub fn url(&self) -> &str {
        self.database.as_ref().expect("it is there until it is dropped").url()
    }

    pub fn run_sql(&self, sql: &str) {
        self.runtime.block_on(async {
            let db = Db::open(&DatabaseConfig::with_url(self.url())).await.expect("it opens");
            db.command(&Scope::system("test", Duration::from_secs(10)), async |unit| {
                unit.conn().batch(sql).await?;
                Ok(())
            })
            .await
            .expect("the statement is right");
        });
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(database) = self.database.take() {
            self.runtime.block_on(database.remove());
        }
    }
}
