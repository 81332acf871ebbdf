//! Rows of tokens that prove an address. A token is looked up by its digest only.

use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::UserId;

use super::schema::identity_email_tokens::{self, dsl};

/// Proves the address that the account has.
pub const VERIFY: &str = "verify";
/// Proves the address that the account changes to.
pub const CHANGE: &str = "change";

/// One token as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = identity_email_tokens, treat_none_as_default_value = false)]
pub struct EmailTokenRow {
    /// Id of the row.
    pub id: DbUuid,
    /// The user.
    pub user_id: DbUuid,
    /// [`VERIFY`] or [`CHANGE`].
    pub purpose: String,
    /// The address that is proven.
    pub email: String,
    /// Digest of the token.
    pub token_hash: String,
    /// When it was used, or replaced by a newer one.
    pub used_at: Option<DbTimestamp>,
    /// When it ends.
    pub expires_at: DbTimestamp,
    /// When it was made.
    pub created_at: DbTimestamp,
}

/// Adds a token.
///
/// # Errors
/// As the database says.
pub async fn insert(conn: &mut DbConn, row: &EmailTokenRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(identity_email_tokens::table)
        .values(row.clone())
        .execute(c))?;
    Ok(())
}

/// The token with this digest.
///
/// # Errors
/// As the database says.
pub async fn find(conn: &mut DbConn, digest: &str) -> DbResult<Option<EmailTokenRow>> {
    run!(conn, |c| dsl::identity_email_tokens
        .filter(dsl::token_hash.eq(digest.to_owned()))
        .select(EmailTokenRow::as_select())
        .get_result(c))
    .optional()
}

/// Ends every open token of a user.
///
/// # Errors
/// As the database says.
pub async fn end_open(conn: &mut DbConn, user: UserId, now: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::update(
        dsl::identity_email_tokens
            .filter(dsl::user_id.eq(DbUuid::of(user)))
            .filter(dsl::used_at.is_null())
    )
    .set(dsl::used_at.eq(Some(DbTimestamp(now))))
    .execute(c))
}

/// Uses a token; answers false when somebody else just did.
///
/// # Errors
/// As the database says.
pub async fn mark_used(conn: &mut DbConn, id: DbUuid, now: Timestamp) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(
        dsl::identity_email_tokens.filter(dsl::id.eq(id)).filter(dsl::used_at.is_null())
    )
    .set(dsl::used_at.eq(Some(DbTimestamp(now))))
    .execute(c))?;
    Ok(changed == 1)
}

/// When the tokens of a user were made since a time, newest first.
///
/// # Errors
/// As the database says.
pub async fn made_since(
    conn: &mut DbConn,
    user: UserId,
    since: Timestamp,
    rows: i64,
) -> DbResult<Vec<DbTimestamp>> {
    run!(conn, |c| dsl::identity_email_tokens
        .filter(dsl::user_id.eq(DbUuid::of(user)))
        .filter(dsl::created_at.gt(DbTimestamp(since)))
        .order(dsl::created_at.desc())
        .limit(rows)
        .select(dsl::created_at)
        .load(c))
}

/// Removes the tokens that ended before a time.
///
/// # Errors
/// As the database says.
pub async fn delete_ended(conn: &mut DbConn, before: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(
        dsl::identity_email_tokens.filter(dsl::expires_at.lt(DbTimestamp(before)))
    )
    .execute(c))
}

/// Removes the tokens of a user.
///
/// # Errors
/// As the database says.
pub async fn delete_of(conn: &mut DbConn, user: UserId) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(
        dsl::identity_email_tokens.filter(dsl::user_id.eq(DbUuid::of(user)))
    )
    .execute(c))
}
