//! How each statement of notifications is answered, as a snapshot: a lost index shows in review.

use troupe_database::testing::{Filling, Planned, plans};
use troupe_notify::MIGRATIONS;

const FILLINGS: &[Filling] = &[Filling::of(
    "notify_mails",
    &[(
        "state",
        "CASE WHEN i % 50 = 0 THEN 'queued' WHEN i % 50 = 1 THEN 'failed' ELSE 'sent' END",
    )],
)];

#[tokio::test]
async fn every_statement_has_a_plan_that_reads_no_large_table_whole() {
    let planned = Planned {
        folder: env!("CARGO_MANIFEST_DIR"),
        migrations: MIGRATIONS,
        fillings: FILLINGS,
        tests: &["repositories"],
        unsent: &[],
        scanning: &[],
    };
    let Some(plans) = plans(&planned).await else { return };
    insta::assert_snapshot!(plans.name, plans.text);
}
