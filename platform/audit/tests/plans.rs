//! How each statement of the audit trail is answered, as a snapshot: a lost index shows in review.

use troupe_audit::MIGRATIONS;
use troupe_database::testing::{Filling, Planned, plans};

const FILLINGS: &[Filling] = &[
    Filling::of("audit_entries", &[("chain", "md5('chain' || i % 200)::uuid")]),
    Filling::of("audit_heads", &[("chain", "md5('chain' || i)::uuid")]).rows(200),
    Filling::of("audit_checkpoints", &[]).rows(2_000),
    Filling::of("audit_checkpoint_heads", &[("chain", "md5('chain' || i / 100)::uuid")]),
    Filling::of("audit_seal", &[]).rows(0),
];

#[tokio::test]
async fn every_statement_has_a_plan_that_reads_no_large_table_whole() {
    let planned = Planned {
        migrations: MIGRATIONS,
        fillings: FILLINGS,
        unsent: &[
            ("checkpoints::chains", "the next page is read from more chains than a test has"),
            ("entries::chains", "the next page is read from more chains than a test has"),
            ("heads::list", "the next page is read from more chains than a test has"),
        ],
        scanning: &[],
    };
    let Some(plans) = plans(&planned).await else { return };
    insta::assert_snapshot!(plans.name, plans.text);
}
