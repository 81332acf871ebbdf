//! Commits: shared on SQLite, sent together with the last writes on PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use tokio::sync::oneshot;
use troupe_actors::Scope;
use troupe_database::prelude::*;
use troupe_database::testing::{TestDatabase, for_both};
use troupe_database::{Db, Effect, UnitOfWork};
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
        let (first, (failed, (hung, last))) = join(first(&db, finished), others).await;
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
