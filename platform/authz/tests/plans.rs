//! How each statement of authorization is answered, as a snapshot: a lost index shows in review.

use troupe_authz::MIGRATIONS;
use troupe_database::testing::{Filling, Planned, plans};

const FILLINGS: &[Filling] = &[
    Filling::of(
        "authz_bindings",
        &[
            ("subject", "md5('subject' || i)::uuid"),
            ("tenant", "md5('tenant' || i % 500)::uuid"),
            ("role", "'role-' || i % 20"),
        ],
    ),
    Filling::of(
        "authz_memberships",
        &[("subject", "md5('subject' || i)::uuid"), ("tenant", "md5('tenant' || i % 500)::uuid")],
    ),
    Filling::of("authz_guards", &[]).rows(20),
];

#[tokio::test]
async fn every_statement_has_a_plan_that_reads_no_large_table_whole() {
    let planned =
        Planned { migrations: MIGRATIONS, fillings: FILLINGS, unsent: &[], scanning: &[] };
    let Some(plans) = plans(&planned).await else { return };
    insta::assert_snapshot!(plans.name, plans.text);
}
