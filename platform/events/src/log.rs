//! The log in the database: reading it in order, and the offset and lease of each consumer.
//!
//! On PostgreSQL only rows below every running transaction are readable, in the order of
//! `(transaction_id, position)`: a row that commits late sorts behind everything that was readable
//! before, so an offset never passes it.

use std::time::Duration;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::pg::{Pg, PgValue};
use diesel::sql_types::{Bool, Text};
use diesel::sqlite::Sqlite;
use serde::{Deserialize, Serialize};
use troupe_database::JsonDoc;
use troupe_database::prelude::*;
use troupe_database::schema::{consumer_offsets, outbox};
use troupe_kernel::{Event, TenantId, Timestamp, Uuid};

/// A place in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Orders commits, by the id of a transaction above the base of the epoch; 0 on SQLite.
    pub transaction: i64,
    /// Orders rows of one transaction, and everything on SQLite.
    pub number: i64,
}

/// One event with its place.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) position: Position,
    pub(crate) event: Event,
}

/// One event with its place, whose data nobody has read.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) position: Position,
    /// Without its data.
    pub(crate) head: Event,
    /// JSON.
    pub(crate) data: String,
}

impl Line {
    pub(crate) fn read(self) -> DbResult<Entry> {
        let data = serde_json::from_str(&self.data)
            .map_err(|error| DbError::Value { detail: format!("the data of an event: {error}") })?;
        Ok(Entry { position: self.position, event: Event { data, ..self.head } })
    }
}

/// A document as the database has it.
#[derive(Debug, FromSqlRow)]
struct JsonText(String);

impl FromSql<JsonDoc, Pg> for JsonText {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        // On the wire a jsonb is the version of its format, which is 1, and text.
        match value.as_bytes() {
            [1, text @ ..] => Ok(Self(std::str::from_utf8(text)?.to_owned())),
            _ => Err("a jsonb of another version".into()),
        }
    }
}

impl FromSql<JsonDoc, Sqlite> for JsonText {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        FromSql::<Text, Sqlite>::from_sql(value).map(Self)
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = outbox)]
struct OutboxRow {
    position: i64,
    transaction_id: i64,
    event_id: DbUuid,
    kind: String,
    source: String,
    subject: String,
    tenant: Option<DbUuid>,
    occurred_at: DbTimestamp,
    schema_version: i32,
    data: JsonText,
    trace: Option<String>,
}

impl From<OutboxRow> for Line {
    fn from(row: OutboxRow) -> Self {
        Self {
            position: Position { transaction: row.transaction_id, number: row.position },
            head: Event {
                id: row.event_id.0,
                kind: row.kind,
                source: row.source,
                subject: row.subject,
                tenant: row.tenant.map(DbUuid::to::<TenantId>),
                time: row.occurred_at.0,
                schema_version: u16::try_from(row.schema_version).unwrap_or(u16::MAX),
                data: serde_json::Value::Null,
                trace: row.trace,
            },
            data: row.data.0,
        }
    }
}

/// Rows below every transaction that still runs.
const SETTLED: &str = "outbox.transaction_id < \
     (SELECT base FROM log_epoch) + pg_snapshot_xmin(pg_current_snapshot())::text::bigint";

/// The last place up to which the log is complete; none when it is empty.
pub(crate) async fn horizon(conn: &mut DbConn) -> DbResult<Option<Position>> {
    type Place = (i64, i64);
    let place: Option<Place> = run!(
        conn,
        pg | c
            | outbox::table
                .filter(fragment::<Bool>(SETTLED))
                .order((outbox::transaction_id.desc(), outbox::position.desc()))
                .select((outbox::transaction_id, outbox::position))
                .limit(1)
                .get_result::<Place>(c),
        sqlite
            | c
            | outbox::table
                .order((outbox::transaction_id.desc(), outbox::position.desc()))
                .select((outbox::transaction_id, outbox::position))
                .limit(1)
                .get_result::<Place>(c),
    )
    .optional()?;
    Ok(place.map(|(transaction, number)| Position { transaction, number }))
}

