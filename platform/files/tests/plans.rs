//! How each statement of files is answered, as a snapshot: a lost index shows in review.

use troupe_database::testing::{Filling, Planned, plans};
use troupe_files::MIGRATIONS;

const FILLINGS: &[Filling] = &[Filling::of(
    "files",
    &[
        ("state", "CASE WHEN i % 50 = 0 THEN 'open' ELSE 'stored' END"),
        ("part_size_bytes", "8388608"),
    ],
)];

#[tokio::test]
async fn every_statement_has_a_plan_that_reads_no_large_table_whole() {
    let planned =
        Planned { migrations: MIGRATIONS, fillings: FILLINGS, unsent: &[], scanning: &[] };
    let Some(plans) = plans(&planned).await else { return };
    insta::assert_snapshot!(plans.name, plans.text);
}
