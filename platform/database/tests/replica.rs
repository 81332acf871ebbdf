//! Reads from a real replica: who may, what they see, and what happens when it is behind or away.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use troupe_actors::{Origin, Scope};
use troupe_database::prelude::*;
use troupe_database::{DatabaseConfig, Db, Plan, UnitOfWork};
use troupe_kernel::{Failure, TenantId};

use crate::notes::{self, MIGRATIONS, NoteRow, scope, tenant};
use crate::servers::{Server, until};

pub(crate) fn config(primary: &Server, replica: &Server) -> DatabaseConfig {
    DatabaseConfig {
        replica_url: Some(troupe_kernel::config::Secret::new(replica.url())),
        replica_lag_max: Duration::from_secs(60),
        ..DatabaseConfig::with_url(&primary.url())
    }
}

/// A scope of a caller who has brought a token.
pub(crate) fn of_caller(seen: u64) -> Scope {
    let mut origin = Origin::new(troupe_kernel::Uuid::now_v7());
    origin.seen = Some(seen);
    Scope::root(Duration::from_secs(30), origin)
}

pub(crate) async fn write(
    db: &Db,
    scope: &Scope,
    tenant: TenantId,
    title: &str,
) -> Result<NoteRow, Failure> {
    db.transaction(scope, async |uow: &mut UnitOfWork| {
        let row = notes::note(uow, tenant, title);
        notes::insert(uow.conn(), &row).await?;
        Ok(row)
    })
    .await
}

/// Whether the replica answers, and whether the row is there.
pub(crate) async fn seen_by(
    conn: &mut DbConn,
    tenant: TenantId,
    row: &NoteRow,
) -> Result<(bool, bool), Failure> {
    let found = notes::find(conn, tenant, row.id).await?.is_some();
    Ok((is_standby(conn).await?, found))
}

pub(crate) async fn is_standby(conn: &mut DbConn) -> DbResult<bool> {
    run!(
        conn,
        pg | c
            | diesel::select(fragment::<diesel::sql_types::Bool>("pg_is_in_recovery()"))
                .get_result::<bool>(c),
        sqlite
            | c
            | diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>("0"))
                .get_result::<bool>(c),
    )
}

pub(crate) async fn read_for(
    db: &Db,
    scope: &Scope,
    tenant: TenantId,
    row: &NoteRow,
) -> Result<(bool, bool), Failure> {
    db.read_for(scope, async |conn: &mut DbConn| seen_by(conn, tenant, row).await).await
}

/// A database on a primary with the tables of the tests, once its replica is read from.
pub(crate) async fn opened(config: &DatabaseConfig) -> Db {
    let db = Db::open(config).await.unwrap();
    db.migrate(&Plan::merge(&[MIGRATIONS]).unwrap()).await.unwrap();
    follows(&db).await;
    db
}

