//! The unit of work: all or nothing, once per key, with its effects.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use troupe_actors::{Idempotency, Origin, Principal, PrincipalKind, Scope, System, SystemConfig};
use troupe_database::prelude::*;
use troupe_database::schema::{audit_queue, idempotency, inbox, jobs, outbox};
use troupe_database::testing::{TestDatabase, for_both, for_both_with};
use troupe_database::{DatabaseConfig, Db, Effect, Housekeeping, Sweep, UnitOfWork};
use troupe_kernel::{AuditRecord, Event, Failure, FailureKind, Job, ManualClock, TenantId, Uuid};

use crate::notes::{self, MIGRATIONS, insert, note, scope, tenant, write};

/// A request of `subject` with an idempotency key.
fn request(tenant: TenantId, subject: Uuid, key: &str, fingerprint: &str) -> Scope {
    let mut origin = Origin::new(Uuid::now_v7());
    origin.principal = Some(Arc::new(Principal {
        subject,
        kind: PrincipalKind::User,
        tenant: Some(tenant.into()),
        session: None,
        permissions: troupe_actors::PermissionSet::new(),
        bound: None,
        label: "test".to_owned(),
    }));
    origin.idempotency =
        Some(Idempotency { key: key.to_owned(), fingerprint: fingerprint.to_owned() });
    Scope::root(Duration::from_secs(20), origin)
}

/// Rows of outbox, audit queue, jobs and notes.
async fn counts(db: &Db) -> (i64, i64, i64, i64) {
    db.read(async |conn: &mut DbConn| {
        let events = run!(conn, |c| outbox::table.count().get_result::<i64>(c))?;
        let audit = run!(conn, |c| audit_queue::table.count().get_result::<i64>(c))?;
        let jobs = run!(conn, |c| jobs::table.count().get_result::<i64>(c))?;
        let notes = run!(conn, |c| notes::notes::table.count().get_result::<i64>(c))?;
        Ok((events, audit, jobs, notes))
    })
    .await
    .unwrap()
}

/// A note with one effect of each kind.
async fn create(db: &Db, scope: &Scope, tenant: TenantId, title: &str) -> Result<Uuid, Failure> {
    db.command(scope, async |uow: &mut UnitOfWork| {
        let row = note(uow, tenant, title);
        insert(uow.conn(), &row).await?;
        uow.event(Event::new("notes.note.created", row.id.0, &row.title));
        let record =
            AuditRecord::new(uow.scope(), "notes.note.create", format!("note:{}", row.id.0));
        uow.audit(record);
        uow.job(Job::new("notes.index", &row.id.0));
        Ok(row.id.0)
    })
    .await
}

#[tokio::test]
async fn a_command_commits_its_rows_and_effects_together_and_wakes_who_waits() {
    for_both(MIGRATIONS, async |db: Db| {
        let woken = Arc::new(AtomicUsize::new(0));
        for effect in [Effect::Events, Effect::Jobs, Effect::Audit] {
            let woken = woken.clone();
            db.wake_on(effect, move || {
                woken.fetch_add(1, Ordering::SeqCst);
            });
        }
        create(&db, &scope(), tenant(), "first").await.unwrap();
        assert_eq!(counts(&db).await, (1, 1, 1, 1));
        assert_eq!(woken.load(Ordering::SeqCst), 3);
        write(&db, tenant(), "without effects").await.unwrap();
        assert_eq!(woken.load(Ordering::SeqCst), 3);
    })
    .await;
}

#[tokio::test]
async fn a_command_that_fails_leaves_nothing_behind() {
    for_both(MIGRATIONS, async |db: Db| {
        let tenant = tenant();
        let result: Result<(), Failure> = db
            .command(&scope(), async |uow: &mut UnitOfWork| {
                let row = note(uow, tenant, "first");
                insert(uow.conn(), &row).await?;
                uow.event(Event::new("notes.note.created", row.id.0, &row.title));
                Err(Failure::conflict("notes.no", "no"))
            })
            .await;
        assert_eq!(result.unwrap_err().code(), "notes.no");
        assert_eq!(counts(&db).await, (0, 0, 0, 0));
    })
    .await;
}

