//! How each statement of the unit of work is answered, as a snapshot: a lost index shows in review.

use troupe_database::testing::{Filling, Planned, plans};

const FILLINGS: &[Filling] = &[];

#[tokio::test]
async fn every_statement_has_a_plan_that_reads_no_large_table_whole() {
    let planned = Planned {
        migrations: &[],
        fillings: FILLINGS,
        unsent: &[("db::ping", "reads no table")],
        scanning: &[],
    };
    let Some(plans) = plans(&planned).await else { return };
    insta::assert_snapshot!(plans.name, plans.text);
}
