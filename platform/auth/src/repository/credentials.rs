//! Password hashes by user.

use diesel::upsert::excluded;
use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::UserId;

use super::schema::auth_credentials::dsl;

/// The hash of a user's password.
///
/// # Errors
/// Those of the database.
pub async fn find(conn: &mut DbConn, user: UserId) -> DbResult<Option<String>> {
    run!(conn, |c| dsl::auth_credentials
        .find(DbUuid::of(user))
        .select(dsl::password_hash)
        .get_result::<String>(c))
    .optional()
}

/// Sets the hash of a user's password.
///
/// # Errors
/// Those of the database.
pub async fn put(conn: &mut DbConn, user: UserId, hash: &str, now: Timestamp) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(dsl::auth_credentials)
        .values((
            dsl::user_id.eq(DbUuid::of(user)),
            dsl::password_hash.eq(hash),
            dsl::created_at.eq(DbTimestamp(now)),
            dsl::changed_at.eq(DbTimestamp(now)),
        ))
        .on_conflict(dsl::user_id)
        .do_update()
        .set((
            dsl::password_hash.eq(excluded(dsl::password_hash)),
            dsl::changed_at.eq(excluded(dsl::changed_at)),
        ))
        .execute(c))?;
    Ok(())
}

/// Replaces a hash by one of the same password; answers whether it was still `old`.
///
/// With the same hash twice it only compares, and holds the row until the transaction ends: a change
/// of the password waits for it.
///
/// # Errors
/// Those of the database.
pub async fn renew(conn: &mut DbConn, user: UserId, old: &str, new: &str) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(
        dsl::auth_credentials
            .filter(dsl::user_id.eq(DbUuid::of(user)))
            .filter(dsl::password_hash.eq(old))
    )
    .set(dsl::password_hash.eq(new))
    .execute(c))?;
    Ok(changed > 0)
}

/// Removes a user's password.
///
/// # Errors
/// Those of the database.
pub async fn remove(conn: &mut DbConn, user: UserId) -> DbResult<()> {
    run!(conn, |c| diesel::delete(dsl::auth_credentials.find(DbUuid::of(user))).execute(c))?;
    Ok(())
}

/// Whether anybody has a password.
///
/// # Errors
/// Those of the database.
pub async fn any(conn: &mut DbConn) -> DbResult<bool> {
    let first =
        run!(conn, |c| dsl::auth_credentials.select(dsl::user_id).limit(1).get_result::<DbUuid>(c))
            .optional()?;
    Ok(first.is_some())
}
