//! What keeps a database from being opened, and what the message says then.

use std::path::{Path, PathBuf};
use std::time::Duration;

use diesel::Connection;
use diesel::connection::SimpleConnection;
use troupe_database::testing::postgres_url;
use troupe_database::{DatabaseConfig, Db, DbError, UnitOfWork};

use crate::notes::scope;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("troupe-open-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn config(&self, file: &str) -> DatabaseConfig {
        DatabaseConfig {
            lock_timeout: Duration::from_millis(100),
            ..DatabaseConfig::with_url(&format!("sqlite:{}", self.0.join(file).display()))
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

async fn refusal(config: &DatabaseConfig) -> (DbError, String) {
    let error = Db::open(config).await.unwrap_err();
    let text = error.to_string();
    (error, text)
}

#[tokio::test]
async fn a_bad_url_says_which_forms_there_are_and_hides_the_url() {
    for url in ["mysql://root:hunter2@localhost/db", "sqlite:", "sqlite::memory:", ""] {
        let (error, text) = refusal(&DatabaseConfig::with_url(url)).await;
        assert!(matches!(error, DbError::Url { .. }), "{error:?}");
        assert!(text.contains("write sqlite:PATH or postgres://"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn a_missing_directory_is_made_and_one_that_cannot_be_made_is_named() {
    let directory = Directory::new("directory");
    assert!(Db::open(&directory.config("deep/er/data.db")).await.is_ok());
    std::fs::write(directory.0.join("file"), b"x").unwrap();
    let (error, text) = refusal(&directory.config("file/data.db")).await;
    assert!(matches!(error, DbError::DataDirectory { .. }), "{error:?}");
    assert!(text.contains("is not writable") && text.contains("database.url"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let directory = Directory::new("garbage");
    std::fs::write(directory.0.join("data.db"), [b'x'; 4096]).unwrap();
    let (error, text) = refusal(&directory.config("data.db")).await;
    assert!(matches!(error, DbError::File { .. }), "{error:?}");
    assert!(text.contains("data.db") && text.contains("not a database"), "{text}");
}

#[tokio::test]
async fn a_file_that_another_process_locks_says_so_at_start_and_later() {
    let directory = Directory::new("locked");
    let config = directory.config("data.db");
    let path = directory.0.join("data.db");
    let holder =
        hold(&path, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; BEGIN EXCLUSIVE;");
    let (error, text) = refusal(&config).await;
    assert!(matches!(error, DbError::FileLocked { .. }), "{error:?}");
    assert!(text.contains("another process"), "{text}");
    drop(holder);
    let db = Db::open(&config).await.unwrap();
    let holder = hold(&path, "BEGIN IMMEDIATE;");
    let failure = db.transaction(&scope(), async |_: &mut UnitOfWork| Ok(())).await.unwrap_err();
    assert_eq!(failure.code(), "database.busy");
    assert!(failure.retry_after_duration().is_some());
    drop(holder);
    assert!(db.transaction(&scope(), async |_: &mut UnitOfWork| Ok(())).await.is_ok());
}

fn hold(path: &Path, sql: &str) -> diesel::SqliteConnection {
    let mut holder = diesel::SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    holder.batch_execute(sql).unwrap();
    holder
}

#[tokio::test]
async fn a_server_that_is_away_or_refuses_the_login_says_what_to_check() {
    let (error, _) =
        refusal(&DatabaseConfig::with_url("postgres://app:hunter2@127.0.0.1:1/troupe")).await;
    assert!(matches!(error, DbError::Unreachable { .. }), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    let Some(url) = postgres_url() else { return };
    let (scheme, rest) = url.split_once("://").unwrap();
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let unknown = format!("{scheme}://nobody_here:hunter2@{host}");
    let (error, text) = refusal(&DatabaseConfig::with_url(&unknown)).await;
    assert!(matches!(error, DbError::Credentials { .. }), "{error:?}");
    assert!(text.contains("check user and password") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn an_open_database_answers_a_ping() {
    let directory = Directory::new("ping");
    let db = Db::open(&directory.config("data.db")).await.unwrap();
    assert!(db.ping().await.is_ok());
}
