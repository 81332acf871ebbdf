//! Forgeries by somebody who knows the format, and by somebody who turns time back; the window that
//! is open by design; and the guards of the tables.

use troupe_audit::{AuditEntry, Entry, Finding, Trail};
use troupe_database::testing::for_both;
use troupe_database::{DbConn, Dialect};

use crate::house::{House, in_both, scope, tenant};
use crate::tampering::{found, sql};

/// The whole tail from `first` on, with `action` in it and every hash made anew, as somebody who knows
/// the format would do it.
fn rewritten(house: &House, entries: &[AuditEntry], first: u64) -> (Vec<String>, String) {
    let at = usize::try_from(first).expect("small") - 1;
    let mut previous = bytes_of(&entries[at].previous_hash);
    let mut statements = Vec::new();
    for shown in &entries[at..] {
        let mut entry = Entry {
            chain: shown.tenant.expect("a tenant's").uuid(),
            sequence: shown.sequence,
            queue_position: shown.position,
            recorded_at: shown.recorded_at,
            actor: shown.actor,
            action: shown.action.clone(),
            resource: shown.resource.clone(),
            outcome: shown.outcome.clone(),
            detail: "{}".to_owned(),
            request_id: shown.request_id,
            address: shown.address.clone(),
        };
        if shown.sequence == first {
            entry.action = "story.part.forged".to_owned();
        }
        let hash = entry.hash(&previous);
        statements.push(format!(
            "UPDATE audit_entries SET action = '{}', detail = '{{}}', previous_hash = {}, hash = {} WHERE sequence = {}",
            entry.action,
            house.bytes(&hex(&previous)),
            house.bytes(&hex(&hash)),
            entry.sequence
        ));
        previous = hash;
    }
    (statements, hex(&previous))
}

