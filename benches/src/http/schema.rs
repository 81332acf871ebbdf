//! The table of the rows, what a write adds beside its row, and a database made ready for a run.
//!
//! One schema and one set of values for every contender: they differ in the way to the database only.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;
use troupe_database::migrations::script;
use troupe_database::prelude::*;
use troupe_database::{DatabaseConfig, Db, Plan, UnitOfWork};
use troupe_kernel::{Event, Failure, Migration, Scope, Uuid};

use super::DEADLINE;
use crate::fixture::{Fixture, Item};

/// What a write tells others.
pub const ADDED: &str = "items.item.added";
/// What a write tells the auditors.
pub const ADD: &str = "items.item.add";

/// The table, for both dialects.
pub const MIGRATIONS: &[Migration] = &[Migration {
    owner: "items",
    version: "0001",
    name: "bench_item",
    postgres: script(
        "CREATE TABLE bench_item (
            id UUID PRIMARY KEY, tenant UUID NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL,
            tags TEXT[] NOT NULL, author UUID NOT NULL, version INTEGER NOT NULL,
            created_at TIMESTAMPTZ NOT NULL
        );",
        "DROP TABLE bench_item;",
    ),
    sqlite: script(
        "CREATE TABLE bench_item (
            id BLOB PRIMARY KEY, tenant BLOB NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL,
            tags TEXT NOT NULL, author BLOB NOT NULL, version INTEGER NOT NULL,
            created_at INTEGER NOT NULL
        );",
        "DROP TABLE bench_item;",
    ),
}];

table! {
    use diesel::sql_types::{Integer, Text};
    use troupe_database::{Id, Instant, TextArray};

    /// An item.
    bench_item (id) {
        /// Its id.
        id -> Id,
        /// Whose it is.
        tenant -> Id,
        /// A line.
        title -> Text,
        /// A few lines.
        body -> Text,
        /// A few words.
        tags -> TextArray,
        /// Who wrote it.
        author -> Id,
        /// Counts changes.
        version -> Integer,
        /// When it was made.
        created_at -> Instant,
    }
}

/// A row of the table.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = bench_item, treat_none_as_default_value = false)]
pub struct ItemRow {
    /// Its id.
    pub id: DbUuid,
    /// Whose it is.
    pub tenant: DbUuid,
    /// A line.
    pub title: String,
    /// A few lines.
    pub body: String,
    /// A few words.
    pub tags: TextList,
    /// Who wrote it.
    pub author: DbUuid,
    /// Counts changes.
    pub version: i32,
    /// When it was made.
    pub created_at: DbTimestamp,
}

/// What a caller sends to add an item.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewItem {
    /// A line.
    pub title: String,
    /// A few lines.
    pub body: String,
    /// A few words.
    pub tags: Vec<String>,
}

/// Which page is asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct PageQuery {
    /// Rows, at most 100.
    pub limit: u16,
    /// The last id of the page before.
    pub after: Option<Uuid>,
}

impl PageQuery {
    /// Rows of this page.
    #[must_use]
    pub fn rows(self) -> i64 {
        i64::from(self.limit.clamp(1, 100))
    }

    /// Where it begins: every id is above nil.
    #[must_use]
    pub fn begin(self) -> DbUuid {
        DbUuid(self.after.unwrap_or(Uuid::nil()))
    }
}

/// A page of items.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ItemPage {
    /// The items in order of id.
    pub items: Vec<Item>,
    /// What `after` is for the next page, if there may be one.
    pub next: Option<Uuid>,
}

impl ItemPage {
    /// The page of these rows.
    #[must_use]
    pub fn new(rows: Vec<ItemRow>, query: PageQuery) -> Self {
        let full = i64::try_from(rows.len()).is_ok_and(|count| count == query.rows());
        let next = rows.last().filter(|_| full).map(|row| row.id.0);
        Self { items: rows.into_iter().map(Item::from).collect(), next }
    }
}

impl NewItem {
    /// Its first row.
    #[must_use]
    pub fn into_row(self, id: Uuid, now: DbTimestamp, tenant: Uuid, author: Uuid) -> ItemRow {
        ItemRow {
            id: DbUuid(id),
            tenant: DbUuid(tenant),
            title: self.title,
            body: self.body,
            tags: TextList(self.tags),
            author: DbUuid(author),
            version: 1,
            created_at: now,
        }
    }
}

impl ItemRow {
    /// The event of its making.
    #[must_use]
    pub fn added(&self) -> Event {
        Event::new(ADDED, self.id.0, &json!({ "title": self.title }))
    }

    /// What the audit names it.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("item:{}", self.id.0)
    }
}

impl From<ItemRow> for Item {
    fn from(row: ItemRow) -> Self {
        Self {
            id: row.id.0,
            tenant: row.tenant.0,
            title: row.title,
            body: row.body,
            tags: row.tags.0,
            author: row.author.0,
            version: row.version,
            created_at: row.created_at.0.to_string(),
        }
    }
}

impl TryFrom<Item> for ItemRow {
    type Error = anyhow::Error;

    fn try_from(item: Item) -> anyhow::Result<Self> {
        Ok(Self {
            id: DbUuid(item.id),
            tenant: DbUuid(item.tenant),
            title: item.title,
            body: item.body,
            tags: TextList(item.tags),
            author: DbUuid(item.author),
            version: item.version,
            created_at: DbTimestamp(item.created_at.parse()?),
        })
    }
}

/// Migrates the database and puts the fixture's items into it; again changes nothing.
///
/// # Errors
/// When the fixture cannot be read or the database refuses.
pub async fn prepare(directory: &Path, url: &str) -> anyhow::Result<()> {
    let items = Fixture::read(directory)?.items;
    let rows: Vec<ItemRow> = items.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
    let db = Db::open(&DatabaseConfig::with_url(url)).await?;
    db.migrate(&Plan::merge(&[MIGRATIONS])?).await?;
    let scope = Scope::system("bench.prepare", DEADLINE);
    db.transaction(&scope, async move |uow: &mut UnitOfWork| {
        for row in &rows {
            insert_missing(uow.conn(), row).await?;
        }
        Ok::<_, Failure>(())
    })
    .await?;
    Ok(())
}

async fn insert_missing(conn: &mut DbConn, row: &ItemRow) -> DbResult<()> {
    let written: DbResult<usize> = run!(conn, |c| diesel::insert_into(bench_item::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c));
    written.map(drop)
}
