//! Passkeys by user: public keys, no secrets.

use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::UserId;

use super::schema::auth_passkeys::{self, dsl};
use crate::messages::{Passkey, PasskeyId};
use crate::passkey::Proven;

/// A passkey as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = auth_passkeys, treat_none_as_default_value = false)]
pub struct PasskeyRow {
    /// Which passkey.
    pub id: DbUuid,
    /// Whose.
    pub user_id: DbUuid,
    /// How its authenticator calls it.
    pub credential_id: Vec<u8>,
    /// Its public key and properties, as JSON.
    pub credential: String,
    /// Signatures it had counted when it was used last; 0 where none are counted.
    pub counter: i64,
    /// Its name to show.
    pub name: String,
    /// When it was made.
    pub created_at: DbTimestamp,
    /// When it was used last.
    pub last_used_at: Option<DbTimestamp>,
    /// When it showed that there are two of it; it opens nothing since.
    pub copied_at: Option<DbTimestamp>,
}

impl PasskeyRow {
    /// Which passkey.
    #[must_use]
    pub fn id(&self) -> PasskeyId {
        self.id.to()
    }

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user_id.to()
    }
}

impl From<PasskeyRow> for Passkey {
    fn from(row: PasskeyRow) -> Self {
        Self {
            id: row.id(),
            name: row.name,
            created_at: row.created_at.0,
            last_used_at: row.last_used_at.map(|at| at.0),
            copied_at: row.copied_at.map(|at| at.0),
        }
    }
}

/// Adds a passkey; answers whether nobody had it before.
///
/// # Errors
/// Those of the database.
pub async fn insert(conn: &mut DbConn, row: &PasskeyRow) -> DbResult<bool> {
    let added = run!(conn, |c| diesel::insert_into(dsl::auth_passkeys)
        .values(row)
        .on_conflict(dsl::credential_id)
        .do_nothing()
        .execute(c))?;
    Ok(added == 1)
}

/// The passkey that its authenticator calls so.
///
/// # Errors
/// Those of the database.
pub async fn find(conn: &mut DbConn, credential_id: &[u8]) -> DbResult<Option<PasskeyRow>> {
    run!(conn, |c| dsl::auth_passkeys
        .filter(dsl::credential_id.eq(credential_id))
        .select(PasskeyRow::as_select())
        .get_result::<PasskeyRow>(c))
    .optional()
}

/// The passkeys of a user, the oldest first.
///
/// # Errors
/// Those of the database.
pub async fn of_user(conn: &mut DbConn, user: UserId) -> DbResult<Vec<PasskeyRow>> {
    run!(conn, |c| dsl::auth_passkeys
        .filter(dsl::user_id.eq(DbUuid::of(user)))
        .order((dsl::created_at.asc(), dsl::id.asc()))
        .select(PasskeyRow::as_select())
        .get_results::<PasskeyRow>(c))
}

/// How many passkeys a user has, those that open nothing included.
///
/// # Errors
/// Those of the database.
pub async fn count(conn: &mut DbConn, user: UserId) -> DbResult<i64> {
    run!(conn, |c| dsl::auth_passkeys
        .filter(dsl::user_id.eq(DbUuid::of(user)))
        .count()
        .get_result::<i64>(c))
}

/// Notes what a passkey has proven; answers whether it is still there, opens something, and counts
/// more signatures than before, if it counts any. Of several attempts with one signature, one can.
///
/// # Errors
/// Those of the database.
pub async fn advance(
    conn: &mut DbConn,
    id: PasskeyId,
    proven: &Proven,
    now: Timestamp,
) -> DbResult<bool> {
    let counter = i64::from(proven.counter);
    let changed = run!(conn, |c| diesel::update(
        dsl::auth_passkeys
            .filter(dsl::id.eq(DbUuid::of(id)))
            .filter(dsl::copied_at.is_null())
            .filter(dsl::counter.lt(counter).or(dsl::counter.eq(0_i64)))
    )
    .set((
        dsl::counter.eq(counter),
        dsl::credential.eq(&proven.credential),
        dsl::last_used_at.eq(DbTimestamp(now))
    ))
    .execute(c))?;
    Ok(changed == 1)
}

/// Bars a passkey that there are two of; answers whether it was not barred before.
///
/// # Errors
/// Those of the database.
pub async fn bar(conn: &mut DbConn, id: PasskeyId, now: Timestamp) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(
        dsl::auth_passkeys.filter(dsl::id.eq(DbUuid::of(id))).filter(dsl::copied_at.is_null())
    )
    .set(dsl::copied_at.eq(DbTimestamp(now)))
    .execute(c))?;
    Ok(changed == 1)
}

/// Gives a passkey of a user another name; answers it.
///
/// # Errors
/// Those of the database.
pub async fn rename(
    conn: &mut DbConn,
    user: UserId,
    id: PasskeyId,
    name: &str,
) -> DbResult<Option<PasskeyRow>> {
    run!(conn, |c| diesel::update(
        dsl::auth_passkeys
            .filter(dsl::id.eq(DbUuid::of(id)))
            .filter(dsl::user_id.eq(DbUuid::of(user)))
    )
    .set(dsl::name.eq(name))
    .execute(c))?;
    let own = of_user(conn, user).await?;
    Ok(own.into_iter().find(|row| row.id() == id))
}

/// Removes a passkey.
///
/// # Errors
/// Those of the database.
pub async fn remove(conn: &mut DbConn, id: PasskeyId) -> DbResult<bool> {
    let removed =
        run!(conn, |c| diesel::delete(dsl::auth_passkeys.find(DbUuid::of(id))).execute(c))?;
    Ok(removed == 1)
}

/// Removes the passkeys of a user; answers how many.
///
/// # Errors
/// Those of the database.
pub async fn erase(conn: &mut DbConn, user: UserId) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(dsl::auth_passkeys.filter(dsl::user_id.eq(DbUuid::of(user))))
        .execute(c))
}
