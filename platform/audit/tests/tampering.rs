//! What is done behind the trail's back is found. Each test drops the guards first.

use troupe_audit::{Finding, Report};
use troupe_database::testing::for_both;
use troupe_kernel::{TenantId, Uuid};

use crate::house::{House, tenant};

/// Tells a story of ten entries (a checkpoint after five), tampers, and verifies.
async fn after(house: &House, change: impl AsyncFnOnce(&House, TenantId) -> Vec<String>) -> Report {
    let tenant = tenant();
    house.story(tenant, 10).await;
    let before = house.verify(house.anchor()).await;
    assert!(before.intact, "{before:?}");
    assert_eq!((before.entries, before.checkpoints, before.entries_since_checkpoint), (10, 1, 5));
    let mut statements = house.unguarded();
    statements.extend(change(house, tenant).await);
    house.tamper(&statements).await;
    let report = house.verify(house.anchor()).await;
    assert_eq!(report.intact, report.findings.is_empty());
    report
}

/// Runs a tampering on both dialects and gives each report to a check.
pub(crate) async fn found(
    change: impl AsyncFn(&House, TenantId) -> Vec<String>,
    check: impl Fn(&Report, Uuid),
) {
    for_both(troupe_audit::MIGRATIONS, async |db| {
        let house = House::open(db, "").await;
        let mut trail = Uuid::nil();
        let report = after(&house, async |house, tenant| {
            trail = tenant.uuid();
            change(house, tenant).await
        })
        .await;
        assert!(!report.intact, "{report:?}");
        check(&report, trail);
        house.universe.finish().await;
    })
    .await;
}

