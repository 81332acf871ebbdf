//! From the queue into the chains.

use std::sync::Arc;
use std::time::Duration;

use troupe_audit::{AuditModule, Finding, MIGRATIONS, NO_HASH, Trail};
use troupe_database::testing::for_both;
use troupe_database::{Dialect, UnitOfWork};
use troupe_kernel::module::Module;
use troupe_kernel::{Failure, TenantId, Uuid};

use crate::house::{House, assemble, detail, in_both, record, scope, tenant};

#[tokio::test]
async fn a_committed_record_is_sealed_and_an_undone_one_never_was() {
    in_both(async |house| {
        let tenant = tenant();
        house.write(Some(tenant), &["a.b.one", "a.b.two"]).await;
        let undone: Result<(), Failure> = house
            .db
            .transaction(&scope(), async move |uow: &mut UnitOfWork| {
                uow.audit(record(Some(tenant), "a.b.undone"));
                Err(Failure::internal("test.undone", "it is undone"))
            })
            .await;
        assert!(undone.is_err());
        house.write(None, &["a.b.platform"]).await;
        house.sealed().await;

        let own = house.entries(Trail::Tenant(tenant)).await;
        let seen: Vec<(u64, &str)> =
            own.iter().map(|entry| (entry.sequence, entry.action.as_str())).collect();
        assert_eq!(seen, [(1, "a.b.one"), (2, "a.b.two")]);
        assert_eq!(own[0].previous_hash, "0".repeat(64));
        assert_eq!(own[1].previous_hash, own[0].hash);
        assert_eq!((own[0].tenant, own[0].actor), (Some(tenant), Some(Uuid::from_u128(7))));
        let all = house.entries(Trail::All).await;
        assert_eq!(all.len(), 3);
        assert_eq!((all[2].tenant, all[2].sequence), (None, 1), "the platform has its own trail");
        assert_eq!(NO_HASH, [0; 32]);
        let report = house.verify(house.anchor()).await;
        assert!(report.intact, "{report:?}");
        assert_eq!((report.trails, report.entries, report.waiting), (2, 3, 0));
    })
    .await;
}

#[tokio::test]
async fn the_detail_means_the_same_after_storage_on_both() {
    in_both(async |house| {
        let tenant = tenant();
        house.write(Some(tenant), &["a.b.c"]).await;
        house.sealed().await;
        let entry = house.entries(Trail::Tenant(tenant)).await.remove(0);
        let (mut expected, mut found) = (detail(), entry.detail);
        // PostgreSQL has no negative zero and writes large floats as integers.
        expected["z"][2] = found["z"][2].take();
        expected["z"][3] = found["z"][3].take();
        found["z"][2] = expected["z"][2].clone();
        found["z"][3] = expected["z"][3].clone();
        assert_eq!(found, expected);
        assert!(house.verify(None).await.intact);
    })
    .await;
}

#[tokio::test]
async fn checkpoints_are_signed_by_count_on_request_and_at_the_end() {
    for_both(MIGRATIONS, async |db| {
        let house = House::open(db.clone(), "checkpoint_entries = 5").await;
        let (first, second) = (tenant(), tenant());
        house.write(Some(first), &["a.b.1", "a.b.2", "a.b.3", "a.b.4", "a.b.5"]).await;
        house.sealed().await;
        assert_eq!(house.anchor().expect("by count").number, 1);
        house.write(Some(second), &["a.b.6"]).await;
        house.sealed().await;
        assert_eq!(house.anchor().expect("not yet").number, 1);
        let asked = house.seal().await;
        assert_eq!(asked.checkpoint, Some(2));
        assert_eq!(house.seal().await.checkpoint, None, "nothing is new");
        house.write(Some(first), &["a.b.7"]).await;
        house.write(Some(first), &["a.b.8"]).await;

        let House { universe, directory, .. } = house;
        universe.finish().await;
        let keys_of = |file: &str| {
            let key_file = directory.0.join(file);
            let config = troupe_audit::AuditConfig { key_file, ..Default::default() };
            config.signing_key().expect("a key, made if need be");
            config.public_keys().expect("its public key")
        };
        let verify = async |keys: &[troupe_audit::PublicKey]| {
            troupe_audit::verify(&db, keys, &Default::default()).await.expect("read")
        };
        let report = verify(&keys_of("stranger.pem")).await;
        assert!(matches!(report.findings[0], Finding::KeyUnknown { .. }), "{report:?}");
        let report = verify(&keys_of("key.pem")).await;
        assert!(report.intact, "{report:?}");
        assert_eq!(
            (report.checkpoints, report.waiting, report.entries_since_checkpoint),
            (3, 0, 0)
        );
    })
    .await;
}

