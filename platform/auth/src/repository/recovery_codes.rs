//! Recovery codes by user, only as digests.

use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::UserId;

use super::schema::auth_recovery_codes::{self, dsl};

/// A recovery code as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Insertable)]
#[diesel(table_name = auth_recovery_codes)]
struct CodeRow {
    user_id: DbUuid,
    code_hash: Vec<u8>,
    created_at: DbTimestamp,
}

/// Replaces all codes of a user by those with these digests.
///
/// # Errors
/// Those of the database.
pub async fn replace(
    conn: &mut DbConn,
    user: UserId,
    hashes: &[[u8; 32]],
    now: Timestamp,
) -> DbResult<()> {
    remove(conn, user).await?;
    for hash in hashes {
        let row = CodeRow {
            user_id: DbUuid::of(user),
            code_hash: hash.to_vec(),
            created_at: DbTimestamp(now),
        };
        run!(conn, |c| diesel::insert_into(dsl::auth_recovery_codes).values(&row).execute(c))?;
    }
    Ok(())
}

/// Whether the user has an unused code with this digest.
///
/// # Errors
/// Those of the database.
pub async fn is_usable(conn: &mut DbConn, user: UserId, hash: &[u8]) -> DbResult<bool> {
    let found = run!(conn, |c| dsl::auth_recovery_codes
        .find((DbUuid::of(user), hash))
        .filter(dsl::used_at.is_null())
        .select(dsl::user_id)
        .get_result::<DbUuid>(c))
    .optional()?;
    Ok(found.is_some())
}

/// Marks a code as used; answers whether it could be. Of several attempts at once, one can.
///
/// # Errors
/// Those of the database.
pub async fn consume(
    conn: &mut DbConn,
    user: UserId,
    hash: &[u8],
    now: Timestamp,
) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(
        dsl::auth_recovery_codes
            .filter(dsl::user_id.eq(DbUuid::of(user)))
            .filter(dsl::code_hash.eq(hash))
            .filter(dsl::used_at.is_null())
    )
    .set(dsl::used_at.eq(DbTimestamp(now)))
    .execute(c))?;
    Ok(changed == 1)
}

/// How many unused codes a user has.
///
/// # Errors
/// Those of the database.
pub async fn left(conn: &mut DbConn, user: UserId) -> DbResult<i64> {
    run!(conn, |c| dsl::auth_recovery_codes
        .filter(dsl::user_id.eq(DbUuid::of(user)))
        .filter(dsl::used_at.is_null())
        .count()
        .get_result::<i64>(c))
}

/// Removes all codes of a user.
///
/// # Errors
/// Those of the database.
pub async fn remove(conn: &mut DbConn, user: UserId) -> DbResult<()> {
    run!(conn, |c| diesel::delete(
        dsl::auth_recovery_codes.filter(dsl::user_id.eq(DbUuid::of(user)))
    )
    .execute(c))?;
    Ok(())
}