/// Events after `after` up to `until` whose kind begins with `prefix`, in order.
pub(crate) async fn read(
    conn: &mut DbConn,
    after: Position,
    until: Position,
    prefix: &str,
    limit: i64,
) -> DbResult<Vec<Entry>> {
    let lines = lines(conn, after, until, prefix, limit).await?;
    lines.into_iter().map(Line::read).collect()
}

/// The same, for one who hands the data on as it is.
pub(crate) async fn lines(
    conn: &mut DbConn,
    after: Position,
    until: Position,
    prefix: &str,
    limit: i64,
) -> DbResult<Vec<Line>> {
    let columns = (outbox::transaction_id, outbox::position);
    let place = |at: Position| Some((at.transaction, at.number));
    // One row value past the end, because the comparison is strict.
    let end = Position { number: until.number.saturating_add(1), ..until };
    let rows: Vec<OutboxRow> = run!(conn, |c| outbox::table
        .filter(keyset(columns, place(after), Direction::Ascending))
        .filter(keyset(columns, place(end), Direction::Descending))
        .filter(outbox::kind.like(format!("{prefix}%")))
        .order((outbox::transaction_id, outbox::position))
        .limit(limit)
        .select(OutboxRow::as_select())
        .load(c))?;
    Ok(rows.into_iter().map(Line::from).collect())
}

/// Who wants to deliver, and until when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) node: Uuid,
    pub(crate) now: Timestamp,
    pub(crate) lease: Duration,
}

/// Takes or renews the lease on a consumer and answers its offset; none while another node has it.
///
/// On SQLite there is one process, so a lease that a crashed one left is void at once.
pub(crate) async fn acquire(
    conn: &mut DbConn,
    consumer: &str,
    claim: &Claim,
) -> DbResult<Option<Position>> {
    use consumer_offsets as table;
    let new = (
        table::consumer.eq(consumer),
        table::transaction_id.eq(0),
        table::position.eq(0),
        table::updated_at.eq(DbTimestamp(claim.now)),
    );
    run!(conn, |c| diesel::insert_into(table::table)
        .values(new)
        .on_conflict_do_nothing()
        .execute(c))?;
    let node = Some(DbUuid(claim.node));
    // A time in the future of every lease makes each of them void.
    let void_before = match conn.dialect() {
        Dialect::Postgres => claim.now,
        Dialect::Sqlite => Timestamp::MAX,
    };
    let place: Option<(i64, i64)> = run!(conn, |c| diesel::update(table::table)
        .filter(table::consumer.eq(consumer))
        .filter(
            table::lease
                .is_null()
                .or(table::lease.eq(node))
                .or(table::lease_until.lt(Some(DbTimestamp(void_before))))
        )
        .set((
            table::lease.eq(node),
            table::lease_until.eq(Some(DbTimestamp(claim.now.plus(claim.lease)))),
        ))
        .returning((table::transaction_id, table::position))
        .get_result::<(i64, i64)>(c))
    .optional()?;
    Ok(place.map(|(transaction, number)| Position { transaction, number }))
}

/// Gives the lease back, so that another node need not wait for its end.
pub(crate) async fn release(conn: &mut DbConn, consumer: &str, node: Uuid) -> DbResult<()> {
    use consumer_offsets as table;
    run!(conn, |c| diesel::update(table::table)
        .filter(table::consumer.eq(consumer))
        .filter(table::lease.eq(Some(DbUuid(node))))
        .set((table::lease.eq(None::<DbUuid>), table::lease_until.eq(None::<DbTimestamp>)))
        .execute(c))?;
    Ok(())
}

