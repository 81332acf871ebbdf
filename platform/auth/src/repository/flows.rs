//! Sign-ins that are with an external provider now.

use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;

use super::schema::auth_flows::{self, dsl};

/// A sign-in that is with a provider.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = auth_flows, treat_none_as_default_value = false)]
pub struct FlowRow {
    /// Digest of the state.
    pub state_hash: Vec<u8>,
    /// Digest of what the browser keeps.
    pub browser_hash: Vec<u8>,
    /// Name of the provider.
    pub provider: String,
    /// Who links an identity; none for a login.
    pub link_user: Option<DbUuid>,
    /// The organisation that was asked for.
    pub tenant_id: Option<DbUuid>,
    /// When it began.
    pub created_at: DbTimestamp,
    /// When it is too late.
    pub expires_at: DbTimestamp,
    /// When the provider sent the browser back.
    pub used_at: Option<DbTimestamp>,
}

/// Adds a sign-in.
///
/// # Errors
/// Those of the database.
pub async fn insert(conn: &mut DbConn, row: &FlowRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(dsl::auth_flows).values(row).execute(c))?;
    Ok(())
}

/// The sign-in with this digest of its state, if it was not used and has not passed its time.
///
/// # Errors
/// Those of the database.
pub async fn find_usable(
    conn: &mut DbConn,
    hash: &[u8],
    now: Timestamp,
) -> DbResult<Option<FlowRow>> {
    run!(conn, |c| dsl::auth_flows
        .find(hash)
        .filter(dsl::used_at.is_null())
        .filter(dsl::expires_at.gt(DbTimestamp(now)))
        .select(FlowRow::as_select())
        .get_result::<FlowRow>(c))
    .optional()
}

/// Marks a sign-in as used; answers whether it could be. Of several attempts at once, one can.
///
/// # Errors
/// Those of the database.
pub async fn consume(conn: &mut DbConn, hash: &[u8], now: Timestamp) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(
        dsl::auth_flows
            .filter(dsl::state_hash.eq(hash))
            .filter(dsl::used_at.is_null())
            .filter(dsl::expires_at.gt(DbTimestamp(now)))
    )
    .set(dsl::used_at.eq(DbTimestamp(now)))
    .execute(c))?;
    Ok(changed == 1)
}

/// Deletes sign-ins that passed their time before `before`; answers how many.
///
/// # Errors
/// Those of the database.
pub async fn sweep(conn: &mut DbConn, before: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(dsl::auth_flows.filter(dsl::expires_at.lt(DbTimestamp(before))))
        .execute(c))
}
