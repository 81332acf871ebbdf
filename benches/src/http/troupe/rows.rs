//! The module of the rows: reads by key through the batching repository, pages, and writes with an
//! event and an audit record.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use troupe_actors::{ChildSpec, Context, Handled, Lent, Scope, Service, ServiceRef, Spec};
use troupe_database::prelude::*;
use troupe_database::{BatchLimits, Db, GetKeyed, Keyed, KeyedLoad, UnitOfWork};
use troupe_kernel::{
    AuditRecord, Failure, HttpResponse, InitFault, Manifest, Module, ModuleContext, Parts, Route,
    Uuid,
};

use super::module::{READ, WRITE};
use crate::fixture::Item;
use crate::http::schema::{ADD, ItemPage, ItemRow, MIGRATIONS, NewItem, PageQuery, bench_item};

const CAPACITY: usize = 4096;
/// Writes at once: more than connections, so that those which wait commit together.
const WORKERS: usize = 64;

/// Asks for a page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListRows {
    query: PageQuery,
}

/// Adds an item.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddRow {
    item: NewItem,
}

troupe_actors::protocol! {
    /// What the keeper of the rows understands.
    pub enum RowMessage("rows", 1) redact [] {
        /// Answers a page.
        ListRows => ItemPage,
        /// Answers the item that was added.
        AddRow => Item,
    }
}

/// Items by id, several at once.
pub(super) struct ById {
    db: Db,
}

impl KeyedLoad for ById {
    type Key = Uuid;
    type Value = Arc<Item>;
    const NAME: &'static str = "rows.by_id";

    async fn load(&self, keys: Vec<Uuid>) -> Result<HashMap<Uuid, Arc<Item>>, Failure> {
        let rows = self.db.read(async move |conn: &mut DbConn| Ok(find(conn, keys).await?)).await?;
        Ok(rows.into_iter().map(|row| (row.id.0, Arc::new(Item::from(row)))).collect())
    }
}

async fn find(conn: &mut DbConn, ids: Vec<Uuid>) -> DbResult<Vec<ItemRow>> {
    let ids: Vec<DbUuid> = ids.into_iter().map(DbUuid).collect();
    run!(conn, |c| bench_item::table.filter(one_of(bench_item::id, ids)).load(c))
}

async fn page(conn: &mut DbConn, query: PageQuery) -> DbResult<Vec<ItemRow>> {
    run!(conn, |c| bench_item::table
        .filter(bench_item::id.gt(query.begin()))
        .order(bench_item::id)
        .limit(query.rows())
        .load(c))
}

async fn insert(conn: &mut DbConn, row: &ItemRow) -> DbResult<()> {
    let written: DbResult<usize> =
        run!(conn, |c| diesel::insert_into(bench_item::table).values(row).execute(c));
    written.map(drop)
}

/// Reads pages and adds rows. Mailbox: 4,096; 64 workers. Restart: permanent; a crash loses the
/// message at hand.
struct Rows {
    db: Db,
}

impl Service for Rows {
    type Message = RowMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<RowMessage>,
        ctx: &mut Context<RowMessage>,
    ) -> Handled {
        let scope = ctx.scope().clone();
        match &**message {
            RowMessage::ListRows(list) => {
                let query = list.query;
                let rows = self
                    .db
                    .read(async move |conn: &mut DbConn| Ok(page(conn, query).await?))
                    .await?;
                ctx.reply(list, ItemPage::new(rows, query))
            }
            RowMessage::AddRow(command) => {
                let item = self.add(&scope, command.item.clone()).await?;
                ctx.reply(command, item)
            }
        }
    }
}

impl Rows {
    async fn add(&self, scope: &Scope, new: NewItem) -> Result<Item, Failure> {
        let principal = scope.principal().ok_or_else(|| {
            Failure::unauthenticated("items.principal.missing", "sign in and send the token")
        })?;
        let (tenant, author) = (principal.tenant.unwrap_or_default(), principal.subject);
        self.db
            .command(scope, async move |uow: &mut UnitOfWork| {
                let row = new.into_row(uow.new_id(), DbTimestamp(uow.now()), tenant, author);
                insert(uow.conn(), &row).await?;
                uow.event(row.added());
                uow.audit(AuditRecord::new(uow.scope(), ADD, row.resource()));
                Ok(Item::from(row))
            })
            .await
    }
}

/// The rows as a module; it needs the database.
pub(super) struct RowsModule;

impl Module for RowsModule {
    fn manifest(&self) -> Manifest {
        Manifest { name: "rows", version: "0.1.0", dependencies: &["database", "items"] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let db = ctx.require::<Db>().map_err(|missing| vec![missing.into()])?;
        let db = Db::clone(&db);
        let load = ById { db: db.clone() };
        let (by_id, batcher) = Keyed::new(ctx.system(), load, BatchLimits::default());
        let (rows, keeper): (_, ChildSpec) =
            Spec::new(ctx.system(), "rows", move || Rows { db: db.clone() })
                .capacity(CAPACITY)
                .workers(WORKERS)
                .build();
        Ok(Parts::new().migrations(MIGRATIONS).child(batcher).child(keeper).routes([
            read(&by_id),
            list(&rows),
            write(&rows),
        ]))
    }
}

fn read(by_id: &Keyed<ById>) -> Route {
    Route::get("/rows/{id}").permission(READ).summary("Reads a row").returns_nothing(200).ask(
        by_id.service(),
        |request| Ok(GetKeyed::<ById>::new(request.parameter("id")?)),
        |item: Option<Arc<Item>>| match item {
            Some(item) => Ok(HttpResponse::ok(&*item).etag(item.version)),
            None => Err(Failure::not_found("items.item.unknown", "there is no such item")),
        },
    )
}

fn list(rows: &ServiceRef<RowMessage>) -> Route {
    Route::get("/rows").permission(READ).summary("Reads a page of rows").returns_nothing(200).ask(
        rows,
        |request| Ok(ListRows { query: request.query()? }),
        |page: ItemPage| Ok(HttpResponse::ok(&page)),
    )
}

fn write(rows: &ServiceRef<RowMessage>) -> Route {
    Route::post("/rows").permission(WRITE).summary("Adds a row").returns_nothing(201).ask(
        rows,
        |request| Ok(AddRow { item: request.json()? }),
        |item: Item| {
            let location = format!("/rows/{}", item.id);
            Ok(HttpResponse::created(location, &item).etag(item.version))
        },
    )
}
