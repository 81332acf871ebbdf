//! Secrets of authenticator apps by user, sealed.

use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::UserId;

use super::schema::auth_totp::{self, dsl};

/// The secret of a user's app as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = auth_totp, treat_none_as_default_value = false)]
pub struct TotpRow {
    /// Whose app.
    pub user_id: DbUuid,
    /// The secret, sealed.
    pub sealed_secret: Vec<u8>,
    /// Time step of the code accepted last; 0 before the first.
    pub last_step: i64,
    /// When the secret was made.
    pub created_at: DbTimestamp,
    /// When a code confirmed it; none counts for nothing.
    pub confirmed_at: Option<DbTimestamp>,
}

/// A user's app, confirmed or not.
///
/// # Errors
/// Those of the database.
pub async fn find(conn: &mut DbConn, user: UserId) -> DbResult<Option<TotpRow>> {
    run!(conn, |c| dsl::auth_totp
        .find(DbUuid::of(user))
        .select(TotpRow::as_select())
        .get_result::<TotpRow>(c))
    .optional()
}

/// A user's app if it is confirmed.
///
/// # Errors
/// Those of the database.
pub async fn find_confirmed(conn: &mut DbConn, user: UserId) -> DbResult<Option<TotpRow>> {
    Ok(find(conn, user).await?.filter(|row| row.confirmed_at.is_some()))
}

/// Keeps a new secret in place of one that was not confirmed; answers whether it could: a confirmed
/// one stays.
///
/// # Errors
/// Those of the database.
pub async fn begin(conn: &mut DbConn, row: &TotpRow) -> DbResult<bool> {
    run!(conn, |c| diesel::delete(
        dsl::auth_totp.filter(dsl::user_id.eq(row.user_id)).filter(dsl::confirmed_at.is_null())
    )
    .execute(c))?;
    let added = run!(conn, |c| diesel::insert_into(dsl::auth_totp)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(added == 1)
}

/// Confirms a secret with a code of this time step; answers whether it was still this one and not
/// confirmed.
///
/// # Errors
/// Those of the database.
pub async fn confirm(
    conn: &mut DbConn,
    row: &TotpRow,
    step: i64,
    now: Timestamp,
) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(
        dsl::auth_totp
            .filter(dsl::user_id.eq(row.user_id))
            .filter(dsl::sealed_secret.eq(&row.sealed_secret))
            .filter(dsl::confirmed_at.is_null())
    )
    .set((dsl::confirmed_at.eq(DbTimestamp(now)), dsl::last_step.eq(step)))
    .execute(c))?;
    Ok(changed == 1)
}

/// Accepts a code of this time step; answers whether no code of this or a later step was accepted
/// before. Of several attempts at once, one can.
///
/// # Errors
/// Those of the database.
pub async fn advance(conn: &mut DbConn, user: UserId, step: i64) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(
        dsl::auth_totp
            .filter(dsl::user_id.eq(DbUuid::of(user)))
            .filter(dsl::confirmed_at.is_not_null())
            .filter(dsl::last_step.lt(step))
    )
    .set(dsl::last_step.eq(step))
    .execute(c))?;
    Ok(changed == 1)
}

/// Removes a user's app; answers whether there was a confirmed one.
///
/// # Errors
/// Those of the database.
pub async fn remove(conn: &mut DbConn, user: UserId) -> DbResult<bool> {
    let confirmed = find_confirmed(conn, user).await?.is_some();
    run!(conn, |c| diesel::delete(dsl::auth_totp.find(DbUuid::of(user))).execute(c))?;
    Ok(confirmed)
}

/// Deletes secrets made before `before` that nobody confirmed; answers how many.
///
/// # Errors
/// Those of the database.
pub async fn sweep(conn: &mut DbConn, before: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(
        dsl::auth_totp
            .filter(dsl::confirmed_at.is_null())
            .filter(dsl::created_at.lt(DbTimestamp(before)))
    )
    .execute(c))
}