fn bytes_of(hex: &str) -> [u8; 32] {
    let bytes: Vec<u8> = (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
        .collect();
    bytes.try_into().expect("32 bytes")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_tail_that_was_rewritten_with_good_hashes_contradicts_the_signed_head() {
    found(
        async |house, tenant| {
            let entries = house.entries(Trail::Tenant(tenant)).await;
            rewritten(house, &entries, 8).0
        },
        |report, trail| {
            assert_eq!(report.findings, [Finding::HeadContradicts { trail, sequence: 10 }]);
        },
    )
    .await;
}

#[tokio::test]
async fn a_trail_that_was_rewritten_with_its_head_is_found_twice() {
    found(
        async |house, tenant| {
            let entries = house.entries(Trail::Tenant(tenant)).await;
            let (mut statements, end) = rewritten(house, &entries, 2);
            statements.push(format!("UPDATE audit_heads SET hash = {}", house.bytes(&end)));
            statements
        },
        |report, trail| {
            assert!(report.findings.contains(&Finding::HeadForged { trail }), "{report:?}");
            let contradiction = Finding::CheckpointContradicts { trail, number: 1, sequence: 5 };
            assert!(report.findings.contains(&contradiction), "{report:?}");
        },
    )
    .await;
}

#[tokio::test]
async fn entries_that_were_added_with_good_hashes_are_beyond_the_head() {
    found(
        async |house, tenant| {
            let entries = house.entries(Trail::Tenant(tenant)).await;
            let last = entries.last().expect("ten entries");
            let previous = bytes_of(&last.hash);
            let entry = Entry {
                chain: tenant.uuid(),
                sequence: 11,
                queue_position: 4711,
                recorded_at: last.recorded_at,
                actor: None,
                action: "story.part.forged".to_owned(),
                resource: "thing:1".to_owned(),
                outcome: "success".to_owned(),
                detail: "{}".to_owned(),
                request_id: None,
                address: None,
            };
            vec![format!(
                "INSERT INTO audit_entries SELECT chain, 11, 4711, recorded_at, NULL, 'story.part.forged', 'thing:1', \
                 'success', '{{}}', NULL, NULL, hash, {} FROM audit_entries WHERE sequence = 10",
                house.bytes(&hex(&entry.hash(&previous)))
            )]
        },
        |report, trail| {
            assert!(report.findings.contains(&Finding::BeyondHead { trail, signed: 10 }), "{report:?}");
            assert!(!report.findings.contains(&Finding::EntryChanged { trail, sequence: 11 }));
        },
    )
    .await;
}

#[tokio::test]
async fn an_entry_moved_to_another_trail_is_found_in_both() {
    in_both(async |house| {
        let other = tenant();
        house.write(Some(other), &["other.part.1"]).await;
        house.sealed().await;
        let own = tenant();
        house.story(own, 4).await;
        let mut statements = house.unguarded();
        statements.push(format!(
            "UPDATE audit_entries SET chain = {}, sequence = 2 WHERE chain = {} AND sequence = 4",
            house.id(other.uuid()),
            house.id(own.uuid())
        ));
        house.tamper(&statements).await;
        let report = house.verify(house.anchor()).await;
        let (own, other) = (own.uuid(), other.uuid());
        assert!(
            report.findings.contains(&Finding::EntriesMissing { trail: own, first: 4, last: 4 }),
            "{report:?}"
        );
        assert!(
            report.findings.contains(&Finding::EntryChanged { trail: other, sequence: 2 }),
            "{report:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_forged_checkpoint_is_found() {
    let changes = [
        "UPDATE audit_checkpoint_heads SET sequence = 4",
        "UPDATE audit_checkpoint_heads SET hash = (SELECT hash FROM audit_entries WHERE sequence = 4)",
        "UPDATE audit_checkpoints SET created_at = (SELECT recorded_at FROM audit_entries WHERE sequence = 1)",
        "UPDATE audit_checkpoints SET head_count = 2",
        "UPDATE audit_checkpoints SET hash = previous_hash",
        "DELETE FROM audit_checkpoint_heads",
    ];
    for change in changes {
        found(
            async |_, _| sql(change),
            |report, _| {
                assert!(
                    report.findings.contains(&Finding::CheckpointForged { number: 1 }),
                    "{change}: {report:?}"
                );
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_signature_of_another_key_is_found() {
    in_both(async |house| {
        let tenant = tenant();
        house.story(tenant, 4).await;
        let mut statements = house.unguarded();
        let forged = house.bytes(&"ab".repeat(64));
        statements.push(format!("UPDATE audit_checkpoints SET signature = {forged}"));
        statements.push(format!("UPDATE audit_heads SET signature = {forged}"));
        house.tamper(&statements).await;
        let report = house.verify(house.anchor()).await;
        let trail = tenant.uuid();
        assert_eq!(
            report.findings,
            [Finding::CheckpointForged { number: 1 }, Finding::HeadForged { trail }]
        );
        // Verifying one trail alone sees it as well.
        let options = troupe_audit::VerifyOptions { chain: Some(trail), ..Default::default() };
        let one =
            troupe_audit::verify(&house.db, &[house.public_key()], &options).await.expect("read");
        assert_eq!(one.findings, report.findings);
    })
    .await;
}

#[tokio::test]
async fn a_removed_checkpoint_is_found() {
    in_both(async |house| {
        let tenant = tenant();
        for number in 0..3 {
            house.write(Some(tenant), &[&format!("a.b.{number}")]).await;
            house.seal().await;
        }
        let anchor = house.anchor().expect("three checkpoints");
        assert_eq!(anchor.number, 3);
        let mut statements = house.unguarded();
        statements.push("DELETE FROM audit_checkpoint_heads WHERE number = 2".to_owned());
        statements.push("DELETE FROM audit_checkpoints WHERE number = 2".to_owned());
        house.tamper(&statements).await;
        let report = house.verify(Some(anchor.clone())).await;
        assert_eq!(report.findings, [Finding::CheckpointsMissing { first: 2, last: 2 }]);
        let rest = [
            "DELETE FROM audit_checkpoint_heads WHERE number = 3",
            "DELETE FROM audit_checkpoints WHERE number = 3",
        ];
        house.tamper(&rest.map(str::to_owned)).await;
        let report = house.verify(Some(anchor)).await;
        assert_eq!(
            report.findings,
            [Finding::SetBack { number: 3 }],
            "the newest is known to the anchor"
        );
    })
    .await;
}

#[tokio::test]
async fn a_database_that_was_set_back_is_found_by_its_anchor() {
    in_both(async |house| {
        let tenant = tenant();
        house.write(Some(tenant), &["a.b.1"]).await;
        house.seal().await;
        // The state to go back to, with everything that was signed then.
        let keep = ["audit_entries", "audit_heads", "audit_checkpoints", "audit_checkpoint_heads"];
        let saved =
            keep.map(|table| format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}"));
        house.tamper(&saved).await;
        house.write(Some(tenant), &["a.b.2"]).await;
        house.seal().await;
        let mut statements = house.unguarded();
        for table in ["audit_checkpoint_heads", "audit_checkpoints", "audit_heads", "audit_entries"]
        {
            statements.push(format!("DELETE FROM {table}"));
        }
        for table in keep {
            statements.push(format!("INSERT INTO {table} SELECT * FROM saved_{table}"));
        }
        if house.db.dialect() == Dialect::Sqlite {
            statements
                .push("UPDATE sqlite_sequence SET seq = 1 WHERE name = 'audit_queue'".to_owned());
        }
        house.tamper(&statements).await;
        assert!(house.verify(None).await.intact, "in itself it is an earlier, good state");
        let report = house.verify(house.anchor()).await;
        assert_eq!(report.findings, [Finding::SetBack { number: 2 }]);
    })
    .await;
}

#[tokio::test]
async fn records_removed_before_sealing_leave_a_gap() {
    for_both(troupe_audit::MIGRATIONS, async |db| {
        // No actors: nothing is sealed meanwhile.
        let written = crate::house::record(Some(tenant()), "a.b.c");
        db.transaction(&scope(), async move |uow: &mut troupe_database::UnitOfWork| {
            uow.audit(written);
            Ok(())
        })
        .await
        .expect("written");
        db.transaction(&scope(), async move |uow: &mut troupe_database::UnitOfWork| {
            Ok(uow.conn().batch("DELETE FROM audit_queue").await?)
        })
        .await
        .expect("removed");
        let house = House::open(db, "").await;
        let report = house.verify(None).await;
        assert_eq!(report.unaccounted, 1, "{report:?}");
        // PostgreSQL cannot tell it from a transaction that was undone.
        let expected: &[Finding] = match house.db.dialect() {
            Dialect::Sqlite => &[Finding::RecordsUnaccounted { count: 1 }],
            Dialect::Postgres => &[],
        };
        assert_eq!(report.findings, expected);
        house.universe.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_record_changed_before_sealing_is_the_documented_window() {
    for_both(troupe_audit::MIGRATIONS, async |db| {
        let written = crate::house::record(None, "a.b.c");
        db.transaction(&scope(), async move |uow: &mut troupe_database::UnitOfWork| {
            uow.audit(written);
            Ok(())
        })
        .await
        .expect("written");
        db.transaction(&scope(), async move |uow: &mut troupe_database::UnitOfWork| {
            let text =
                "UPDATE audit_queue SET record = REPLACE(CAST(record AS text), 'a.b.c', 'a.b.x')";
            let text = match uow.conn().dialect() {
                Dialect::Postgres => format!("{text}::jsonb"),
                Dialect::Sqlite => text.to_owned(),
            };
            Ok(uow.conn().batch(&text).await?)
        })
        .await
        .expect("changed");
        let house = House::open(db, "").await;
        house.seal().await;
        assert_eq!(house.entries(Trail::All).await[0].action, "a.b.x");
        assert!(house.verify(house.anchor()).await.intact, "nobody can tell, as the module says");
        house.universe.finish().await;
    })
    .await;
}

#[tokio::test]
async fn the_tables_refuse_every_change() {
    in_both(async |house| {
        house.story(tenant(), 4).await;
        let mut refused = vec![
            "UPDATE audit_entries SET action = 'x'",
            "DELETE FROM audit_entries",
            "UPDATE audit_checkpoints SET head_count = 9",
            "DELETE FROM audit_checkpoints",
            "UPDATE audit_checkpoint_heads SET sequence = 9",
            "DELETE FROM audit_checkpoint_heads",
            "DELETE FROM audit_heads",
            "UPDATE audit_heads SET sequence = sequence - 1",
        ];
        match house.db.dialect() {
            Dialect::Postgres => refused.extend([
                "TRUNCATE audit_entries",
                "TRUNCATE audit_checkpoints CASCADE",
                "TRUNCATE audit_checkpoint_heads",
                "TRUNCATE audit_heads",
            ]),
            Dialect::Sqlite => refused.extend([
                "INSERT OR REPLACE INTO audit_entries SELECT * FROM audit_entries WHERE sequence = 1",
                "INSERT OR REPLACE INTO audit_checkpoints SELECT * FROM audit_checkpoints",
                "INSERT OR REPLACE INTO audit_checkpoint_heads SELECT * FROM audit_checkpoint_heads",
            ]),
        }
        for statement in refused {
            let text = statement.to_owned();
            let error = house
                .db
                .transaction(&scope(), async move |uow: &mut troupe_database::UnitOfWork| {
                    let conn: &mut DbConn = uow.conn();
                    Ok(conn.batch(&text).await.err().map(|error| format!("{error:?}")))
                })
                .await;
            let error = match error {
                Ok(error) => error.unwrap_or_default(),
                // PostgreSQL refuses the commit of a transaction that failed.
                Err(failure) => failure.to_string(),
            };
            assert!(error.contains("append-only") || error.contains("database."), "{statement}: {error}");
        }
        assert!(house.verify(house.anchor()).await.intact);
    })
    .await;
}
