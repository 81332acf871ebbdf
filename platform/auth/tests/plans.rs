//! How each statement of auth is answered, as a snapshot: a lost index shows in review.

use troupe_auth::MIGRATIONS;
use troupe_database::testing::{Filling, Planned, plans};

const FILLINGS: &[Filling] = &[
    Filling::of(
        "auth_one_time_tokens",
        &[("purpose", "(ARRAY['setup', 'password_reset'])[1 + i % 2]")],
    ),
    Filling::of("auth_signing_keys", &[]).rows(5),
];

#[tokio::test]
async fn every_statement_has_a_plan_that_reads_no_large_table_whole() {
    let planned = Planned {
        folder: env!("CARGO_MANIFEST_DIR"),
        migrations: MIGRATIONS,
        fillings: FILLINGS,
        tests: &["repositories", "second_factor_rows"],
        unsent: &[],
        scanning: &[],
    };
    let Some(plans) = plans(&planned).await else { return };
    insta::assert_snapshot!(plans.name, plans.text);
}
