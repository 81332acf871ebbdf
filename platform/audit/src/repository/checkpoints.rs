//! Signed statements about the ends of chains.

use troupe_database::prelude::*;
use uuid::Uuid;

use super::{hash_of, signed, unsigned};
use crate::canonical::{Checkpoint, Hash, Head};
use crate::schema::{audit_checkpoint_heads, audit_checkpoints};

/// A stored checkpoint without what it says.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_checkpoints, treat_none_as_default_value = false)]
pub struct CheckpointRow {
    /// Its number.
    pub number: i64,
    /// Hash of the one before.
    pub previous_hash: Vec<u8>,
    /// When it was signed.
    pub created_at: DbTimestamp,
    /// How many heads it states.
    pub head_count: i32,
    /// Its hash.
    pub hash: Vec<u8>,
    /// The key that signed it.
    pub key_id: String,
    /// Its signature.
    pub signature: Vec<u8>,
}

/// What a checkpoint says about one chain.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_checkpoint_heads, treat_none_as_default_value = false)]
pub struct CheckpointHeadRow {
    /// Chain.
    pub chain: DbUuid,
    /// The checkpoint.
    pub number: i64,
    /// Sequence of the chain's last entry then.
    pub sequence: i64,
    /// Hash of that entry.
    pub hash: Vec<u8>,
}

impl CheckpointHeadRow {
    /// The head as it is hashed.
    #[must_use]
    pub fn head(&self) -> Head {
        Head {
            chain: self.chain.into(),
            sequence: unsigned(self.sequence),
            hash: hash_of(&self.hash),
        }
    }
}

impl CheckpointRow {
    /// The checkpoint as it is hashed and signed.
    #[must_use]
    pub fn checkpoint(&self, heads: Vec<Head>) -> Checkpoint {
        Checkpoint {
            number: unsigned(self.number),
            previous_hash: hash_of(&self.previous_hash),
            created_at: self.created_at.into(),
            heads,
        }
    }
}

/// A checkpoint with its signature.
#[derive(Debug, Clone)]
pub struct Signed {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// Its hash.
    pub hash: Hash,
    /// The key that signed it.
    pub key_id: String,
    /// The signature.
    pub signature: Vec<u8>,
}

/// Adds a checkpoint and what it says.
///
/// # Errors
/// As the database says.
pub async fn append(conn: &mut DbConn, signed_checkpoint: &Signed) -> DbResult<()> {
    let checkpoint = &signed_checkpoint.checkpoint;
    let row = CheckpointRow {
        number: signed(checkpoint.number),
        previous_hash: checkpoint.previous_hash.to_vec(),
        created_at: DbTimestamp(checkpoint.created_at),
        head_count: i32::try_from(checkpoint.heads.len()).unwrap_or(i32::MAX),
        hash: signed_checkpoint.hash.to_vec(),
        key_id: signed_checkpoint.key_id.clone(),
        signature: signed_checkpoint.signature.clone(),
    };
    run!(conn, |c| diesel::insert_into(audit_checkpoints::table).values(row.clone()).execute(c))?;
    for head in &checkpoint.heads {
        let row = CheckpointHeadRow {
            chain: DbUuid(head.chain),
            number: signed(checkpoint.number),
            sequence: signed(head.sequence),
            hash: head.hash.to_vec(),
        };
        run!(conn, |c| diesel::insert_into(audit_checkpoint_heads::table)
            .values(row.clone())
            .execute(c))?;
    }
    Ok(())
}

/// The newest checkpoint.
///
/// # Errors
/// As the database says.
pub async fn last(conn: &mut DbConn) -> DbResult<Option<CheckpointRow>> {
    run!(conn, |c| audit_checkpoints::table
        .order(audit_checkpoints::number.desc())
        .limit(1)
        .select(CheckpointRow::as_select())
        .get_result(c))
    .optional()
}

/// Checkpoints with a number above `after`, in order.
///
/// # Errors
/// As the database says.
pub async fn walk(conn: &mut DbConn, after: u64, limit: i64) -> DbResult<Vec<CheckpointRow>> {
    run!(conn, |c| audit_checkpoints::table
        .filter(audit_checkpoints::number.gt(signed(after)))
        .order(audit_checkpoints::number.asc())
        .limit(limit)
        .select(CheckpointRow::as_select())
        .load(c))
}

