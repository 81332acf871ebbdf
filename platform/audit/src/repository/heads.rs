//! The ends of the chains, and the row that makes sealings follow each other.

use diesel::upsert::excluded;
use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;
use uuid::Uuid;

use super::{hash_of, signed, unsigned};
use crate::canonical::Head;
use crate::schema::{audit_heads, audit_seal};

/// A stored head.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_heads, treat_none_as_default_value = false)]
pub struct HeadRow {
    /// Chain.
    pub chain: DbUuid,
    /// Sequence of its last entry.
    pub sequence: i64,
    /// Hash of its last entry.
    pub hash: Vec<u8>,
    /// When it was sealed.
    pub sealed_at: DbTimestamp,
    /// The last sequence that a checkpoint covers.
    pub checkpointed_sequence: i64,
    /// The key that signed it.
    pub key_id: String,
    /// Signature of the head.
    pub signature: Vec<u8>,
}

impl HeadRow {
    /// The head as it is signed.
    #[must_use]
    pub fn head(&self) -> Head {
        Head {
            chain: self.chain.into(),
            sequence: unsigned(self.sequence),
            hash: hash_of(&self.hash),
        }
    }
}

/// What no checkpoint covers yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = audit_seal)]
pub struct SealRow {
    /// Entries that no checkpoint covers.
    pub entries_since_checkpoint: i64,
    /// When the first of them was sealed; of no meaning when there is none.
    pub uncovered_since: DbTimestamp,
}

impl SealRow {
    /// The same with more entries.
    #[must_use]
    pub fn plus(self, entries: i64, now: Timestamp) -> Self {
        let first = self.entries_since_checkpoint == 0 && entries > 0;
        Self {
            entries_since_checkpoint: self.entries_since_checkpoint.saturating_add(entries),
            uncovered_since: if first { now.into() } else { self.uncovered_since },
        }
    }
}

/// What no checkpoint covers yet, without a lock.
///
/// # Errors
/// As the database says.
pub async fn state(conn: &mut DbConn) -> DbResult<SealRow> {
    run!(conn, |c| audit_seal::table.find(1).select(SealRow::as_select()).get_result(c))
}

/// Makes this transaction the only one that seals until it ends.
///
/// # Errors
/// As the database says; another sealing is waited for.
pub async fn lock(conn: &mut DbConn) -> DbResult<SealRow> {
    run!(conn, |c| diesel::update(audit_seal::table.find(1))
        .set(audit_seal::entries_since_checkpoint.eq(audit_seal::entries_since_checkpoint))
        .returning(SealRow::as_returning())
        .get_result(c))
}

/// Keeps what no checkpoint covers.
///
/// # Errors
/// As the database says.
pub async fn keep(conn: &mut DbConn, row: SealRow) -> DbResult<()> {
    run!(conn, |c| diesel::update(audit_seal::table.find(1))
        .set((
            audit_seal::entries_since_checkpoint.eq(row.entries_since_checkpoint),
            audit_seal::uncovered_since.eq(row.uncovered_since),
        ))
        .execute(c))?;
    Ok(())
}

/// The heads of some chains.
///
/// # Errors
/// As the database says.
pub async fn of(conn: &mut DbConn, chains: &[Uuid]) -> DbResult<Vec<HeadRow>> {
    let chains: Vec<DbUuid> = chains.iter().copied().map(DbUuid).collect();
    let mut found = Vec::new();
    for part in chains.chunks(500) {
        let rows: Vec<HeadRow> = run!(conn, |c| audit_heads::table
            .filter(audit_heads::chain.eq_any(part.to_vec()))
            .select(HeadRow::as_select())
            .load(c))?;
        found.extend(rows);
    }
    Ok(found)
}

/// Moves a head forward.
///
/// # Errors
/// As the database says.
pub async fn advance(conn: &mut DbConn, row: HeadRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(audit_heads::table)
        .values(row.clone())
        .on_conflict(audit_heads::chain)
        .do_update()
        .set((
            audit_heads::sequence.eq(excluded(audit_heads::sequence)),
            audit_heads::hash.eq(excluded(audit_heads::hash)),
            audit_heads::sealed_at.eq(excluded(audit_heads::sealed_at)),
            audit_heads::key_id.eq(excluded(audit_heads::key_id)),
            audit_heads::signature.eq(excluded(audit_heads::signature)),
        ))
        .execute(c))?;
    Ok(())
}

/// Heads that no checkpoint covers yet, in order of their chains.
///
/// # Errors
/// As the database says.
pub async fn uncovered(conn: &mut DbConn, limit: i64) -> DbResult<Vec<HeadRow>> {
    run!(conn, |c| audit_heads::table
        .filter(audit_heads::sequence.gt(audit_heads::checkpointed_sequence))
        .order(audit_heads::chain.asc())
        .limit(limit)
        .select(HeadRow::as_select())
        .load(c))
}

/// Notes that a checkpoint covers a head.
///
/// # Errors
/// As the database says.
pub async fn cover(conn: &mut DbConn, head: &Head) -> DbResult<()> {
    run!(conn, |c| diesel::update(audit_heads::table.find(DbUuid(head.chain)))
        .set(audit_heads::checkpointed_sequence.eq(signed(head.sequence)))
        .execute(c))?;
    Ok(())
}

/// All heads above `after`, in order of their chains.
///
/// # Errors
/// As the database says.
pub async fn list(conn: &mut DbConn, after: Option<Uuid>, limit: i64) -> DbResult<Vec<HeadRow>> {
    match after {
        None => run!(conn, |c| audit_heads::table
            .order(audit_heads::chain.asc())
            .limit(limit)
            .select(HeadRow::as_select())
            .load(c)),
        Some(after) => run!(conn, |c| audit_heads::table
            .filter(audit_heads::chain.gt(DbUuid(after)))
            .order(audit_heads::chain.asc())
            .limit(limit)
            .select(HeadRow::as_select())
            .load(c)),
    }
}
