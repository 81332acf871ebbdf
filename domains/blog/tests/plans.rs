//! How each statement of the blog is answered, as a snapshot: a lost index shows in review.

use troupe_blog::repository::MIGRATIONS;
use troupe_database::testing::{Filling, Planned, plans};

const FILLINGS: &[Filling] = &[
    Filling::of(
        "blog_posts",
        &[
            ("status", "(ARRAY['draft', 'scheduled', 'published', 'published'])[1 + i % 4]"),
            ("published_at", "CASE WHEN i % 4 > 1 THEN now() - i * interval '1 minute' END"),
            ("publish_at", "CASE WHEN i % 4 = 1 THEN now() + i * interval '1 minute' END"),
        ],
    ),
    Filling::of("blog_post_tags", &[("tag", "'tag-' || i % 30")]),
    Filling::of(
        "blog_comments",
        &[("status", "(ARRAY['pending', 'approved', 'approved', 'spam'])[1 + i % 4]")],
    ),
];

#[tokio::test]
async fn every_statement_has_a_plan_that_reads_no_large_table_whole() {
    let planned =
        Planned { migrations: MIGRATIONS, fillings: FILLINGS, unsent: &[], scanning: &[] };
    let Some(plans) = plans(&planned).await else { return };
    insta::assert_snapshot!(plans.name, plans.text);
}
