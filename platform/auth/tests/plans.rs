//! How each statement of auth is answered, as a snapshot: a lost index shows in review.

use troupe_auth::MIGRATIONS;
use troupe_database::testing::{Filling, Planned, plans};

const FILLINGS: &[Filling] = &[
    Filling::of(
        "auth_one_time_tokens",
        &[("purpose", "CASE WHEN i % 1000 = 0 THEN 'setup' ELSE 'password_reset' END")],
    ),
    Filling::of("auth_failures", &[("last_at", "now() + (i - 100) * interval '1 minute'")]),
    Filling::of("auth_signing_keys", &[]).rows(5),
    Filling::of(
        "auth_ceremonies",
        &[("purpose", "(ARRAY['registration', 'login', 'proof'])[1 + i % 3]")],
    ),
];

#[tokio::test]
async fn every_statement_has_a_plan_that_reads_no_large_table_whole() {
    let planned = Planned {
        migrations: MIGRATIONS,
        fillings: FILLINGS,
        unsent: &[],
        scanning: &[
            ("api_keys::sweep", "a job, once an hour, over few rows"),
            ("credentials::any", "stops at the first row"),
            ("sessions::sweep", "a job, once an hour; each refresh would change two more indexes"),
            ("totp::sweep", "a job, once an hour, over one row of a user"),
        ],
    };
    let Some(plans) = plans(&planned).await else { return };
    insta::assert_snapshot!(plans.name, plans.text);
}
