//! Signing keys, their private halves sealed.

use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;

use super::schema::auth_signing_keys::{self, dsl};
use crate::keys::Lifetime;

/// A signing key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = auth_signing_keys, treat_none_as_default_value = false)]
pub struct SigningKeyRow {
    /// Id of the key: the thumbprint of its public half.
    pub id: String,
    /// The sealed seed.
    pub sealed_key: Vec<u8>,
    /// When it was made and published.
    pub created_at: DbTimestamp,
    /// Signs from here on.
    pub activates_at: DbTimestamp,
    /// Signs no more from here on.
    pub retires_at: DbTimestamp,
    /// Verifies no more from here on.
    pub ends_at: DbTimestamp,
}

impl SigningKeyRow {
    /// When the key does what.
    #[must_use]
    pub fn lifetime(&self) -> Lifetime {
        Lifetime {
            activates_at: self.activates_at.0,
            retires_at: self.retires_at.0,
            ends_at: self.ends_at.0,
        }
    }
}

/// All keys that verify at `now`, also those that do not sign yet.
///
/// # Errors
/// Those of the database.
pub async fn live(conn: &mut DbConn, now: Timestamp) -> DbResult<Vec<SigningKeyRow>> {
    run!(conn, |c| dsl::auth_signing_keys
        .filter(dsl::ends_at.gt(DbTimestamp(now)))
        .order(dsl::activates_at.asc())
        .select(SigningKeyRow::as_select())
        .get_results::<SigningKeyRow>(c))
}

/// Adds a key.
///
/// # Errors
/// Those of the database.
pub async fn insert(conn: &mut DbConn, row: &SigningKeyRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(dsl::auth_signing_keys).values(row).execute(c))?;
    Ok(())
}

/// Deletes keys that verify no more; answers how many.
///
/// # Errors
/// Those of the database.
pub async fn sweep(conn: &mut DbConn, now: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(dsl::auth_signing_keys.filter(dsl::ends_at.le(DbTimestamp(now))))
        .execute(c))
}
