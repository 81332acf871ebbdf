//! PostgreSQL and SQLite behind one connection type, the unit of work and the migration runner.
//!
//! A repository is a module of functions on [`&mut DbConn`](DbConn). Each query is one diesel body in
//! [`run!`], typed for both dialects; the [`columns`](Id) mean the same in both. A service reads with
//! [`Db::read`], or [`Db::read_for`] where a replica may answer the caller, and changes with
//! [`Db::command`], which gives it a [`UnitOfWork`]: rows, events, audit records, jobs and the
//! idempotency record commit together. Consumers of events use [`Db::consume`].
//!
//! Not here: the delivery of events, the running of jobs and the chaining of the audit; those crates
//! read the tables in [`schema`]. No query here knows of tenants: repositories filter by tenant.
//!
//! # The whole way, for an owner `notes`
//!
//! Cargo.toml: `diesel.workspace = true`, `troupe-database.workspace = true`, and below
//! `[dev-dependencies]` `troupe-database = { workspace = true, features = ["testing"] }`.
//!
//! **Migration.** `migrations/notes/{postgres,sqlite}/0001_notes/{up,down}.sql`:
//!
//! ```sql
//! -- postgres/0001_notes/up.sql              -- sqlite/0001_notes/up.sql
//! CREATE TABLE notes (                       -- CREATE TABLE notes (
//!     id         UUID PRIMARY KEY,           --     id         BLOB PRIMARY KEY,
//!     tenant     UUID NOT NULL,              --     tenant     BLOB NOT NULL,
//!     title      TEXT NOT NULL,              --     title      TEXT NOT NULL,
//!     tags       TEXT[] NOT NULL,            --     tags       TEXT NOT NULL,
//!     version    INTEGER NOT NULL,           --     version    INTEGER NOT NULL,
//!     created_at TIMESTAMPTZ NOT NULL,       --     created_at INTEGER NOT NULL,
//!     UNIQUE (tenant, title)                 --     UNIQUE (tenant, title)
//! );                                         -- );
//! CREATE INDEX notes_newest ON notes (tenant, created_at DESC, id DESC);
//! -- down.sql of both: DROP TABLE notes;
//! ```
//!
//! `BOOLEAN` and `TEXT` are the same in both; `BIGINT` is `BigInt` and `INTEGER` is `Integer` in
//! `table!`; JSON is `JSONB` | `TEXT`. A table has at most 16 columns. A unique constraint keeps
//! PostgreSQL's default name (`notes_tenant_title_key`): that name is reported on both dialects.
//!
//! **Repository.** `repository.rs` imports the [`prelude`], never `diesel::prelude::*`:
//!
//! ```ignore
//! use troupe_database::prelude::*;
//!
//! pub const MIGRATIONS: &[Migration] = troupe_database::migrations!("notes", ["0001_notes"]);
//!
//! table! {
//!     use diesel::sql_types::{Integer, Text};
//!     use troupe_database::{Id, Instant, TextArray};
//!
//!     notes (id) {
//!         id -> Id,
//!         tenant -> Id,
//!         title -> Text,
//!         tags -> TextArray,
//!         version -> Integer,
//!         created_at -> Instant,
//!     }
//! }
//!
//! #[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable)]
//! #[diesel(table_name = notes, treat_none_as_default_value = false)]
//! pub struct NoteRow {
//!     pub id: DbUuid,
//!     pub tenant: DbUuid,
//!     pub title: String,
//!     pub tags: TextList,
//!     pub version: i32,
//!     pub created_at: DbTimestamp,
//! }
//!
//! pub async fn insert(conn: &mut DbConn, row: &NoteRow) -> DbResult<()> {
//!     run!(conn, |c| diesel::insert_into(notes::table).values(row).execute(c))?;
//!     Ok(())
//! }
//!
//! pub async fn find(conn: &mut DbConn, tenant: TenantId, id: NoteId) -> DbResult<Option<NoteRow>> {
//!     run!(conn, |c| notes::table
//!         .find(DbUuid::of(id))
//!         .filter(notes::tenant.eq(DbUuid::of(tenant)))
//!         .select(NoteRow::as_select())
//!         .get_result(c))          // not first(): it prepares anew each time on SQLite
//!     .optional()
//! }
//!
//! /// Optimistic: false when the version is no longer the one the caller saw.
//! pub async fn rename(conn: &mut DbConn, id: NoteId, version: i32, title: &str) -> DbResult<bool> {
//!     let changed = run!(conn, |c| diesel::update(notes::table.find(DbUuid::of(id)))
//!         .filter(notes::version.eq(version))
//!         .set((notes::title.eq(title), notes::version.eq(notes::version + 1)))
//!         .execute(c))?;
//!     Ok(changed == 1)
//! }
//!
//! /// Newest first; `after` is the position of the last row of the page before.
//! pub async fn page(
//!     conn: &mut DbConn,
//!     tenant: TenantId,
//!     after: Option<(DbTimestamp, DbUuid)>,
//!     rows: i64,
//! ) -> DbResult<Vec<NoteRow>> {
//!     run!(conn, |c| notes::table
//!         .filter(notes::tenant.eq(DbUuid::of(tenant)))
//!         .filter(keyset((notes::created_at, notes::id), after, Direction::Descending))
//!         .order((notes::created_at.desc(), notes::id.desc()))
//!         .limit(rows)
//!         .select(NoteRow::as_select())
//!         .load(c))
//! }
//!
//! /// Where the SQL differs: two arms, each with its own query.
//! pub async fn tagged(conn: &mut DbConn, tag: &str) -> DbResult<Vec<NoteRow>> {
//!     run!(conn,
//!         pg |c| notes::table
//!             .filter(fragment::<Bool>("tags @> ARRAY[").bind::<Text, _>(tag, "]"))
//!             .select(NoteRow::as_select()).load(c),
//!         sqlite |c| notes::table
//!             .filter(fragment::<Bool>("EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ")
//!                 .bind::<Text, _>(tag, ")"))
//!             .select(NoteRow::as_select()).load(c),
//!     )
//! }
//! ```
//!
//! [`fragment`] is SQL text that is prepared once; `diesel::dsl::sql` and `sql_query` are prepared at
//! every call, and so is what inserts a row without `treat_none_as_default_value = false`.
//!
//! **Command and query** in the service; the closures answer `Result<_, Failure>`, and `?` turns a
//! [`DbError`] into one:
//!
//! ```ignore
//! let note = self.db.command(ctx.scope(), async move |uow: &mut UnitOfWork| {
//!     let row = NoteRow { id: uow.new_id::<DbUuid>(), tenant: DbUuid::of(tenant), /* … */ };
//!     repository::insert(uow.conn(), &row).await.map_err(|error| {
//!         error.unique_or("notes_tenant_title_key", || {
//!             Failure::conflict("notes.title.taken", "choose another title")
//!         })
//!     })?;
//!     uow.event(Event::new("notes.note.created", row.id.0, &Created { title }));
//!     uow.audit(AuditRecord::new(uow.scope(), "notes.note.create", format!("note:{}", row.id.0)));
//!     uow.job(Job::new("notes.index", &Index { note: row.id.0 }));
//!     Ok(Note::from(row))
//! }).await?;
//!
//! let row = self.db.read(async |conn: &mut DbConn| Ok(repository::find(conn, tenant, id).await?)).await?;
//! ```
//!
//! Give the closure's parameter its type. Call `command` once in a function (the idempotency record
//! belongs to the closure); further transactions of a request use [`Db::transaction`]. A closure that
//! moves captured values in is `async move`. Never await anything but the database in it.
//!
//! **A test on both dialects**:
//!
//! ```ignore
//! #[tokio::test]
//! async fn a_note_is_found_in_its_tenant_only() {
//!     for_both(MIGRATIONS, async |db: Db| {
//!         let scope = Scope::system("test", Duration::from_secs(10));
//!         // …
//!     })
//!     .await;
//! }
//! ```
//!
//! `tests/notes.rs` of this crate is this example as running code.