pub(crate) fn sql(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

#[tokio::test]
async fn every_field_of_an_entry_is_protected() {
    let changes = [
        "recorded_at = (SELECT recorded_at FROM audit_entries WHERE sequence = 1)",
        "actor = NULL",
        "action = 'story.part.forged'",
        "resource = 'thing:2'",
        "outcome = 'denied'",
        "detail = '{}'",
        "address = '192.0.2.66'",
        "request_id = NULL",
        "queue_position = 4711",
    ];
    for change in changes {
        found(
            async |_, _| sql(&format!("UPDATE audit_entries SET {change} WHERE sequence = 4")),
            |report, trail| {
                assert_eq!(
                    report.findings[0],
                    Finding::EntryChanged { trail, sequence: 4 },
                    "{change}"
                );
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_changed_hash_is_found_where_it_is() {
    found(
        async |house, _| {
            let zeros = house.bytes(&"00".repeat(32));
            vec![format!("UPDATE audit_entries SET hash = {zeros} WHERE sequence = 4")]
        },
        |report, trail| {
            assert!(report.findings.contains(&Finding::EntryChanged { trail, sequence: 4 }));
            assert!(report.findings.contains(&Finding::LinkBroken { trail, sequence: 5 }));
        },
    )
    .await;
}

#[tokio::test]
async fn a_removed_entry_is_found() {
    found(
        async |_, _| sql("DELETE FROM audit_entries WHERE sequence IN (3, 4)"),
        |report, trail| {
            assert_eq!(report.findings[0], Finding::EntriesMissing { trail, first: 3, last: 4 });
        },
    )
    .await;
}

#[tokio::test]
async fn a_removed_beginning_is_found() {
    found(
        async |_, _| sql("DELETE FROM audit_entries WHERE sequence = 1"),
        |report, trail| {
            assert_eq!(report.findings[0], Finding::EntriesMissing { trail, first: 1, last: 1 });
        },
    )
    .await;
}

#[tokio::test]
async fn a_removed_entry_whose_gap_was_closed_is_found() {
    found(
        async |_, _| {
            let mut statements = sql("DELETE FROM audit_entries WHERE sequence = 4");
            for sequence in 5..=10 {
                statements.push(format!(
                    "UPDATE audit_entries SET sequence = {} WHERE sequence = {sequence}",
                    sequence - 1
                ));
            }
            statements
        },
        |report, trail| {
            assert!(
                report.findings.contains(&Finding::LinkBroken { trail, sequence: 4 }),
                "{report:?}"
            );
            assert!(report.findings.contains(&Finding::EntriesMissing {
                trail,
                first: 10,
                last: 10
            }));
        },
    )
    .await;
}

#[tokio::test]
async fn an_inserted_entry_is_found() {
    found(
        async |_, _| {
            let mut statements = Vec::new();
            for sequence in (5..=10).rev() {
                statements.push(format!(
                    "UPDATE audit_entries SET sequence = {} WHERE sequence = {sequence}",
                    sequence + 1
                ));
            }
            statements.push(
                "INSERT INTO audit_entries SELECT chain, 5, 4711, recorded_at, actor, 'story.part.forged', \
                 resource, outcome, detail, request_id, address, hash, hash FROM audit_entries WHERE sequence = 4"
                    .to_owned(),
            );
            statements
        },
        |report, trail| {
            assert!(report.findings.contains(&Finding::EntryChanged { trail, sequence: 5 }), "{report:?}");
            assert!(report.findings.contains(&Finding::BeyondHead { trail, signed: 10 }));
        },
    )
    .await;
}

#[tokio::test]
async fn entries_that_changed_places_are_found() {
    found(
        async |_, _| {
            [
                "SET sequence = 99 WHERE sequence = 3",
                "SET sequence = 3 WHERE sequence = 4",
                "SET sequence = 4 WHERE sequence = 99",
            ]
            .map(|change| format!("UPDATE audit_entries {change}"))
            .to_vec()
        },
        |report, trail| {
            assert!(
                report.findings.contains(&Finding::LinkBroken { trail, sequence: 3 }),
                "{report:?}"
            );
            assert!(report.findings.contains(&Finding::EntryChanged { trail, sequence: 4 }));
        },
    )
    .await;
}

#[tokio::test]
async fn an_entry_at_an_impossible_place_is_found() {
    found(
        async |_, _| {
            sql("INSERT INTO audit_entries SELECT chain, 0, 4711, recorded_at, actor, action, resource, outcome, \
                 detail, request_id, address, previous_hash, hash FROM audit_entries WHERE sequence = 1")
        },
        |report, trail| assert_eq!(report.findings[0], Finding::PlaceImpossible { trail, sequence: 0 }),
    )
    .await;
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_found_by_the_head() {
    found(
        async |_, _| sql("DELETE FROM audit_entries WHERE sequence > 8"),
        |report, trail| {
            assert_eq!(report.findings[0], Finding::EntriesMissing { trail, first: 9, last: 10 });
        },
    )
    .await;
}

#[tokio::test]
async fn a_tail_that_was_cut_off_with_its_head_is_found() {
    found(
        async |_, _| {
            vec![
                "DELETE FROM audit_entries WHERE sequence > 8".to_owned(),
                "UPDATE audit_heads SET sequence = 8, hash = (SELECT hash FROM audit_entries WHERE sequence = 8)"
                    .to_owned(),
            ]
        },
        |report, trail| assert_eq!(report.findings[0], Finding::HeadForged { trail }),
    )
    .await;
}

#[tokio::test]
async fn a_tail_that_was_cut_off_below_a_checkpoint_is_found_without_any_head() {
    found(
        async |_, _| {
            vec![
                "DELETE FROM audit_entries WHERE sequence > 3".to_owned(),
                "DELETE FROM audit_heads".to_owned(),
            ]
        },
        |report, trail| {
            assert_eq!(report.findings[0], Finding::EntriesMissing { trail, first: 4, last: 5 });
        },
    )
    .await;
}

#[tokio::test]
async fn a_trail_that_vanished_is_found_by_its_checkpoint() {
    found(
        async |_, _| {
            vec!["DELETE FROM audit_entries".to_owned(), "DELETE FROM audit_heads".to_owned()]
        },
        |report, trail| {
            assert_eq!(report.findings[0], Finding::EntriesMissing { trail, first: 1, last: 5 });
        },
    )
    .await;
}

#[tokio::test]
async fn a_missing_head_is_found() {
    found(
        async |_, _| sql("DELETE FROM audit_heads"),
        |report, trail| assert_eq!(report.findings, [Finding::HeadMissing { trail }]),
    )
    .await;
}
