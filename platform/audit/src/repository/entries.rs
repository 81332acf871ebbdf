//! Entries of the trail: appended and read, never changed.

use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;
use uuid::Uuid;

use super::{signed, unsigned};
use crate::canonical::{Entry, Hash};
use crate::schema::audit_entries;

/// A stored entry.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_entries, treat_none_as_default_value = false)]
pub struct EntryRow {
    /// Chain.
    pub chain: DbUuid,
    /// Place in the chain.
    pub sequence: i64,
    /// Place in the queue it came through.
    pub queue_position: i64,
    /// When it was recorded.
    pub recorded_at: DbTimestamp,
    /// Who acted.
    pub actor: Option<DbUuid>,
    /// What was done.
    pub action: String,
    /// To which thing.
    pub resource: String,
    /// How it ended.
    pub outcome: String,
    /// What else is known, canonical JSON.
    pub detail: String,
    /// The request.
    pub request_id: Option<DbUuid>,
    /// The address.
    pub address: Option<String>,
    /// Hash of the entry before.
    pub previous_hash: Vec<u8>,
    /// Hash of this entry.
    pub hash: Vec<u8>,
}

impl EntryRow {
    /// The row of an entry.
    #[must_use]
    pub fn new(entry: &Entry, previous: &Hash, hash: &Hash) -> Self {
        Self {
            chain: DbUuid(entry.chain),
            sequence: signed(entry.sequence),
            queue_position: signed(entry.queue_position),
            recorded_at: DbTimestamp(entry.recorded_at),
            actor: entry.actor.map(DbUuid),
            action: entry.action.clone(),
            resource: entry.resource.clone(),
            outcome: entry.outcome.clone(),
            detail: entry.detail.clone(),
            request_id: entry.request_id.map(DbUuid),
            address: entry.address.clone(),
            previous_hash: previous.to_vec(),
            hash: hash.to_vec(),
        }
    }

    /// The entry as it is hashed.
    #[must_use]
    pub fn entry(&self) -> Entry {
        Entry {
            chain: self.chain.into(),
            sequence: unsigned(self.sequence),
            queue_position: unsigned(self.queue_position),
            recorded_at: self.recorded_at.into(),
            actor: self.actor.map(Into::into),
            action: self.action.clone(),
            resource: self.resource.clone(),
            outcome: self.outcome.clone(),
            detail: self.detail.clone(),
            request_id: self.request_id.map(Into::into),
            address: self.address.clone(),
        }
    }
}

/// Which entries a query shows.
#[derive(Debug, Clone, Default)]
pub struct EntryFilter {
    /// Only this chain; none shows all.
    pub chain: Option<Uuid>,
    /// Only by this actor.
    pub actor: Option<Uuid>,
    /// Only actions that start so.
    pub action: Option<String>,
    /// Only about this thing.
    pub resource: Option<String>,
    /// Only with this outcome.
    pub outcome: Option<String>,
    /// Only at or after this time.
    pub from: Option<Timestamp>,
    /// Only before this time.
    pub until: Option<Timestamp>,
    /// Only those after this one in the order of the list.
    pub after: Option<(Timestamp, i64)>,
    /// At most so many.
    pub limit: i64,
}

/// Appends entries in their order.
///
/// # Errors
/// As the database says.
pub async fn append(conn: &mut DbConn, rows: Vec<EntryRow>) -> DbResult<()> {
    match conn.dialect() {
        Dialect::Postgres => {
            // PostgreSQL takes 65,535 parameters in a statement; a row has 13.
            for part in rows.chunks(1000) {
                append_together(conn, part.to_vec()).await?;
            }
        }
        Dialect::Sqlite => {
            for row in rows {
                run!(conn, |c| diesel::insert_into(audit_entries::table)
                    .values(row.clone())
                    .execute(c))?;
            }
        }
    }
    Ok(())
}

async fn append_together(conn: &mut DbConn, rows: Vec<EntryRow>) -> DbResult<()> {
    let DbConn::Pg(conn) = conn else { return Ok(()) };
    use troupe_database::OnPg as _;
    let conn: &mut troupe_database::PgConnection = conn;
    diesel::insert_into(audit_entries::table).values(rows).execute(conn).await?;
    Ok(())
}

/// Entries of a chain with a sequence above `after`, in order.
///
/// # Errors
/// As the database says.
pub async fn walk(
    conn: &mut DbConn,
    chain: Uuid,
    after: u64,
    limit: i64,
) -> DbResult<Vec<EntryRow>> {
    run!(conn, |c| audit_entries::table
        .filter(audit_entries::chain.eq(DbUuid(chain)))
        .filter(audit_entries::sequence.gt(signed(after)))
        .order(audit_entries::sequence.asc())
        .limit(limit)
        .select(EntryRow::as_select())
        .load(c))
}