mod batcher;
mod callback;
mod columns;
mod config;
mod connection;
mod db;
mod effects;
mod epoch;
mod error;
mod fragment;
mod housekeeping;
pub mod migrations;
mod migrator;
mod module;
mod nodes;
mod postgres;
pub mod prelude;
mod query;
pub mod schema;
mod seldom;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;
mod traced;
mod unit_of_work;
mod watch;

pub use batcher::{BatchLimits, BatchMessage, Batcher, GetKeyed, Keyed, KeyedLoad, Landed};
pub use callback::Callback;
pub use columns::{DbTimestamp, DbUuid, Id, Instant, Json, JsonDoc, TextArray, TextList};
pub use config::{DatabaseConfig, DatabaseTls, SqliteSynchronous};
pub use connection::{DbConn, Dialect};
pub use db::{Commanded, Db};
pub use diesel_async::AsyncPgConnection as PgConnection;
pub use effects::Effect;
pub use error::{DbError, DbResult, OptionalRow};
pub use fragment::{Fragment, fragment};
pub use housekeeping::{Housekeeping, HousekeepingMessage, Sweep};
pub use migrations::{MIGRATIONS, Plan};
pub use migrator::{MigrationState, SchemaError};
pub use module::DatabaseModule;
pub use nodes::{Direction, InLocked, Keyset, OneOf, in_locked, keyset, one_of};
pub use postgres::PgConn;
pub use query::{OnPg, OnSqlite, Running};
pub use sqlite::{SqliteConn, SqliteConnection};
pub use unit_of_work::UnitOfWork;
pub use watch::{Look, Watch, WatchMessage};
