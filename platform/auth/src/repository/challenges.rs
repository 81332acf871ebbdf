//! Logins that wait for their second step; the challenge only as its digest.

use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{TenantId, UserId};

use super::schema::auth_challenges::{self, dsl};

/// A login that waits for its second step.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = auth_challenges, treat_none_as_default_value = false)]
pub struct ChallengeRow {
    /// Digest of the challenge.
    pub token_hash: Vec<u8>,
    /// Who passed the first step.
    pub user_id: DbUuid,
    /// The organisation that was asked for.
    pub tenant_id: Option<DbUuid>,
    /// What the first step was, for the audit.
    pub first_factor: String,
    /// The device, as its `User-Agent` said.
    pub device: Option<String>,
    /// When the first step was passed.
    pub created_at: DbTimestamp,
    /// When the second is too late.
    pub expires_at: DbTimestamp,
    /// When the second step was passed.
    pub used_at: Option<DbTimestamp>,
    /// What the answer of a passkey is compared with; none when the user has none.
    pub passkey_state: Option<String>,
}

impl ChallengeRow {
    /// Who passed the first step.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user_id.to()
    }

    /// The organisation that was asked for.
    #[must_use]
    pub fn tenant(&self) -> Option<TenantId> {
        self.tenant_id.map(DbUuid::to)
    }
}

/// Adds a challenge.
///
/// # Errors
/// Those of the database.
pub async fn insert(conn: &mut DbConn, row: &ChallengeRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(dsl::auth_challenges).values(row).execute(c))?;
    Ok(())
}

/// The challenge with this digest, if it was not used and has not passed its time.
///
/// # Errors
/// Those of the database.
pub async fn find_usable(
    conn: &mut DbConn,
    hash: &[u8],
    now: Timestamp,
) -> DbResult<Option<ChallengeRow>> {
    run!(conn, |c| dsl::auth_challenges
        .find(hash)
        .filter(dsl::used_at.is_null())
        .filter(dsl::expires_at.gt(DbTimestamp(now)))
        .select(ChallengeRow::as_select())
        .get_result::<ChallengeRow>(c))
    .optional()
}

/// Marks a challenge as used; answers whether it could be. Of several attempts at once, one can.
///
/// # Errors
/// Those of the database.
pub async fn consume(conn: &mut DbConn, hash: &[u8], now: Timestamp) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(
        dsl::auth_challenges
            .filter(dsl::token_hash.eq(hash))
            .filter(dsl::used_at.is_null())
            .filter(dsl::expires_at.gt(DbTimestamp(now)))
    )
    .set(dsl::used_at.eq(DbTimestamp(now)))
    .execute(c))?;
    Ok(changed == 1)
}

/// Deletes the unused challenges of a user but for the `keep` made last.
///
/// # Errors
/// Those of the database.
pub async fn discard(conn: &mut DbConn, user: UserId, keep: i64) -> DbResult<usize> {
    let surplus = run!(conn, |c| dsl::auth_challenges
        .filter(dsl::user_id.eq(DbUuid::of(user)))
        .filter(dsl::used_at.is_null())
        .order(dsl::created_at.desc())
        .offset(keep)
        .limit(i64::MAX)
        .select(dsl::token_hash)
        .get_results::<Vec<u8>>(c))?;
    run!(conn, |c| diesel::delete(
        dsl::auth_challenges.filter(dsl::token_hash.eq_any(surplus)).filter(dsl::used_at.is_null())
    )
    .execute(c))
}

/// Deletes challenges that passed their time before `before`; answers how many.
///
/// # Errors
/// Those of the database.
pub async fn sweep(conn: &mut DbConn, before: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(
        dsl::auth_challenges.filter(dsl::expires_at.lt(DbTimestamp(before)))
    )
    .execute(c))
}
