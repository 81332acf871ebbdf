//! The actors under stress: a crash, a full mailbox, an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use troupe_actors::FailureKind;
use troupe_audit::{MIGRATIONS, Trail};
use troupe_database::testing::{TestDatabase, for_both};
use troupe_database::{Dialect, UnitOfWork};
use troupe_kernel::{Clock, Failure, SharedClock, SystemClock, Timestamp};

use crate::house::{House, in_both, record, scope, tenant};

/// A clock that panics when it is told to, in the sealer's step only.
struct Fragile(AtomicBool);

impl Clock for Fragile {
    fn now(&self) -> Timestamp {
        assert!(!self.0.load(Ordering::SeqCst), "the clock is broken");
        SystemClock.now()
    }
}

#[tokio::test]
async fn a_sealer_that_crashes_is_restarted_and_loses_nothing() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(database) = TestDatabase::create(dialect, MIGRATIONS).await else { continue };
        let clock = Arc::new(Fragile(AtomicBool::new(false)));
        let shared: SharedClock = clock.clone();
        let db = database.open_with(shared.clone()).await;
        let house = House::open_with(db, shared, "").await;
        let own = tenant();
        house.write(Some(own), &["a.b.1"]).await;
        house.sealed().await;
        clock.0.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        clock.0.store(false, Ordering::SeqCst);
        assert!(house.universe.system().crash_count() > 0, "a tick met the broken clock");
        house.write(Some(own), &["a.b.2"]).await;
        house.sealed().await;
        assert_eq!(house.entries(Trail::Tenant(own)).await.len(), 2);
        assert!(house.verify(house.anchor()).await.intact);
        house.universe.finish().await;
        database.remove().await;
    }
}

#[tokio::test]
async fn records_from_outside_of_transactions_are_kept_together() {
    in_both(async |house| {
        let own = tenant();
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..100 {
            let log = house.log.clone();
            tasks.spawn(async move {
                log.record(record(Some(own), &format!("auth.login.{number}")), &scope()).await
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("no task panics").expect("kept");
        }
        house.sealed().await;
        assert_eq!(house.entries(Trail::Tenant(own)).await.len(), 100);
        let huge =
            record(Some(own), "a.b.c").detail(serde_json::json!({"text": "x".repeat(20_000)}));
        let refused = house.log.record(huge, &scope()).await.expect_err("too large");
        assert_eq!(refused.code(), "audit.record.too_large");
        assert!(house.verify(house.anchor()).await.intact);
    })
    .await;
}

#[tokio::test]
async fn beyond_its_bound_the_intake_refuses_and_what_it_took_is_kept() {
    for_both(MIGRATIONS, async |db| {
        let house = House::open(db.clone(), "intake_capacity = 8").await;
        let own = tenant();
        let (release, held) = tokio::sync::oneshot::channel::<()>();
        let (locked, ready) = tokio::sync::oneshot::channel::<()>();
        let blocker = tokio::task::JoinSet::from_iter([async move {
            db.transaction(&scope(), async move |uow: &mut UnitOfWork| {
                if uow.conn().dialect() == Dialect::Postgres {
                    uow.conn().batch("LOCK TABLE audit_queue IN ACCESS EXCLUSIVE MODE").await?;
                }
                locked.send(()).expect("the test waits for it");
                drop(held.await);
                Ok::<(), Failure>(())
            })
            .await
        }]);
        ready.await.expect("the writer is held");
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..50 {
            let log = house.log.clone();
            tasks.spawn(async move {
                log.record(record(Some(own), &format!("auth.login.{number}")), &scope()).await
            });
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        release.send(()).expect("the writer waits for it");
        blocker.join_all().await.remove(0).expect("released");
        let (mut kept, mut refused) = (0, 0);
        while let Some(done) = tasks.join_next().await {
            match done.expect("no task panics") {
                Ok(()) => kept += 1,
                Err(failure) => {
                    assert_eq!(failure.kind(), FailureKind::Overloaded, "{failure}");
                    assert!(failure.retry_after_duration().is_some());
                    refused += 1;
                }
            }
        }
        assert!(kept > 0 && refused > 0, "{kept} kept, {refused} refused");
        house.sealed().await;
        assert_eq!(house.entries(Trail::Tenant(own)).await.len(), kept);
        house.universe.finish().await;
    })
    .await;
}

#[tokio::test]
async fn the_end_of_the_node_seals_what_waits() {
    for_both(MIGRATIONS, async |db| {
        let house = House::open(db.clone(), "").await;
        let own = tenant();
        for number in 0..20 {
            house.write(Some(own), &[&format!("a.b.{number}")]).await;
        }
        let key = house.public_key();
        let anchor_file = house.directory.0.join("anchor.json");
        let House { universe, directory, .. } = house;
        universe.finish().await;
        let anchor = troupe_audit::Anchor::read(&anchor_file).expect("readable");
        let options = troupe_audit::VerifyOptions { anchor: anchor.clone(), ..Default::default() };
        let report = troupe_audit::verify(&db, &[key], &options).await.expect("read");
        assert!(report.intact && anchor.is_some(), "{report:?}");
        assert_eq!((report.entries, report.waiting, report.entries_since_checkpoint), (20, 0, 0));
        drop(directory);
    })
    .await;
}
