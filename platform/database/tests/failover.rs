//! The primary is lost, its replica is promoted, and the pools find it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use troupe_database::prelude::*;
use troupe_database::{DatabaseConfig, Db};
use troupe_kernel::TenantId;
use troupe_kernel::config::Secret;

use crate::notes::{self, NoteRow, scope, tenant};
use crate::replica::{of_caller, opened, read_for, write};
use crate::servers::{Server, until};

/// Both servers are named for everything.
fn config(first: &Server, second: &Server) -> DatabaseConfig {
    let (first, second) = (first.port(), second.port());
    let url = format!("postgres://postgres@127.0.0.1:{first},127.0.0.1:{second}/postgres");
    DatabaseConfig {
        replica_url: Some(Secret::new(url.clone())),
        replica_lag_max: Duration::from_secs(60),
        connections_max: 4,
        statement_timeout: Duration::from_secs(1),
        ..DatabaseConfig::with_url(&url)
    }
}

async fn is_there(db: &Db, tenant: TenantId, row: &NoteRow) -> bool {
    let found = db.read(async |conn: &mut DbConn| Ok(notes::find(conn, tenant, row.id).await?));
    found.await.unwrap().is_some()
}

#[tokio::test]
async fn writers_go_on_at_the_promoted_replica_and_nothing_that_was_answered_is_missing() {
    let Some(old) = Server::start("", |_| {}) else { return };
    let new = old.replica();
    let db = opened(&config(&old, &new)).await;
    old.ask("ALTER SYSTEM SET synchronous_standby_names = '*'");
    old.ask("SELECT pg_reload_conf()");
    let (db, tenant, answered) = (&db, tenant(), Mutex::new(Vec::<(Instant, NoteRow)>::new()));
    let (answered, is_over) = (&answered, &AtomicBool::new(false));
    let writing = futures_util::future::join_all((0..8).map(|writer| async move {
        let mut round = 0;
        while !is_over.load(Ordering::Relaxed) {
            round += 1;
            match write(db, &scope(), tenant, &format!("{writer}-{round}")).await {
                Ok(row) => answered.lock().push((Instant::now(), row)),
                Err(failure) => {
                    let known = ["database.unreachable", "database.commit.unknown"];
                    assert!(known.contains(&failure.code()), "{failure:?}");
                    assert!(failure.retry_after_duration().is_some());
                }
            }
        }
    }));
    let changing = async {
        until("many writes", async || answered.lock().len() > 50).await;
        old.kill();
        let killed = Instant::now();
        new.promote();
        let promoted = Instant::now();
        until("writes go on", async || {
            answered.lock().iter().filter(|(at, _)| *at > promoted).count() > 50
        })
        .await;
        is_over.store(true, Ordering::Relaxed);
        assert!(killed.elapsed() < Duration::from_secs(20), "{:?}", killed.elapsed());
    };
    futures_util::future::join(writing, changing).await;
    let rows: Vec<NoteRow> = answered.lock().iter().map(|(_, row)| row.clone()).collect();
    for row in &rows {
        assert!(is_there(db, tenant, row).await, "{} was answered and is missing", row.title);
    }

    // The one that was lost comes back and still takes itself for the primary.
    let before = db_rows(&old, || old.launch());
    // It would take writes by itself now.
    old.ask("ALTER SYSTEM RESET synchronous_standby_names");
    old.ask("SELECT pg_reload_conf()");
    let again = Db::open(db.config()).await.unwrap();
    for db in [db, &again] {
        for _ in 0..3 {
            db.look().await;
            let row = write(db, &scope(), tenant, &format!("{:?}", Instant::now())).await.unwrap();
            assert!(is_there(db, tenant, &row).await);
        }
    }
    new.kill();
    let failure = write(db, &scope(), tenant, "nowhere").await.unwrap_err();
    assert_eq!(failure.code(), "database.unreachable");
    assert_eq!(db_rows(&old, || ()), before, "nothing was written to the server of the past");
}

fn db_rows(server: &Server, first: impl FnOnce()) -> String {
    first();
    server.ask("SELECT count(*) FROM notes")
}

#[tokio::test]
async fn a_primary_that_hangs_is_left_when_another_was_promoted_and_never_written_to_again() {
    let Some(old) = Server::start("", |_| {}) else { return };
    let new = old.replica();
    let db = opened(&config(&old, &new)).await;
    let tenant = tenant();
    let caller = of_caller(0);
    let row = write(&db, &caller, tenant, "before").await.unwrap();
    until("the replica has it", async || {
        db.look().await;
        read_for(&db, &caller, tenant, &row).await.unwrap() == (true, true)
    })
    .await;
    old.signal("STOP");
    new.promote();
    let began = Instant::now();
    let later = until("the promoted one takes writes", async || {
        db.look().await;
        write(&db, &caller, tenant, &format!("{:?}", Instant::now())).await.is_ok()
    });
    later.await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    old.signal("CONT");
    for _ in 0..3 {
        db.look().await;
        assert_eq!(
            read_for(&db, &caller, tenant, &row).await.unwrap(),
            (false, true),
            "a server of the past is no replica, and a token of the past is honoured"
        );
    }
}

#[tokio::test]
async fn readers_of_a_replica_go_on_while_there_is_no_primary() {
    let Some(primary) = Server::start("", |_| {}) else { return };
    let replica = primary.replica();
    let db = opened(&config(&primary, &replica)).await;
    let (tenant, caller) = (tenant(), of_caller(0));
    let row = write(&db, &caller, tenant, "kept").await.unwrap();
    until("the replica has it", async || {
        db.look().await;
        read_for(&db, &caller, tenant, &row).await.unwrap() == (true, true)
    })
    .await;
    primary.kill();
    db.look().await;
    let began = Instant::now();
    assert_eq!(read_for(&db, &caller, tenant, &row).await.unwrap(), (true, true));
    assert!(began.elapsed() < Duration::from_secs(1));
    let ahead = of_caller(u64::MAX);
    let failure = read_for(&db, &ahead, tenant, &row).await.unwrap_err();
    assert_eq!(failure.code(), "database.unreachable");
    let failure = write(&db, &caller, tenant, "lost").await.unwrap_err();
    assert_eq!(failure.code(), "database.unreachable");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    primary.launch();
    assert!(write(&db, &caller, tenant, "again").await.is_ok());
}
