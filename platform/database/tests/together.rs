//! Commits: shared on SQLite, sent together with the last writes on PostgreSQL.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use diesel::sql_types::BigInt;
use futures_util::FutureExt;
use futures_util::future::{join, join_all};
use tokio::sync::oneshot;
use tokio::time::timeout;
use troupe_actors::Scope;
use troupe_database::prelude::*;
use troupe_database::testing::{TestDatabase, for_both};
use troupe_database::{DatabaseConfig, Db, Effect, UnitOfWork};
use troupe_kernel::{AuditRecord, Event, Failure, Job};

use crate::notes::{self, MIGRATIONS, insert, note, scope, tenant, write};

async fn on(dialect: Dialect, test: impl AsyncFnOnce(Db)) {
    let Some(database) = TestDatabase::create(dialect, MIGRATIONS).await else { return };
    test(Db::open(&database.config()).await.unwrap()).await;
    database.remove().await;
}

async fn count(conn: &mut DbConn) -> Result<i64, Failure> {
    Ok(run!(conn, |c| notes::notes::table.count().get_result::<i64>(c))?)
}

async fn stored(db: &Db) -> i64 {
    db.read(async |conn: &mut DbConn| count(conn).await).await.unwrap()
}

/// Adds a note and an event, and is done when the channel says so: by then others wait in line.
async fn first(db: &Db, done: oneshot::Receiver<()>) -> Result<(), Failure> {
    let tenant = tenant();
    db.transaction(&scope(), async move |uow: &mut UnitOfWork| {
        let row = note(uow, tenant, "first");
        insert(uow.conn(), &row).await?;
        uow.event(Event::new("notes.note.created", row.id.0, &row.title));
        done.await.unwrap();
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_unit_is_answered_and_its_wakers_called_when_the_shared_transaction_has_committed() {
    on(Dialect::Sqlite, async |db: Db| {
        let woken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&woken);
        db.wake_on(Effect::Events, move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let (finish, finished) = oneshot::channel();
        let scope = scope();
        let second = async {
            let work = db.transaction(&scope, async |uow: &mut UnitOfWork| {
                let inside = count(uow.conn()).await?;
                Ok((inside, stored(&db).await, woken.load(Ordering::SeqCst)))
            });
            let (seen, ()) = join(work, async { finish.send(()).unwrap() }).await;
            seen
        };
        let (first, seen) = join(first(&db, finished), second).await;
        first.unwrap();
        assert_eq!(seen.unwrap(), (1, 0, 0), "inside, outside, woken");
        assert_eq!((stored(&db).await, woken.load(Ordering::SeqCst)), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_unit_that_fails_or_is_cut_off_takes_nobody_with_it() {
    on(Dialect::Sqlite, async |db: Db| {
        let tenant = tenant();
        let began = Instant::now();
        let (finish, finished) = oneshot::channel();
        let scope = scope();
        let fails = db.transaction(&scope, async move |uow: &mut UnitOfWork| {
            let row = note(uow, tenant, "failed");
            insert(uow.conn(), &row).await?;
            Err::<(), _>(Failure::conflict("notes.no", "no"))
        });
        let short = Scope::system("test", Duration::from_millis(200));
        let hangs = db.transaction(&short, async move |uow: &mut UnitOfWork| {
            let row = note(uow, tenant, "late");
            insert(uow.conn(), &row).await?;
            uow.nested(async |_: &mut UnitOfWork| {
                tokio::time::sleep(Duration::from_secs(10)).await;
                Ok::<_, Failure>(())
            })
            .await
        });
        let last = async { write(&db, tenant, "last").await };
        let others = async {
            let all = join(fails, join(hangs, last));
            join(all, async { finish.send(()).unwrap() }).await.0
        };
        let first = Box::pin(first(&db, finished));
        let (first, (failed, (hung, last))) = join(first, Box::pin(others)).await;
        first.unwrap();
        last.unwrap();
        assert_eq!(failed.unwrap_err().code(), "notes.no");
        assert_eq!(hung.unwrap_err().code(), "database.deadline");
        assert_eq!(stored(&db).await, 2);
        assert!(began.elapsed() < Duration::from_secs(5));
    })
    .await;
}

#[tokio::test]
async fn a_commit_that_fails_fails_every_unit_in_it_and_the_next_is_clean() {
    on(Dialect::Sqlite, async |db: Db| {
        db.transaction(&scope(), async |uow: &mut UnitOfWork| {
            let tables = "CREATE TABLE whole (id INTEGER PRIMARY KEY); CREATE TABLE part \
                (whole INTEGER REFERENCES whole (id) DEFERRABLE INITIALLY DEFERRED)";
            Ok(uow.conn().batch(tables).await?)
        })
        .await
        .unwrap();
        let (finish, finished) = oneshot::channel();
        let scope = scope();
        let breaks = db.transaction(&scope, async |uow: &mut UnitOfWork| {
            Ok(uow.conn().batch("INSERT INTO part VALUES (7)").await?)
        });
        let breaks = async { join(breaks, async { finish.send(()).unwrap() }).await.0 };
        let (first, broken) = join(first(&db, finished), breaks).await;
        assert!(broken.is_err());
        assert!(first.is_err());
        assert_eq!(stored(&db).await, 0);
        write(&db, tenant(), "next").await.unwrap();
        assert_eq!(stored(&db).await, 1);
    })
    .await;
}

/// A unit in which a statement ends the whole transaction, as a full disk may.
async fn ends_everything(db: &Db) -> Result<(), Failure> {
    db.transaction(&scope(), async |uow: &mut UnitOfWork| {
        uow.nested(async |uow: &mut UnitOfWork| {
            Ok::<_, Failure>(uow.conn().batch("INSERT INTO trap VALUES (1)").await?)
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_statement_that_ends_the_shared_transaction_fails_every_unit_and_the_next_is_clean() {
    on(Dialect::Sqlite, async |db: Db| {
        db.transaction(&scope(), async |uow: &mut UnitOfWork| {
            let trap = "CREATE TABLE trap (id INTEGER); CREATE TRIGGER snap BEFORE INSERT ON trap \
                BEGIN SELECT RAISE(ROLLBACK, 'snap'); END";
            Ok(uow.conn().batch(trap).await?)
        })
        .await
        .unwrap();
        let (finish, finished) = oneshot::channel();
        let ends = join(ends_everything(&db), async { finish.send(()).unwrap() });
        let (first, (ended, ())) = join(first(&db, finished), ends).await;
        assert_eq!(first.unwrap_err().code(), "database.group.lost");
        assert!(ended.is_err());
        assert_eq!(stored(&db).await, 0);
        write(&db, tenant(), "next").await.unwrap();
        assert_eq!(stored(&db).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_unit_that_panics_or_gives_up_in_line_takes_nobody_with_it() {
    on(Dialect::Sqlite, async |db: Db| {
        let tenant = tenant();
        let (finish, finished) = oneshot::channel();
        let scope = scope();
        let panics = db.transaction(&scope, async move |uow: &mut UnitOfWork| {
            let row = note(uow, tenant, "panicked");
            insert(uow.conn(), &row).await?;
            assert!(uow.now().to_string().is_empty(), "on purpose");
            Ok(())
        });
        let panics = Box::pin(AssertUnwindSafe(panics).catch_unwind());
        let gives_up = timeout(Duration::from_millis(50), write(&db, tenant, "gave up"));
        let last = write(&db, tenant, "last");
        let done = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            finish.send(()).unwrap();
        };
        let others = Box::pin(join(panics, join(gives_up, join(last, done))));
        let first = Box::pin(first(&db, finished));
        let (first, (panicked, (gave_up, (last, ())))) = join(first, others).await;
        first.unwrap();
        last.unwrap();
        assert!(gave_up.is_err() && panicked.is_err());
        assert_eq!(stored(&db).await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_part_that_fails_in_a_shared_transaction_undoes_itself_only() {
    on(Dialect::Sqlite, async |db: Db| {
        let tenant = tenant();
        let (finish, finished) = oneshot::channel();
        let scope = scope();
        let partial = db.transaction(&scope, async move |uow: &mut UnitOfWork| {
            let row = note(uow, tenant, "kept");
            insert(uow.conn(), &row).await?;
            let part = uow.nested(async |uow: &mut UnitOfWork| {
                let row = note(uow, tenant, "undone");
                insert(uow.conn(), &row).await?;
                Err::<(), _>(Failure::conflict("notes.no", "no"))
            });
            assert_eq!(part.await.unwrap_err().code(), "notes.no");
            count(uow.conn()).await
        });
        let partial = join(partial, async { finish.send(()).unwrap() });
        let (first, (seen, ())) = join(first(&db, finished), partial).await;
        first.unwrap();
        assert_eq!((seen.unwrap(), stored(&db).await), (2, 2));
    })
    .await;
}

#[tokio::test]
async fn nobody_joins_a_transaction_that_is_old() {
    on(Dialect::Sqlite, async |db: Db| {
        let (finish, finished) = oneshot::channel();
        let scope = scope();
        let second = db.transaction(&scope, async |_: &mut UnitOfWork| Ok(stored(&db).await));
        let later = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            finish.send(()).unwrap();
        };
        let (first, (seen, ())) = join(first(&db, finished), join(second, later)).await;
        first.unwrap();
        assert_eq!(seen.unwrap(), 1, "the first had committed");
    })
    .await;
}

#[tokio::test]
async fn work_with_much_time_shares_no_transaction() {
    on(Dialect::Sqlite, async |db: Db| {
        let (finish, finished) = oneshot::channel();
        let long = Scope::system("test", Duration::from_secs(120));
        let second = db.transaction(&long, async |_: &mut UnitOfWork| Ok(stored(&db).await));
        let second = join(second, async { finish.send(()).unwrap() });
        let (first, (seen, ())) = join(first(&db, finished), second).await;
        first.unwrap();
        assert_eq!(seen.unwrap(), 1, "the first had committed");
    })
    .await;
}

#[tokio::test]
async fn more_units_than_one_transaction_takes_all_commit() {
    for_both(MIGRATIONS, async |db: Db| {
        let tenant = tenant();
        let writes = (0..200).map(|number| {
            let (db, title) = (&db, format!("note {number}"));
            async move { write(db, tenant, &title).await }
        });
        assert!(join_all(writes).await.into_iter().all(|written| written.is_ok()));
        assert_eq!(stored(&db).await, 200);
    })
    .await;
}

#[tokio::test]
async fn no_more_units_than_a_transaction_takes_wait_for_its_commit() {
    on(Dialect::Sqlite, async |db: Db| {
        let (begun, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let scope = scope();
        // Quick ones: the transaction must not become too old before it is full.
        let units = (0..1000).map(async |_| {
            let unit = db.transaction(&scope, async |_: &mut UnitOfWork| {
                Ok(begun.fetch_add(1, Ordering::SeqCst) - answered.load(Ordering::SeqCst))
            });
            let waiting = unit.await.unwrap();
            answered.fetch_add(1, Ordering::SeqCst);
            waiting
        });
        let waiting = join_all(units).await.into_iter().max();
        // The next transaction may begin before those of the last one have seen their answers.
        assert!(waiting.unwrap() <= 128, "{waiting:?}");
    })
    .await;
}

#[tokio::test]
async fn an_effect_that_fails_undoes_the_rows_and_the_other_effects() {
    on(Dialect::Postgres, async |db: Db| {
        let tenant = tenant();
        // The second time all statements are prepared and go out at once.
        for _ in 0..2 {
            let result = db
                .transaction(&scope(), async move |uow: &mut UnitOfWork| {
                    let row = note(uow, tenant, "first");
                    insert(uow.conn(), &row).await?;
                    // PostgreSQL's documents take no such character.
                    let detail = serde_json::json!("\0");
                    uow.audit(AuditRecord::new(uow.scope(), "notes.x", "note:1").detail(detail));
                    uow.job(Job::new("notes.index", &1));
                    uow.event(Event::new("notes.note.created", row.id.0, &row.title));
                    Ok(())
                })
                .await;
            assert!(result.is_err());
            assert_eq!(stored(&db).await, 0);
        }
        write(&db, tenant, "first").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_failed_unnoticed_is_not_reported_as_committed() {
    on(Dialect::Postgres, async |db: Db| {
        let tenant = tenant();
        write(&db, tenant, "taken").await.unwrap();
        let result = db
            .transaction(&scope(), async move |uow: &mut UnitOfWork| {
                for title in ["free", "taken"] {
                    let row = note(uow, tenant, title);
                    drop(insert(uow.conn(), &row).await);
                }
                Ok(())
            })
            .await;
        assert!(result.is_err());
        assert_eq!(stored(&db).await, 1);
    })
    .await;
}

const WRITTEN: &str = "(pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint";
const DURABLE: &str = "(pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint";

/// A place in the log of the server.
async fn place(conn: &mut DbConn, which: &'static str) -> Result<i64, Failure> {
    let query = diesel::select(fragment::<BigInt>(which));
    Ok(run!(conn, |c| query.get_result::<i64>(c))?)
}

/// A server that waits for its disk, whatever it does by itself, and few connections to it.
async fn on_durable_postgres(test: impl AsyncFnOnce(Db)) {
    on(Dialect::Postgres, async |db: Db| {
        db.transaction(&scope(), async |uow: &mut UnitOfWork| {
            let durable = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = on', \
                current_database()); END $$";
            Ok(uow.conn().batch(durable).await?)
        })
        .await
        .unwrap();
        let config = DatabaseConfig { connections_max: 2, ..db.config().clone() };
        test(Db::open(&config).await.unwrap()).await;
    })
    .await;
}

async fn write_many(db: &Db, prefix: &str) -> Vec<Result<i64, Failure>> {
    let tenant = tenant();
    let writes = (0..40).map(async |number| {
        let title = format!("{prefix} {number}");
        db.transaction(&scope(), async |uow: &mut UnitOfWork| {
            let row = note(uow, tenant, &title);
            insert(uow.conn(), &row).await?;
            place(uow.conn(), WRITTEN).await
        })
        .await
    });
    join_all(writes).await
}

#[tokio::test]
async fn a_unit_that_gives_its_connection_back_is_answered_when_it_is_durable() {
    on_durable_postgres(async |db: Db| {
        let config = DatabaseConfig { connections_max: 40, ..db.config().clone() };
        let watcher = Db::open(&config).await.unwrap();
        let (scope, tenant) = (scope(), tenant());
        let writes = (0..40).map(async |number| {
            let title = format!("note {number}");
            let written = db.transaction(&scope, async |uow: &mut UnitOfWork| {
                let row = note(uow, tenant, &title);
                insert(uow.conn(), &row).await?;
                place(uow.conn(), WRITTEN).await
            });
            let written = written.await.unwrap();
            let durable = watcher.read(async |conn: &mut DbConn| place(conn, DURABLE).await);
            assert!(written < durable.await.unwrap(), "{number}");
        });
        join_all(writes).await;
        assert_eq!(stored(&db).await, 40);
    })
    .await;
}

#[tokio::test]
async fn a_flush_that_fails_is_told_and_the_next_commits_have_another() {
    on_durable_postgres(async |db: Db| {
        assert!(write_many(&db, "before").await.iter().all(Result::is_ok));
        db.transaction(&scope(), async |uow: &mut UnitOfWork| {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE datname = current_database() AND query LIKE '%pg_logical_emit_message%' \
                AND pid <> pg_backend_pid()";
            Ok(uow.conn().batch(end).await?)
        })
        .await
        .unwrap();
        // Those that commit before the end is noticed may fail.
        write_many(&db, "meanwhile").await;
        assert!(write_many(&db, "after").await.iter().all(Result::is_ok));
    })
    .await;
}
