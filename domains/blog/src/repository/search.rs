//! Full-text search: tsvector and `websearch_to_tsquery` on PostgreSQL, FTS5 on SQLite.
//!
//! Both stem English words and fold case; title weighs more than tags, tags more than text. A page
//! is an offset into the ranked list, bounded by the service: a rank is no key to continue from.

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use troupe_database::prelude::*;
use troupe_database::{Id, Instant};
use troupe_kernel::{TenantId, Timestamp};

use super::Viewer;
use crate::content::query::{self, MARK_END, MARK_START};
use crate::content::status::PostStatus;
use crate::messages::SearchHit;

/// A search.
#[derive(Debug, Clone)]
pub struct Search {
    /// The normalised query.
    pub text: String,
    /// Whose posts may be seen.
    pub viewer: Viewer,
    /// How many results are skipped.
    pub offset: u32,
    /// How many are read.
    pub rows: i64,
}

#[derive(QueryableByName)]
struct HitRow {
    #[diesel(sql_type = Id)]
    id: DbUuid,
    #[diesel(sql_type = Text)]
    slug: String,
    #[diesel(sql_type = Text)]
    title: String,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Nullable<Instant>)]
    published_at: Option<DbTimestamp>,
    #[diesel(sql_type = Text)]
    snippet: String,
}

impl From<HitRow> for SearchHit {
    fn from(row: HitRow) -> Self {
        Self {
            id: row.id.to(),
            slug: row.slug,
            title: row.title,
            status: PostStatus::parse(&row.status).expect("the table allows the three states only"),
            snippet: query::snippet_html(&row.snippet),
            published_at: row.published_at.map(Timestamp::from),
        }
    }
}

/// What may be seen, as a condition: `$3` says all, `$4` is the author whose drafts count too.
const VISIBLE: &str = "(p.status = 'published' OR $3 = 1 OR p.author_id = $4)";

/// The posts that match, best first. The headline is made for the page only, not for every match.
///
/// # Errors
/// As the database says.
pub async fn search(
    conn: &mut DbConn,
    tenant: TenantId,
    search: &Search,
) -> DbResult<Vec<SearchHit>> {
    let Some(expression) = query::to_fts5(&search.text) else { return Ok(Vec::new()) };
    let (all, author) = match search.viewer {
        Viewer::Public => (0, uuid::Uuid::nil()),
        Viewer::Member(me) => (0, me),
        Viewer::Manager => (1, uuid::Uuid::nil()),
    };
    let found: Vec<HitRow> = run!(
        conn,
        pg | c
            | diesel::sql_query(postgres_sql())
                .bind::<Text, _>(&search.text)
                .bind::<Id, _>(DbUuid::of(tenant))
                .bind::<Integer, _>(all)
                .bind::<Id, _>(DbUuid(author))
                .bind::<BigInt, _>(search.rows)
                .bind::<BigInt, _>(i64::from(search.offset))
                .load(c),
        sqlite
            | c
            | diesel::sql_query(sqlite_sql())
                .bind::<Text, _>(&expression)
                .bind::<Id, _>(DbUuid::of(tenant))
                .bind::<Integer, _>(all)
                .bind::<Id, _>(DbUuid(author))
                .bind::<BigInt, _>(search.rows)
                .bind::<BigInt, _>(i64::from(search.offset))
                .load(c),
    )?;
    Ok(found.into_iter().map(SearchHit::from).collect())
}

fn postgres_sql() -> String {
    format!(
        "SELECT m.id, m.slug, m.title, m.status, m.published_at, \
         ts_headline('english', left(m.plain, 200000), m.query, \
         'StartSel={MARK_START}, StopSel={MARK_END}, MaxFragments=2, MaxWords=24, MinWords=8, FragmentDelimiter=\" … \"') AS snippet \
         FROM (SELECT p.id, p.slug, p.title, p.status, p.published_at, c.plain, q.query, \
         ts_rank(c.search, q.query) AS rank \
         FROM websearch_to_tsquery('english', $1) AS q (query), blog_contents c \
         JOIN blog_posts p ON p.id = c.post_id \
         WHERE c.search @@ q.query AND c.tenant_id = $2 AND {VISIBLE} \
         ORDER BY rank DESC, p.id DESC LIMIT $5 OFFSET $6) AS m \
         ORDER BY m.rank DESC, m.id DESC"
    )
}

fn sqlite_sql() -> String {
    format!(
        "SELECT p.id, p.slug, p.title, p.status, p.published_at, \
         snippet(blog_search, 2, char(2), char(3), ' … ', 32) AS snippet \
         FROM blog_search JOIN blog_contents c ON c.number = blog_search.rowid \
         JOIN blog_posts p ON p.id = c.post_id \
         WHERE blog_search MATCH $1 AND c.tenant_id = $2 AND {VISIBLE} \
         ORDER BY bm25(blog_search, 8.0, 4.0, 1.0), p.id DESC LIMIT $5 OFFSET $6"
    )
}
