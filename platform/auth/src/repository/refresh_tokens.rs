//! Refresh tokens by the digest of the token.

use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::SessionId;

use super::schema::auth_refresh_tokens::{self, dsl};

/// A refresh token as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = auth_refresh_tokens, treat_none_as_default_value = false)]
pub struct RefreshRow {
    /// Digest of the token.
    pub token_hash: Vec<u8>,
    /// Its session, which is its family.
    pub session_id: DbUuid,
    /// When it was issued.
    pub issued_at: DbTimestamp,
    /// When it ends.
    pub expires_at: DbTimestamp,
    /// When it was exchanged.
    pub used_at: Option<DbTimestamp>,
}

impl RefreshRow {
    /// The session of the token.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session_id.to()
    }
}

/// Adds a token.
///
/// # Errors
/// Those of the database.
pub async fn insert(conn: &mut DbConn, row: &RefreshRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(dsl::auth_refresh_tokens).values(row).execute(c))?;
    Ok(())
}

/// Marks a token as used; answers it, or none when it is unknown or was used before. Of several
/// attempts at once, one gets it.
///
/// # Errors
/// Those of the database.
pub async fn consume(
    conn: &mut DbConn,
    hash: &[u8],
    now: Timestamp,
) -> DbResult<Option<RefreshRow>> {
    run!(conn, |c| diesel::update(
        dsl::auth_refresh_tokens.filter(dsl::token_hash.eq(hash)).filter(dsl::used_at.is_null())
    )
    .set(dsl::used_at.eq(DbTimestamp(now)))
    .returning(RefreshRow::as_returning())
    .get_result::<RefreshRow>(c))
    .optional()
}

/// A token, used or not.
///
/// # Errors
/// Those of the database.
pub async fn find(conn: &mut DbConn, hash: &[u8]) -> DbResult<Option<RefreshRow>> {
    run!(conn, |c| dsl::auth_refresh_tokens
        .filter(dsl::token_hash.eq(hash))
        .select(RefreshRow::as_select())
        .get_result::<RefreshRow>(c))
    .optional()
}

/// Deletes tokens that passed their time before `before`; answers how many. A used token stays as
/// long, so that its second use is recognised.
///
/// # Errors
/// Those of the database.
pub async fn sweep(conn: &mut DbConn, before: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(
        dsl::auth_refresh_tokens.filter(dsl::expires_at.lt(DbTimestamp(before)))
    )
    .execute(c))
}
