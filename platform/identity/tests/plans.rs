//! How each statement of identity is answered, as a snapshot: a lost index shows in review.

use troupe_database::testing::{Filling, Planned, plans};
use troupe_identity::MIGRATIONS;

const FILLINGS: &[Filling] = &[
    Filling::of(
        "identity_users",
        &[
            ("email", "'user-' || i || '@example.org'"),
            ("status", "CASE WHEN i % 50 = 0 THEN 'suspended' ELSE 'active' END"),
        ],
    ),
    Filling::of("identity_organisations", &[("status", "'active'")]).rows(2_000),
    Filling::of("identity_memberships", &[("role", "(ARRAY['owner', 'editor'])[1 + i % 2]")]),
    Filling::of(
        "identity_invitations",
        &[
            ("email", "'guest-' || i || '@example.org'"),
            ("status", "CASE WHEN i % 5 = 0 THEN 'pending' ELSE 'accepted' END"),
        ],
    ),
    Filling::of("identity_email_tokens", &[("purpose", "(ARRAY['verify', 'change'])[1 + i % 2]")]),
];

#[tokio::test]
async fn every_statement_has_a_plan_that_reads_no_large_table_whole() {
    let planned = Planned {
        migrations: MIGRATIONS,
        fillings: FILLINGS,
        unsent: &[],
        scanning: &[(
            "invitations::forget_address",
            "once in the life of an account, when it is deleted, in a job that nobody waits for",
        )],
    };
    let Some(plans) = plans(&planned).await else { return };
    insta::assert_snapshot!(plans.name, plans.text);
}