#[tokio::test]
async fn an_effect_that_its_guard_refuses_takes_the_work_with_it() {
    for_both(MIGRATIONS, async |db: Db| {
        let refuses = Arc::new(AtomicBool::new(true));
        let guard = refuses.clone();
        db.guard(Effect::Events, move || {
            let refuses = guard.load(Ordering::SeqCst);
            refuses.then(|| Failure::unavailable("notes.full", "too many events wait"))
        });
        let refused = create(&db, &scope(), tenant(), "first").await.unwrap_err();
        assert_eq!(refused.code(), "notes.full");
        assert_eq!(counts(&db).await, (0, 0, 0, 0));
        write(&db, tenant(), "without effects").await.unwrap();
        refuses.store(false, Ordering::SeqCst);
        create(&db, &scope(), tenant(), "first").await.unwrap();
        assert_eq!(counts(&db).await, (1, 1, 1, 2));
    })
    .await;
}

#[tokio::test]
async fn the_same_key_is_answered_with_the_stored_reply_and_done_once() {
    for_both(MIGRATIONS, async |db: Db| {
        let (tenant, subject) = (tenant(), Uuid::now_v7());
        let scope = request(tenant, subject, "key-1", "print");
        let first = create(&db, &scope, tenant, "first").await.unwrap();
        let again = create(&db, &scope, tenant, "first").await.unwrap();
        assert_eq!(first, again);
        assert_eq!(counts(&db).await, (1, 1, 1, 1));
        // The key belongs to its subject.
        let other = request(tenant, Uuid::now_v7(), "key-1", "print");
        assert_ne!(create(&db, &other, tenant, "second").await.unwrap(), first);
    })
    .await;
}