#[tokio::test]
async fn two_sealers_take_turns() {
    for_both(MIGRATIONS, async |db| {
        let house = House::open(db.clone(), "batch = 3\ncheckpoint_entries = 7").await;
        let key = house.directory.0.join("key.pem");
        let other = troupe_actors::testing::Universe::start().await;
        let settings = "batch = 2\ncheckpoint_entries = 5";
        let (around, children, ..) =
            assemble(&other, &db, Arc::new(troupe_kernel::SystemClock), settings);
        drop(around);
        for child in children {
            other.add(child).await;
        }
        let tenants: Vec<TenantId> = (0..3).map(|_| tenant()).collect();
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..4_usize {
            let (db, tenant) = (db.clone(), tenants[task % 3]);
            tasks.spawn(async move {
                for number in 0..25 {
                    let written = record(Some(tenant), &format!("a.b.{task}_{number}"));
                    db.transaction(&scope(), async move |uow: &mut UnitOfWork| {
                        uow.audit(written);
                        Ok(())
                    })
                    .await
                    .expect("written");
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("no writer panics");
        }
        house.sealed().await;
        let entries = house.entries(Trail::All).await;
        assert_eq!(entries.len(), 100);
        let config = troupe_audit::AuditConfig { key_file: key, ..Default::default() };
        let keys = config.public_keys().expect("our key");
        let report = troupe_audit::verify(&db, &keys, &Default::default()).await.expect("read");
        let strange = |finding: &Finding| !matches!(finding, Finding::KeyUnknown { .. });
        assert!(!report.findings.iter().any(strange), "{report:?}");
        assert_eq!(report.entries, 100);
        other.finish().await;
        house.universe.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_verification_beside_the_writing_finds_nothing() {
    for_both(MIGRATIONS, async |db| {
        let house = House::open(db.clone(), "batch = 5\ncheckpoint_entries = 11").await;
        let tenant = tenant();
        let writer = async {
            for number in 0..120 {
                house.write(Some(tenant), &[&format!("a.b.{number}")]).await;
            }
        };
        let watcher = async {
            for _ in 0..40 {
                let report = house.verify(house.anchor()).await;
                assert!(report.intact, "{report:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::join!(writer, watcher);
        house.sealed().await;
        let report = house.verify(house.anchor()).await;
        assert!(report.intact && report.entries == 120, "{report:?}");
        house.universe.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_sealed_as_such() {
    in_both(async |house| {
        let insert = match house.db.dialect() {
            Dialect::Postgres => {
                "INSERT INTO audit_queue (recorded_at, record) VALUES (now(), '{\"odd\": 1}')"
            }
            Dialect::Sqlite => {
                "INSERT INTO audit_queue (recorded_at, record) VALUES (1, '{\"odd\": 1}')"
            }
        };
        house.tamper(&[insert.to_owned()]).await;
        house.seal().await;
        let entry = house.entries(Trail::All).await.remove(0);
        assert_eq!(entry.action, "audit.record.unreadable");
        assert_eq!(entry.detail["record"]["odd"], 1);
        assert!(house.verify(None).await.intact);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_others_can_read_keeps_the_node_from_starting() {
    for_both(MIGRATIONS, async |db| {
        let universe = troupe_actors::testing::Universe::start().await;
        let (_around, children, _, directory) =
            assemble(&universe, &db, Arc::new(troupe_kernel::SystemClock), "");
        std::fs::create_dir_all(&directory.0).expect("a directory");
        std::fs::write(directory.0.join("key.pem"), "anybody may read this").expect("a file");
        let mut failures = Vec::new();
        for child in children {
            if let Err(failure) = universe.system().clone().start(child).await {
                failures.push(failure);
            }
        }
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert_eq!(failures[0].code(), "audit.key.unusable");
        assert!(failures[0].detail().contains("chmod 600"), "{}", failures[0]);
        universe.finish().await;
        assert_eq!(AuditModule.manifest().dependencies, ["database"]);
    })
    .await;
}

#[tokio::test]
async fn a_node_without_the_key_of_a_trail_does_not_go_on_with_it() {
    in_both(async |house| {
        house.write(None, &["a.b.c"]).await;
        house.seal().await;
        let before = house.entries(Trail::All).await.len();
        let universe = troupe_actors::testing::Universe::start().await;
        let (_around, children, _, _directory) =
            assemble(&universe, &house.db, Arc::new(troupe_kernel::SystemClock), "");
        let mut failures = Vec::new();
        for child in children {
            if let Err(failure) = universe.system().clone().start(child).await {
                failures.push(failure);
            }
        }
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert!(failures[0].detail().contains("audit.former_keys"), "{}", failures[0]);
        universe.finish().await;
        assert_eq!(house.entries(Trail::All).await.len(), before);
        assert!(house.verify(None).await.intact);
    })
    .await;
}
