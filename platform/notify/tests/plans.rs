//! How each statement of notifications is answered, as a snapshot: a lost index shows in review.

use troupe_database::testing::{Filling, Planned, plans};
use troupe_notify::MIGRATIONS;

const FILLINGS: &[Filling] = &[
    Filling::of(
        "notify_mails",
        &[(
            "state",
            "CASE WHEN i % 50 = 0 THEN 'queued' WHEN i % 50 = 1 THEN 'failed' ELSE 'sent' END",
        )],
    ),
    Filling::of(
        "notify_webhook_endpoints",
        &[
            ("state", "CASE WHEN i % 20 = 0 THEN 'disabled' ELSE 'enabled' END"),
            ("disabled_because", "CASE WHEN i % 20 = 0 THEN 'failing' END"),
        ],
    )
    .rows(2_000),
    Filling::of(
        "notify_webhook_deliveries",
        &[(
            "state",
            "CASE WHEN i % 50 = 0 THEN 'queued' WHEN i % 50 = 1 THEN 'failed' ELSE 'delivered' END",
        )],
    ),
    Filling::of("notify_bounces", &[("cause", "'refused'")]),
];

#[tokio::test]
async fn every_statement_has_a_plan_that_reads_no_large_table_whole() {
    let planned =
        Planned { migrations: MIGRATIONS, fillings: FILLINGS, unsent: &[], scanning: &[] };
    let Some(plans) = plans(&planned).await else { return };
    insta::assert_snapshot!(plans.name, plans.text);
}