async fn follows(db: &Db) {
    let caller = of_caller(0);
    until("the replica is read from", async || {
        db.look().await;
        let read = db.read_for(&caller, async |conn: &mut DbConn| Ok(is_standby(conn).await?));
        read.await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn a_caller_sees_its_own_write_and_the_replica_answers_once_it_has_it() {
    let Some(primary) = Server::start("", |_| {}) else { return };
    let replica = primary.replica();
    let db = opened(&config(&primary, &replica)).await;
    let (tenant, writer, stranger) = (tenant(), of_caller(0), of_caller(0));
    replica.ask("SELECT pg_wal_replay_pause()");
    // As a service does that acts for its caller under another name.
    let row = write(&db, &writer.clone().for_tenant(tenant.0), tenant, "mine").await.unwrap();
    assert!(writer.seen().unwrap() > 0);
    db.look().await;
    assert_eq!(read_for(&db, &writer, tenant, &row).await.unwrap(), (false, true));
    assert_eq!(read_for(&db, &stranger, tenant, &row).await.unwrap(), (true, false));
    let brought = of_caller(writer.origin().unwrap().written.place());
    assert_eq!(read_for(&db, &brought, tenant, &row).await.unwrap(), (false, true));
    let stale = db.read_stale(async |conn: &mut DbConn| seen_by(conn, tenant, &row).await).await;
    assert_eq!(stale.unwrap(), (false, true), "a node misses none of its own commits");

    replica.ask("SELECT pg_wal_replay_resume()");
    until("the replica answers the writer", async || {
        db.look().await;
        let seen = read_for(&db, &writer, tenant, &row).await.unwrap();
        assert!(seen.1, "the row is there, whoever answers");
        seen.0
    })
    .await;
    let without = scope();
    let seen = read_for(&db, &without, tenant, &row).await.unwrap();
    assert_eq!(seen, (false, true), "who has brought no token is answered by the primary");
}

#[tokio::test]
async fn nobody_misses_a_write_of_theirs_however_many_write_and_read() {
    const WRITERS: usize = 12;
    const ROUNDS: usize = 25;
    let Some(primary) = Server::start("", |_| {}) else { return };
    let replica = primary.replica();
    // On one machine it would have a commit before its writer could ask for it.
    replica.ask("ALTER SYSTEM SET recovery_min_apply_delay = '50ms'");
    replica.ask("SELECT pg_reload_conf()");
    // So few that commits are flushed together, which tells their place in another way.
    let config = DatabaseConfig { connections_max: 3, ..config(&primary, &replica) };
    let db = opened(&config).await;
    let (tenant, by_replica) = (tenant(), AtomicUsize::new(0));
    let (db, by_replica) = (&db, &by_replica);
    let writing = futures_util::future::join_all((0..WRITERS).map(|writer| async move {
        for round in 0..ROUNDS {
            let scope = of_caller(0);
            let row = write(db, &scope, tenant, &format!("{writer}-{round}")).await.unwrap();
            for pause_ms in [2, 100, 0] {
                let (standby, found) = read_for(db, &scope, tenant, &row).await.unwrap();
                assert!(found, "{writer}-{round} is missing; by the replica: {standby}");
                by_replica.fetch_add(usize::from(standby), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            }
        }
    }));
    let looking = async {
        loop {
            db.look().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    futures_util::future::select(Box::pin(writing), Box::pin(looking)).await;
    assert!(by_replica.load(Ordering::Relaxed) > WRITERS, "the replica has hardly answered");
}

#[tokio::test]
async fn without_a_replica_nobody_gets_a_token() {
    let Some(server) = Server::start("", |_| {}) else { return };
    let config = DatabaseConfig { connections_max: 1, ..DatabaseConfig::with_url(&server.url()) };
    let db = Db::open(&config).await.unwrap();
    db.migrate(&Plan::merge(&[MIGRATIONS]).unwrap()).await.unwrap();
    let (db, tenant) = (&db, tenant());
    let writers = (0..8).map(|writer| async move {
        let scope = of_caller(0);
        write(db, &scope, tenant, &writer.to_string()).await.unwrap();
        scope.origin().unwrap().written.place()
    });
    assert_eq!(futures_util::future::join_all(writers).await, [0; 8]);
}

#[tokio::test]
async fn a_replica_too_far_behind_is_not_read_from() {
    let Some(primary) = Server::start("", |_| {}) else { return };
    let replica = primary.replica();
    let lag = Duration::from_millis(500);
    let config = DatabaseConfig { replica_lag_max: lag, ..config(&primary, &replica) };
    let db = opened(&config).await;
    let tenant = tenant();
    replica.ask("SELECT pg_wal_replay_pause()");
    let row = write(&db, &scope(), tenant, "unseen").await.unwrap();
    let began = Instant::now();
    until("the primary answers", async || {
        db.look().await;
        read_for(&db, &of_caller(0), tenant, &row).await.unwrap() == (false, true)
    })
    .await;
    assert!(began.elapsed() < lag + Duration::from_secs(2));
    replica.ask("SELECT pg_wal_replay_resume()");
    follows(&db).await;
}

#[tokio::test]
async fn a_replica_that_is_away_costs_one_reader_a_moment_and_is_found_again() {
    let Some(primary) = Server::start("", |_| {}) else { return };
    let replica = primary.replica();
    let db = opened(&config(&primary, &replica)).await;
    let tenant = tenant();
    let row = write(&db, &scope(), tenant, "there").await.unwrap();
    replica.kill();
    let mut failures = 0;
    let began = Instant::now();
    for _ in 0..20 {
        // A connection that the replica has just ended may be met once.
        match read_for(&db, &of_caller(0), tenant, &row).await {
            Ok(seen) => assert_eq!(seen, (false, true)),
            Err(failure) => {
                assert_eq!(failure.code(), "database.unreachable");
                failures += 1;
            }
        }
    }
    assert!(failures <= 1 && began.elapsed() < Duration::from_secs(2), "{failures}");
    replica.launch();
    follows(&db).await;
}
