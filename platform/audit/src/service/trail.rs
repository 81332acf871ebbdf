//! Answers queries on the trail.

use troupe_actors::{Context, Handled, Lent, Scope, Service};
use troupe_database::{Db, DbConn};
use troupe_kernel::Failure;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::TenantId;
use troupe_kernel::pagination::{Cursor, Page};
use uuid::Uuid;

use super::Keys;
use crate::canonical::hex;
use crate::error::AuditError;
use crate::messages::{
    AuditEntry, AuditMessage, CheckpointInfo, EXPORT_ENTRIES_MAX, EntryQuery, Export,
    ExportEntries, GetEntry, KeyInfo, ListCheckpoints, ListEntries, ListWaiting, Trail as Which,
    WaitingRecord,
};
use crate::repository::checkpoints::{self, CheckpointHeadRow, CheckpointRow};
use crate::repository::entries::{self, EntryFilter, EntryRow};
use crate::repository::{queue, unsigned};
use crate::sealing::PLATFORM;

const WAITING_MAX: i64 = 100;

/// Where a page of entries ended: time and place in the queue.
type Position = (Timestamp, i64);

/// One worker of the pool that reads the trail.
pub struct Trail {
    db: Db,
    keys: Keys,
}

impl Trail {
    /// A reader of a database.
    #[must_use]
    pub fn new(db: Db, keys: Keys) -> Self {
        Self { db, keys }
    }

    async fn list(&self, scope: &Scope, query: &ListEntries) -> Result<Page<AuditEntry>, Failure> {
        let filter = filter(
            query.trail,
            &query.query,
            query.page.position::<Position>()?,
            query.page.rows(),
        )?;
        let rows = self
            .db
            .read_for(scope, async |conn: &mut DbConn| Ok(entries::search(conn, &filter).await?))
            .await?;
        let page = Page::from_rows(rows, &query.page, position);
        Ok(page.map(shown))
    }

    async fn get(&self, query: &GetEntry) -> Result<AuditEntry, Failure> {
        let chain = query.tenant.uuid();
        let row = self
            .db
            .read(async |conn: &mut DbConn| Ok(entries::find(conn, chain, query.sequence).await?))
            .await?;
        Ok(shown(row.ok_or(AuditError::EntryNotFound(query.sequence))?))
    }

    async fn waiting(
        &self,
        scope: &Scope,
        query: &ListWaiting,
    ) -> Result<Vec<WaitingRecord>, Failure> {
        let tenant = match query.trail {
            Which::Tenant(tenant) => Some(tenant),
            Which::All => None,
        };
        let rows = self
            .db
            .read_for(scope, async |conn: &mut DbConn| {
                Ok(queue::first_of(conn, tenant, WAITING_MAX).await?)
            })
            .await?;
        let shown = rows.into_iter().map(|row| WaitingRecord {
            position: unsigned(row.position),
            recorded_at: row.recorded_at.into(),
            record: row.record.0,
        });
        Ok(shown.collect())
    }

    async fn checkpoints(
        &self,
        scope: &Scope,
        query: &ListCheckpoints,
    ) -> Result<Page<CheckpointInfo>, Failure> {
        let before = query.page.position::<i64>()?;
        let limit = query.page.rows();
        let found: Vec<(CheckpointRow, Option<CheckpointHeadRow>)> = match query.trail {
            Which::Tenant(tenant) => self
                .db
                .read_for(scope, async |conn: &mut DbConn| {
                    Ok(checkpoints::newest_of(conn, tenant.uuid(), before, limit).await?)
                })
                .await?
                .into_iter()
                .map(|(row, head)| (row, Some(head)))
                .collect(),
            Which::All => self
                .db
                .read_for(scope, async |conn: &mut DbConn| {
                    Ok(checkpoints::newest(conn, before, limit).await?)
                })
                .await?
                .into_iter()
                .map(|row| (row, None))
                .collect(),
        };
        let page = Page::from_rows(found, &query.page, |(row, _)| row.number);
        Ok(page.map(|(row, head)| info(&row, head)))
    }
}