/// Places below 1, where no entry can be; the first ten.
///
/// # Errors
/// As the database says.
pub async fn below_one(conn: &mut DbConn, chain: Uuid) -> DbResult<Vec<i64>> {
    run!(conn, |c| audit_entries::table
        .filter(audit_entries::chain.eq(DbUuid(chain)))
        .filter(audit_entries::sequence.lt(1_i64))
        .order(audit_entries::sequence.asc())
        .limit(10)
        .select(audit_entries::sequence)
        .load(c))
}

/// One entry.
///
/// # Errors
/// As the database says.
pub async fn find(conn: &mut DbConn, chain: Uuid, sequence: u64) -> DbResult<Option<EntryRow>> {
    run!(conn, |c| audit_entries::table
        .find((DbUuid(chain), signed(sequence)))
        .select(EntryRow::as_select())
        .get_result(c))
    .optional()
}

/// Entries, newest first.
///
/// # Errors
/// As the database says.
pub async fn search(conn: &mut DbConn, filter: &EntryFilter) -> DbResult<Vec<EntryRow>> {
    run!(conn, |c| {
        let after = filter.after.map(|(at, position)| (DbTimestamp(at), position));
        let mut query = audit_entries::table
            .select(EntryRow::as_select())
            .filter(keyset(
                (audit_entries::recorded_at, audit_entries::queue_position),
                after,
                Direction::Descending,
            ))
            .order((audit_entries::recorded_at.desc(), audit_entries::queue_position.desc()))
            .limit(filter.limit)
            .into_boxed();
        if let Some(chain) = filter.chain {
            query = query.filter(audit_entries::chain.eq(DbUuid(chain)));
        }
        if let Some(actor) = filter.actor {
            query = query.filter(audit_entries::actor.eq(DbUuid(actor)));
        }
        if let Some(action) = &filter.action {
            query = query.filter(audit_entries::action.like(prefix(action)).escape('!'));
        }
        if let Some(resource) = &filter.resource {
            query = query.filter(audit_entries::resource.eq(resource.clone()));
        }
        if let Some(outcome) = &filter.outcome {
            query = query.filter(audit_entries::outcome.eq(outcome.clone()));
        }
        if let Some(from) = filter.from {
            query = query.filter(audit_entries::recorded_at.ge(DbTimestamp(from)));
        }
        if let Some(until) = filter.until {
            query = query.filter(audit_entries::recorded_at.lt(DbTimestamp(until)));
        }
        query.load(c)
    })
}

/// The chains that have entries, above `after`, in order.
///
/// # Errors
/// As the database says.
pub async fn chains(conn: &mut DbConn, after: Option<Uuid>, limit: i64) -> DbResult<Vec<Uuid>> {
    // The nil id is the platform's chain and the smallest: it has nothing before it.
    let found: Vec<DbUuid> = match after {
        None => run!(conn, |c| audit_entries::table
            .select(audit_entries::chain)
            .distinct()
            .order(audit_entries::chain.asc())
            .limit(limit)
            .load(c))?,
        Some(after) => run!(conn, |c| audit_entries::table
            .filter(audit_entries::chain.gt(DbUuid(after)))
            .select(audit_entries::chain)
            .distinct()
            .order(audit_entries::chain.asc())
            .limit(limit)
            .load(c))?,
    };
    Ok(found.into_iter().map(Into::into).collect())
}

/// How many places of the queue are accounted for by neither an entry nor a waiting record.
///
/// On PostgreSQL a transaction that was undone leaves such a place too; on SQLite only a row that
/// was removed does.
///
/// # Errors
/// As the database says.
pub async fn unaccounted(conn: &mut DbConn) -> DbResult<i64> {
    use diesel::dsl::sql;
    use diesel::sql_types::BigInt;
    // One statement, so that a record is seen either waiting or sealed.
    run!(conn,
        pg |c| diesel::select(sql::<BigInt>(
            "coalesce((SELECT last_value FROM pg_sequences WHERE schemaname = current_schema() AND \
             sequencename = 'audit_queue_position_seq'), 0) \
             - (SELECT count(*) FROM audit_entries) - (SELECT count(*) FROM audit_queue)"
        )).get_result(c),
        sqlite |c| diesel::select(sql::<BigInt>(
            "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit_queue'), 0) \
             - (SELECT count(*) FROM audit_entries) - (SELECT count(*) FROM audit_queue)"
        )).get_result(c))
}

/// A `LIKE` pattern for texts that start with `text`.
fn prefix(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
