//! Rows for both axum contenders: diesel-async on a pool, one statement or one transaction a request.
//!
//! What a careful author of a single service writes. PostgreSQL: a pool with the quickest recycling.
//! SQLite: one writer and some readers on tokio's blocking pool, WAL. The tables, the statements and
//! the durability are those of the platform.

use std::net::IpAddr;

use anyhow::bail;
use axum::response::{IntoResponse as _, Response};
use diesel::sql_types::{BigInt, Text};
use diesel::{ConnectionError, ConnectionResult, OptionalExtension as _};
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{
    AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _,
};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{StatusCode, header};
use troupe_database::fragment;
use troupe_database::prelude::{DbTimestamp, DbUuid, ExpressionMethods as _, Json, QueryDsl as _};
use troupe_database::schema::{audit_queue, outbox};
use troupe_kernel::clock::{Clock as _, SystemClock};
use troupe_kernel::{AuditRecord, Event, Outcome, TenantId, Uuid, new_id};

use super::checks::{Caller, Ids, problem};
use super::items;
use super::schema::{ADD, ItemPage, ItemRow, NewItem, PageQuery, bench_item};
use crate::fixture::Item;

/// Connections to PostgreSQL, as many as the platform has.
const CONNECTIONS: usize = 16;
/// Connections that read a SQLite file, as many as the platform has.
const READERS: usize = 4;
const SQLITE: &str = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; \
    PRAGMA temp_store = MEMORY; PRAGMA synchronous = NORMAL; PRAGMA journal_mode = WAL;";

type Sqlite = SyncConnectionWrapper<diesel::SqliteConnection>;

/// Where the rows are.
pub enum Rows {
    /// On a server.
    Postgres(Pool<AsyncPgConnection>),
    /// In a file.
    Sqlite {
        /// The one that writes.
        writer: Pool<Sqlite>,
        /// Those that read.
        readers: Pool<Sqlite>,
    },
}

/// Who writes, and in which request.
#[derive(Debug, Clone, Copy)]
pub struct By {
    /// Who.
    pub caller: Caller,
    /// The request.
    pub ids: Ids,
    /// From where.
    pub peer: IpAddr,
}

/// What one write puts into the effect tables.
struct Effects {
    event: Event,
    record: Json,
    trace: String,
    tenant: DbUuid,
    now: DbTimestamp,
}

/// The three inserts of a write; the dialects differ in the order of commits.
macro_rules! insert {
    ($conn:ident, $row:expr, $effects:expr, $order:expr) => {{
        let (row, effects): (&ItemRow, &Effects) = ($row, $effects);
        diesel::insert_into(bench_item::table).values(row).execute($conn).await?;
        let record = (
            audit_queue::tenant.eq(Some(effects.tenant)),
            audit_queue::recorded_at.eq(effects.now),
            audit_queue::record.eq(&effects.record),
        );
        diesel::insert_into(audit_queue::table).values(record).execute($conn).await?;
        let event = (
            outbox::transaction_id.eq($order),
            outbox::event_id.eq(DbUuid(effects.event.id)),
            outbox::kind.eq(&effects.event.kind),
            outbox::source.eq(&effects.event.source),
            outbox::subject.eq(&effects.event.subject),
            outbox::tenant.eq(Some(effects.tenant)),
            outbox::occurred_at.eq(effects.now),
            outbox::schema_version.eq(1),
            outbox::data.eq(Json(effects.event.data.clone())),
            outbox::trace.eq(Some(&effects.trace)),
        );
        diesel::insert_into(outbox::table)
            .values(event)
            .on_conflict_do_nothing()
            .execute($conn)
            .await?;
        Ok::<_, diesel::result::Error>(())
    }};
}