#[tokio::test]
async fn a_replay_is_marked() {
    for_both(MIGRATIONS, async |db: Db| {
        let scope = request(tenant(), Uuid::now_v7(), "key", "print");
        for replayed in [false, true] {
            let done = db.command_marked(&scope, async |_: &mut UnitOfWork| Ok(7)).await.unwrap();
            assert_eq!((done.value, done.replayed), (7, replayed));
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_that_was_used_for_another_request_is_refused() {
    for_both(MIGRATIONS, async |db: Db| {
        let (tenant, subject) = (tenant(), Uuid::now_v7());
        create(&db, &request(tenant, subject, "key", "one"), tenant, "first").await.unwrap();
        let failure = create(&db, &request(tenant, subject, "key", "two"), tenant, "second")
            .await
            .unwrap_err();
        assert_eq!(
            (failure.kind(), failure.code()),
            (FailureKind::Invalid, "database.idempotency.mismatch")
        );
        // Also when another command of the program answers the second request.
        let other = request(tenant, subject, "key", "three");
        let result: Result<u32, Failure> =
            db.command(&other, async |_: &mut UnitOfWork| Ok(1)).await;
        assert_eq!(result.unwrap_err().code(), "database.idempotency.mismatch");
        assert_eq!(counts(&db).await, (1, 1, 1, 1));
    })
    .await;
}

#[tokio::test]
async fn requests_with_one_key_at_the_same_time_are_done_once() {
    for_both(MIGRATIONS, async |db: Db| {
        let (tenant, subject) = (tenant(), Uuid::now_v7());
        let attempts = (0..8).map(|_| {
            let (db, scope) = (db.clone(), request(tenant, subject, "key", "print"));
            async move { create(&db, &scope, tenant, "first").await }
        });
        let replies = futures_util::future::join_all(attempts).await;
        let first = replies[0].clone().unwrap();
        assert!(replies.into_iter().all(|reply| reply == Ok(first)));
        assert_eq!(counts(&db).await, (1, 1, 1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_failed_request_may_be_tried_again_with_its_key() {
    for_both(MIGRATIONS, async |db: Db| {
        let (tenant, subject) = (tenant(), Uuid::now_v7());
        write(&db, tenant, "taken").await.unwrap();
        let scope = request(tenant, subject, "key", "print");
        assert!(create(&db, &scope, tenant, "taken").await.is_err());
        assert!(create(&db, &scope, tenant, "free").await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_part_that_fails_is_undone_and_the_rest_stands() {
    for_both(MIGRATIONS, async |db: Db| {
        let tenant = tenant();
        write(&db, tenant, "taken").await.unwrap();
        let title = db
            .command(&scope(), async |uow: &mut UnitOfWork| {
                for title in ["taken", "free"] {
                    let written: DbResult<()> = uow
                        .nested(async |uow: &mut UnitOfWork| {
                            let row = note(uow, tenant, title);
                            uow.event(Event::new("notes.note.created", row.id.0, &row.title));
                            insert(uow.conn(), &row).await
                        })
                        .await;
                    match written {
                        Ok(()) => return Ok(title.to_owned()),
                        Err(error) if error.is_unique("notes_tenant_title_key") => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(Failure::conflict("notes.title.taken", "no title is free"))
            })
            .await;
        assert_eq!(title.unwrap(), "free");
        assert_eq!(counts(&db).await, (1, 0, 0, 2));
    })
    .await;
}

#[tokio::test]
async fn an_event_is_applied_once_per_consumer() {
    for_both(MIGRATIONS, async |db: Db| {
        let (tenant, event) = (tenant(), Uuid::now_v7());
        let apply = async |consumer: &'static str, title: &'static str| {
            db.consume(&scope(), consumer, event, async move |uow: &mut UnitOfWork| {
                let row = note(uow, tenant, title);
                insert(uow.conn(), &row).await?;
                Ok(title)
            })
            .await
        };
        assert_eq!(apply("search", "a").await.unwrap(), Some("a"));
        assert_eq!(apply("search", "b").await.unwrap(), None);
        assert_eq!(apply("feed", "c").await.unwrap(), Some("c"));
        // A failure leaves the event to be delivered again.
        let retried = Uuid::now_v7();
        for expected in [Err("notes.later"), Ok(Some(1)), Ok(None)] {
            let fails = expected.is_err();
            let result = db
                .consume(&scope(), "search", retried, async move |_: &mut UnitOfWork| {
                    if fails { Err(Failure::unavailable("notes.later", "later")) } else { Ok(1) }
                })
                .await;
            assert_eq!(
                result.as_ref().map_err(Failure::code),
                expected.as_ref().map_err(|code| *code)
            );
        }
        assert_eq!(counts(&db).await.3, 2);
    })
    .await;
}

#[tokio::test]
async fn work_past_its_deadline_is_undone_and_the_connection_is_not_reused_dirty() {
    for_both(MIGRATIONS, async |db: Db| {
        let tenant = tenant();
        let short = Scope::system("test", Duration::from_millis(50));
        let result: Result<(), Failure> = db
            .command(&short, async |uow: &mut UnitOfWork| {
                let row = note(uow, tenant, "late");
                insert(uow.conn(), &row).await?;
                tokio::time::sleep(Duration::from_secs(5)).await;
                Ok(())
            })
            .await;
        assert_eq!(result.unwrap_err().code(), "database.deadline");
        // The row is not locked: the same key can be written at once.
        write(&db, tenant, "late").await.unwrap();
        assert_eq!(counts(&db).await.3, 1);
    })
    .await;
}

#[tokio::test]
async fn work_whose_future_is_dropped_in_a_statement_is_undone() {
    for_both(MIGRATIONS, async |db: Db| {
        let tenant = tenant();
        for round in 0..20 {
            let work = write(&db, tenant, "dropped");
            let cut = Duration::from_micros(round * 150);
            drop(tokio::time::timeout(cut, work).await);
            // Whatever was cut, a new transaction gets a clean connection.
            let title = format!("after {round}");
            write(&db, tenant, &title).await.unwrap();
        }
        let notes = counts(&db).await.3;
        assert!((20..=21).contains(&notes), "{notes}");
    })
    .await;
}

#[tokio::test]
async fn readers_refuse_to_write() {
    for_both(MIGRATIONS, async |db: Db| {
        let result = db
            .read(async |conn: &mut DbConn| {
                let gone = run!(conn, |c| diesel::delete(outbox::table).execute(c));
                assert!(matches!(gone, Err(DbError::ReadOnly)), "{gone:?}");
                Ok(())
            })
            .await;
        assert!(result.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_slow_statement_and_a_held_row_end_in_failures_that_may_be_tried_again() {
    let Some(database) = TestDatabase::create(Dialect::Postgres, MIGRATIONS).await else { return };
    let short = Duration::from_millis(100);
    let config = DatabaseConfig { statement_timeout: short, ..database.config() };
    let db = Db::open(&config).await.unwrap();
    let sleeping = db
        .transaction(&scope(), async |uow: &mut UnitOfWork| {
            uow.conn().batch("SELECT pg_sleep(5)").await?;
            Ok(())
        })
        .await;
    assert_eq!(sleeping.unwrap_err().code(), "database.timeout");
    let config = DatabaseConfig { lock_timeout: short, connections_max: 2, ..database.config() };
    let db = Db::open(&config).await.unwrap();
    let id = write(&db, tenant(), "held").await.unwrap().id;
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
    let scope = scope();
    let holder = db.transaction(&scope, async move |uow: &mut UnitOfWork| {
        notes::rename(uow.conn(), id, 1, "other").await?;
        locked.send(()).unwrap();
        may_go_on.await.unwrap();
        Ok(())
    });
    let waiter = async {
        is_locked.await.unwrap();
        let result = db
            .transaction(&scope, async move |uow: &mut UnitOfWork| {
                Ok(notes::rename(uow.conn(), id, 1, "mine").await?)
            })
            .await;
        go_on.send(()).unwrap();
        result.unwrap_err()
    };
    let (held, busy) = futures_util::future::join(holder, waiter).await;
    held.unwrap();
    assert_eq!((busy.kind(), busy.code()), (FailureKind::Unavailable, "database.busy"));
    database.remove().await;
}

#[tokio::test]
async fn a_caller_waits_for_a_free_connection_only_so_long() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(database) = TestDatabase::create(dialect, MIGRATIONS).await else { continue };
        let acquire_timeout = Duration::from_millis(500);
        let db =
            Db::open(&DatabaseConfig { connections_max: 1, acquire_timeout, ..database.config() })
                .await
                .unwrap();
        let scope = scope();
        let nested = db
            .transaction(&scope, async |_: &mut UnitOfWork| {
                let inner = db.transaction(&scope, async |_: &mut UnitOfWork| Ok(())).await;
                Ok(inner.unwrap_err())
            })
            .await
            .unwrap();
        assert_eq!(nested.code(), "database.timeout");
        assert!(nested.retry_after_duration().is_some());
        database.remove().await;
    }
}

#[tokio::test]
async fn a_job_with_a_unique_value_is_added_once_while_it_waits() {
    for_both(MIGRATIONS, async |db: Db| {
        for _ in 0..3 {
            let job = Job::new("notes.index", &1).unique("notes.index:1");
            db.transaction(&scope(), async |uow: &mut UnitOfWork| {
                uow.job(job.clone());
                Ok(())
            })
            .await
            .unwrap();
        }
        assert_eq!(counts(&db).await.2, 1);
    })
    .await;
}

#[tokio::test]
async fn housekeeping_forgets_what_is_past_its_retention_and_nothing_else() {
    let clock = Arc::new(ManualClock::default());
    for_both_with(MIGRATIONS, clock.clone(), async |db: Db| {
        let subject = Uuid::now_v7();
        let apply = async |key: &str| {
            let scope = request(tenant(), subject, key, "print");
            db.command(&scope, async |_: &mut UnitOfWork| Ok(1)).await.unwrap();
            db.consume(&scope, "search", Uuid::now_v7(), async |_: &mut UnitOfWork| Ok(1))
                .await
                .unwrap();
        };
        apply("old").await;
        clock.advance(db.config().idempotency_retention + Duration::from_secs(1));
        apply("new").await;
        let system = System::new(SystemConfig::default());
        let (housekeeping, child) = Housekeeping::spec(&system, &db);
        let running = system.start(child).await.unwrap();
        assert_eq!(housekeeping.ask(&scope(), Sweep).await.unwrap(), 1);
        clock.advance(db.config().inbox_retention + Duration::from_secs(1));
        assert_eq!(housekeeping.ask(&scope(), Sweep).await.unwrap(), 3);
        running.shutdown().await;
        let left = db
            .read(async |conn: &mut DbConn| {
                let replies = run!(conn, |c| idempotency::table.count().get_result::<i64>(c))?;
                let events = run!(conn, |c| inbox::table.count().get_result::<i64>(c))?;
                Ok((replies, events))
            })
            .await
            .unwrap();
        assert_eq!(left, (0, 0));
    })
    .await;
}