impl Service for Trail {
    type Message = AuditMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<AuditMessage>,
        ctx: &mut Context<AuditMessage>,
    ) -> Handled {
        let scope = ctx.scope().clone();
        match &**message {
            AuditMessage::ListEntries(query) => {
                let page = self.list(&scope, query).await?;
                ctx.reply(query, page)
            }
            AuditMessage::GetEntry(query) => {
                let entry = self.get(query).await?;
                ctx.reply(query, entry)
            }
            AuditMessage::ExportEntries(query) => {
                let part = part_of(&self.db, query).await?;
                ctx.reply(query, part)
            }
            AuditMessage::ListWaiting(query) => {
                let waiting = self.waiting(&scope, query).await?;
                ctx.reply(query, waiting)
            }
            AuditMessage::ListCheckpoints(query) => {
                let page = self.checkpoints(&scope, query).await?;
                ctx.reply(query, page)
            }
            AuditMessage::GetKey(query) => {
                let key = self.keys.own()?;
                let public = key.public();
                let info = KeyInfo { id: public.id().to_owned(), public_key: public.to_pem() };
                ctx.reply(query, info)
            }
        }
    }
}

/// Exports every entry of a query as JSON lines, newest first; `write` gets one part after the other.
///
/// # Errors
/// As the database says, or the first failure of `write`.
pub async fn export(
    db: &Db,
    trail: Which,
    query: &EntryQuery,
    mut write: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut cursor = None;
    loop {
        let part = part_of(db, &ExportEntries { trail, query: query.clone(), cursor }).await?;
        write(&part.lines)?;
        cursor = part.next_cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

async fn part_of(db: &Db, query: &ExportEntries) -> Result<Export, Failure> {
    let after = query
        .cursor
        .as_deref()
        .map(|text| Cursor::from_text(text).decode::<Position>())
        .transpose()?;
    let most = i64::from(EXPORT_ENTRIES_MAX);
    let filter = filter(query.trail, &query.query, after, most + 1)?;
    let mut rows = search(db, &filter).await?;
    let more = i64::try_from(rows.len()).unwrap_or(i64::MAX) > most;
    rows.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    let next_cursor =
        rows.last().filter(|_| more).map(|row| Cursor::encode(&position(row)).as_str().to_owned());
    let mut lines = String::new();
    for row in rows {
        let line = serde_json::to_string(&shown(row)).map_err(|error| {
            Failure::internal("audit.export.encode", format!("an entry has no JSON form: {error}"))
        })?;
        lines.push_str(&line);
        lines.push('\n');
    }
    Ok(Export { lines, next_cursor })
}

async fn search(db: &Db, filter: &EntryFilter) -> Result<Vec<EntryRow>, Failure> {
    db.read(async |conn: &mut DbConn| Ok(entries::search(conn, filter).await?)).await
}

fn filter(
    trail: Which,
    query: &EntryQuery,
    after: Option<Position>,
    limit: i64,
) -> Result<EntryFilter, AuditError> {
    if let (Some(from), Some(until)) = (query.from, query.until)
        && from >= until
    {
        return Err(AuditError::EmptyRange);
    }
    Ok(EntryFilter {
        chain: match trail {
            Which::Tenant(tenant) => Some(tenant.uuid()),
            Which::All => None,
        },
        actor: query.actor,
        action: query.action.clone(),
        resource: query.resource.clone(),
        outcome: query.outcome.clone(),
        from: query.from,
        until: query.until,
        after,
        limit,
    })
}

fn position(row: &EntryRow) -> Position {
    (row.recorded_at.into(), row.queue_position)
}

fn shown(row: EntryRow) -> AuditEntry {
    let chain: Uuid = row.chain.into();
    AuditEntry {
        tenant: (chain != PLATFORM).then_some(TenantId(chain)),
        sequence: unsigned(row.sequence),
        recorded_at: row.recorded_at.into(),
        actor: row.actor.map(Into::into),
        action: row.action,
        resource: row.resource,
        outcome: row.outcome,
        // A text that is no JSON any more was changed behind our back; it is shown as it is.
        detail: serde_json::from_str(&row.detail).unwrap_or_else(|_| row.detail.into()),
        request_id: row.request_id.map(Into::into),
        address: row.address,
        position: unsigned(row.queue_position),
        previous_hash: hex(&row.previous_hash),
        hash: hex(&row.hash),
    }
}

fn info(row: &CheckpointRow, head: Option<CheckpointHeadRow>) -> CheckpointInfo {
    CheckpointInfo {
        number: unsigned(row.number),
        created_at: row.created_at.into(),
        previous_hash: hex(&row.previous_hash),
        hash: hex(&row.hash),
        key_id: row.key_id.clone(),
        signature: hex(&row.signature),
        sequence: head.as_ref().map(|head| unsigned(head.sequence)),
        entry_hash: head.map(|head| hex(&head.hash)),
        trails: u32::try_from(row.head_count).unwrap_or(0),
    }
}