/// Checkpoints, newest first, below `before`.
///
/// # Errors
/// As the database says.
pub async fn newest(
    conn: &mut DbConn,
    before: Option<i64>,
    limit: i64,
) -> DbResult<Vec<CheckpointRow>> {
    run!(conn, |c| audit_checkpoints::table
        .filter(audit_checkpoints::number.lt(before.unwrap_or(i64::MAX)))
        .order(audit_checkpoints::number.desc())
        .limit(limit)
        .select(CheckpointRow::as_select())
        .load(c))
}

/// Checkpoints about one chain, newest first, below `before`, with what they say about it.
///
/// # Errors
/// As the database says.
pub async fn newest_of(
    conn: &mut DbConn,
    chain: Uuid,
    before: Option<i64>,
    limit: i64,
) -> DbResult<Vec<(CheckpointRow, CheckpointHeadRow)>> {
    run!(conn, |c| audit_checkpoint_heads::table
        .inner_join(audit_checkpoints::table)
        .filter(audit_checkpoint_heads::chain.eq(DbUuid(chain)))
        .filter(audit_checkpoint_heads::number.lt(before.unwrap_or(i64::MAX)))
        .order(audit_checkpoint_heads::number.desc())
        .limit(limit)
        .select((CheckpointRow::as_select(), CheckpointHeadRow::as_select()))
        .load(c))
}

/// What a checkpoint says, in order of chains.
///
/// # Errors
/// As the database says.
pub async fn heads_of(conn: &mut DbConn, number: i64) -> DbResult<Vec<CheckpointHeadRow>> {
    run!(conn, |c| audit_checkpoint_heads::table
        .filter(audit_checkpoint_heads::number.eq(number))
        .order(audit_checkpoint_heads::chain.asc())
        .select(CheckpointHeadRow::as_select())
        .load(c))
}

/// What checkpoints say about a chain at sequences in `(after, until]`, in order of sequence.
///
/// # Errors
/// As the database says.
pub async fn statements(
    conn: &mut DbConn,
    chain: Uuid,
    after: u64,
    until: u64,
) -> DbResult<Vec<CheckpointHeadRow>> {
    run!(conn, |c| audit_checkpoint_heads::table
        .filter(audit_checkpoint_heads::chain.eq(DbUuid(chain)))
        .filter(audit_checkpoint_heads::sequence.gt(signed(after)))
        .filter(audit_checkpoint_heads::sequence.le(signed(until)))
        .order(audit_checkpoint_heads::sequence.asc())
        .select(CheckpointHeadRow::as_select())
        .load(c))
}

/// The last thing that a checkpoint says about a chain.
///
/// # Errors
/// As the database says.
pub async fn last_of(conn: &mut DbConn, chain: Uuid) -> DbResult<Option<CheckpointHeadRow>> {
    run!(conn, |c| audit_checkpoint_heads::table
        .filter(audit_checkpoint_heads::chain.eq(DbUuid(chain)))
        .order(audit_checkpoint_heads::sequence.desc())
        .limit(1)
        .select(CheckpointHeadRow::as_select())
        .get_result(c))
    .optional()
}

/// Chains that checkpoints speak of, above `after`, in order.
///
/// # Errors
/// As the database says.
pub async fn chains(conn: &mut DbConn, after: Option<Uuid>, limit: i64) -> DbResult<Vec<Uuid>> {
    let found: Vec<DbUuid> = match after {
        None => run!(conn, |c| audit_checkpoint_heads::table
            .select(audit_checkpoint_heads::chain)
            .distinct()
            .order(audit_checkpoint_heads::chain.asc())
            .limit(limit)
            .load(c))?,
        Some(after) => run!(conn, |c| audit_checkpoint_heads::table
            .filter(audit_checkpoint_heads::chain.gt(DbUuid(after)))
            .select(audit_checkpoint_heads::chain)
            .distinct()
            .order(audit_checkpoint_heads::chain.asc())
            .limit(limit)
            .load(c))?,
    };
    Ok(found.into_iter().map(Into::into).collect())
}