/// Stores the offset and renews the lease; false when another node has it.
pub(crate) async fn store(
    conn: &mut DbConn,
    consumer: &str,
    position: Position,
    claim: &Claim,
) -> DbResult<bool> {
    use consumer_offsets as table;
    let changed = run!(conn, |c| diesel::update(table::table)
        .filter(table::consumer.eq(consumer))
        .filter(table::lease.eq(Some(DbUuid(claim.node))))
        .set((
            table::transaction_id.eq(position.transaction),
            table::position.eq(position.number),
            table::lease_until.eq(Some(DbTimestamp(claim.now.plus(claim.lease)))),
            table::updated_at.eq(DbTimestamp(claim.now)),
        ))
        .execute(c))?;
    Ok(changed == 1)
}

/// A consumer's offset as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) consumer: String,
    pub(crate) position: Position,
    pub(crate) updated_at: Timestamp,
}

/// A consumer's offset; none when it has never read.
#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "the relay asks"))]
pub(crate) async fn offset(conn: &mut DbConn, consumer: &str) -> DbResult<Option<Position>> {
    use consumer_offsets as table;
    let place: Option<(i64, i64)> = run!(conn, |c| table::table
        .filter(table::consumer.eq(consumer))
        .select((table::transaction_id, table::position))
        .get_result::<(i64, i64)>(c))
    .optional()?;
    Ok(place.map(|(transaction, number)| Position { transaction, number }))
}

/// The least number in the log; none when it is empty.
#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "the relay asks"))]
pub(crate) async fn first(conn: &mut DbConn) -> DbResult<Option<i64>> {
    run!(conn, |c| outbox::table
        .order(outbox::position)
        .select(outbox::position)
        .limit(1)
        .get_result::<i64>(c))
    .optional()
}

/// All offsets.
pub(crate) async fn offsets(conn: &mut DbConn) -> DbResult<Vec<Stored>> {
    use consumer_offsets as table;
    type Row = (String, i64, i64, DbTimestamp);
    let rows: Vec<Row> = run!(conn, |c| table::table
        .select((table::consumer, table::transaction_id, table::position, table::updated_at))
        .order(table::consumer)
        .load::<Row>(c))?;
    let stored = |(consumer, transaction, number, updated_at): Row| Stored {
        consumer,
        position: Position { transaction, number },
        updated_at: updated_at.0,
    };
    Ok(rows.into_iter().map(stored).collect())
}

/// Kinds and times of at most `limit` events after a place, for the lag.
pub(crate) async fn behind(
    conn: &mut DbConn,
    after: Position,
    limit: i64,
) -> DbResult<Vec<(String, Timestamp)>> {
    let columns = (outbox::transaction_id, outbox::position);
    let rows: Vec<(String, DbTimestamp)> = run!(conn, |c| outbox::table
        .filter(keyset(columns, Some((after.transaction, after.number)), Direction::Ascending))
        .order((outbox::transaction_id, outbox::position))
        .limit(limit)
        .select((outbox::kind, outbox::occurred_at))
        .load::<(String, DbTimestamp)>(c))?;
    Ok(rows.into_iter().map(|(kind, at)| (kind, at.0)).collect())
}

/// Deletes about `limit` of the oldest events that are older than `before` and, where a place is given,
/// not after it; answers how many.
pub(crate) async fn trim(
    conn: &mut DbConn,
    before: Timestamp,
    passed: Option<Position>,
    limit: i64,
) -> DbResult<usize> {
    let end = passed.map(|at| (at.transaction, at.number.saturating_add(1)));
    let columns = (outbox::transaction_id, outbox::position);
    let oldest: Vec<i64> = run!(conn, |c| outbox::table
        .filter(outbox::occurred_at.lt(DbTimestamp(before)))
        .filter(keyset(columns, end, Direction::Descending))
        .order(outbox::occurred_at)
        .limit(limit)
        .select(outbox::position)
        .load::<i64>(c))?;
    if oldest.is_empty() {
        return Ok(0);
    }
    run!(conn, |c| diesel::delete(outbox::table.filter(outbox::position.eq_any(&oldest)))
        .execute(c))
}
