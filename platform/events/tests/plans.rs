//! How each statement of the event bus is answered, as a snapshot: a lost index shows in review.

use troupe_database::testing::{Filling, Planned, plans};
use troupe_events::MIGRATIONS;

const FILLINGS: &[Filling] = &[Filling::of("dead_letters", &[])];

#[tokio::test]
async fn every_statement_has_a_plan_that_reads_no_large_table_whole() {
    let planned =
        Planned { migrations: MIGRATIONS, fillings: FILLINGS, unsent: &[], scanning: &[] };
    let Some(plans) = plans(&planned).await else { return };
    insta::assert_snapshot!(plans.name, plans.text);
}