impl Rows {
    /// Builds the pools; nothing connects yet.
    ///
    /// # Errors
    /// When the URL is neither of SQLite nor of PostgreSQL.
    pub fn open(url: &str) -> anyhow::Result<Self> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return Ok(Self::Sqlite { writer: sqlite(path, 1)?, readers: sqlite(path, READERS)? });
        }
        if !url.starts_with("postgres") {
            bail!("a database is postgres://… or sqlite:PATH");
        }
        let mut manager = ManagerConfig::default();
        manager.recycling_method = RecyclingMethod::Fast;
        let manager = AsyncDieselConnectionManager::new_with_config(url, manager);
        Ok(Self::Postgres(Pool::builder(manager).max_size(CONNECTIONS).build()?))
    }

    /// The item of an id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(&self, id: Uuid) -> anyhow::Result<Option<Item>> {
        let query = bench_item::table.find(DbUuid(id));
        let row: Option<ItemRow> = match self {
            Self::Postgres(pool) => query.get_result(&mut pool.get().await?).await.optional()?,
            Self::Sqlite { readers, .. } => {
                query.get_result(&mut readers.get().await?).await.optional()?
            }
        };
        Ok(row.map(Item::from))
    }

    /// A page of items.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(&self, page: PageQuery) -> anyhow::Result<ItemPage> {
        let query = bench_item::table
            .filter(bench_item::id.gt(page.begin()))
            .order(bench_item::id)
            .limit(page.rows());
        let rows: Vec<ItemRow> = match self {
            Self::Postgres(pool) => query.load(&mut pool.get().await?).await?,
            Self::Sqlite { readers, .. } => query.load(&mut readers.get().await?).await?,
        };
        Ok(ItemPage::new(rows, page))
    }

    /// Adds an item, its event and its audit record in one transaction.
    ///
    /// # Errors
    /// When the database fails; nothing is added then.
    pub async fn add(&self, new: NewItem, by: By) -> anyhow::Result<Item> {
        let now = DbTimestamp(SystemClock.now());
        let row = new.into_row(new_id(&SystemClock), now, by.caller.tenant, by.caller.subject);
        let effects = Effects::of(&row, by)?;
        let (kept, event) = (&row, &effects);
        match self {
            Self::Postgres(pool) => {
                let mut object = pool.get().await?;
                let conn: &mut AsyncPgConnection = &mut object;
                conn.transaction(async move |conn: &mut AsyncPgConnection| {
                    let order = fragment::<BigInt>(
                        "GREATEST((SELECT base FROM log_epoch) \
                         + pg_current_xact_id()::text::bigint, \
                         COALESCE((SELECT max(transaction_id) FROM outbox WHERE subject = ",
                    )
                    .bind::<Text, _>(&event.event.subject, "), 0))");
                    insert!(conn, kept, event, order)
                })
                .await?;
            }
            Self::Sqlite { writer, .. } => {
                let mut conn = writer.get().await?;
                conn.immediate_transaction(async move |conn: &mut Sqlite| {
                    insert!(conn, kept, event, 0_i64)
                })
                .await?;
            }
        }
        Ok(row.into())
    }
}

impl Effects {
    fn of(row: &ItemRow, by: By) -> anyhow::Result<Self> {
        let By { caller, ids, peer } = by;
        let mut event = row.added();
        event.id = new_id(&SystemClock);
        let record = AuditRecord {
            tenant: Some(TenantId(caller.tenant)),
            actor: Some(caller.subject),
            action: ADD.to_owned(),
            resource: row.resource(),
            outcome: Outcome::Success,
            detail: serde_json::Value::Null,
            request_id: Some(ids.request),
            address: Some(peer.to_string()),
        };
        Ok(Self {
            event,
            record: Json(serde_json::to_value(&record)?),
            trace: ids.trace.to_string(),
            tenant: DbUuid(caller.tenant),
            now: row.created_at,
        })
    }
}

/// The answer of a page.
#[must_use]
pub fn page_answer(page: anyhow::Result<ItemPage>) -> Response {
    match page {
        Ok(page) => {
            let body = serde_json::to_vec(&page).unwrap_or_default();
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(error) => failed(&error),
    }
}

/// The answer of a read.
#[must_use]
pub fn item_answer(item: anyhow::Result<Option<Item>>) -> Response {
    match item {
        Ok(item) => items::answer(item.as_ref()),
        Err(error) => failed(&error),
    }
}

/// The answer of a write.
#[must_use]
pub fn added_answer(item: anyhow::Result<Item>) -> Response {
    match item {
        Ok(item) => {
            let location = (header::LOCATION, format!("/rows/{}", item.id));
            (StatusCode::CREATED, [location], items::answer(Some(&item))).into_response()
        }
        Err(error) => failed(&error),
    }
}

/// The answer to a body or a query that is none.
#[must_use]
pub fn malformed() -> Response {
    problem(
        StatusCode::BAD_REQUEST,
        "bench.malformed",
        "send title, body and tags as JSON, a page as limit and after",
    )
}

#[expect(clippy::print_stderr, reason = "the suite keeps what a server says")]
fn failed(error: &anyhow::Error) -> Response {
    eprintln!("{error:#}");
    problem(StatusCode::INTERNAL_SERVER_ERROR, "bench.database", "the database failed")
}

fn sqlite(path: &str, size: usize) -> anyhow::Result<Pool<Sqlite>> {
    let mut manager = ManagerConfig::default();
    manager.recycling_method = RecyclingMethod::Fast;
    manager.custom_setup = Box::new(connect);
    let manager = AsyncDieselConnectionManager::<Sqlite>::new_with_config(path, manager);
    Ok(Pool::builder(manager).max_size(size).build()?)
}

fn connect(path: &str) -> BoxFuture<'_, ConnectionResult<Sqlite>> {
    async move {
        let mut conn = Sqlite::establish(path).await?;
        conn.batch_execute(SQLITE).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(conn)
    }
    .boxed()
}
