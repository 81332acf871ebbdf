//! API keys; the secret only as its digest.

use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{TenantId, UserId};

use super::schema::auth_api_keys::{self, dsl};
use crate::messages::{ApiKey, ApiKeyId};

/// An API key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = auth_api_keys, treat_none_as_default_value = false)]
pub struct ApiKeyRow {
    /// Which key.
    pub id: DbUuid,
    /// The organisation it works in.
    pub tenant_id: DbUuid,
    /// The public prefix.
    pub prefix: String,
    /// Digest of the secret.
    pub secret_hash: Vec<u8>,
    /// Name to show.
    pub name: String,
    /// The most it may do.
    pub permissions: TextList,
    /// Who made it.
    pub created_by: DbUuid,
    /// When it was made.
    pub created_at: DbTimestamp,
    /// When it ends; none for never.
    pub expires_at: Option<DbTimestamp>,
    /// When it was used last.
    pub last_used_at: Option<DbTimestamp>,
    /// When it was revoked.
    pub revoked_at: Option<DbTimestamp>,
}

impl ApiKeyRow {
    /// Whether it is good at `now`.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|ends| ends.0 > now)
    }

    /// Which key.
    #[must_use]
    pub fn id(&self) -> ApiKeyId {
        self.id.to()
    }
}

impl From<ApiKeyRow> for ApiKey {
    fn from(row: ApiKeyRow) -> Self {
        Self {
            id: row.id.to(),
            organisation: row.tenant_id.to(),
            name: row.name,
            prefix: format!("{}{}", crate::api_key::MARK, row.prefix),
            permissions: row.permissions.0,
            created_by: row.created_by.to(),
            created_at: row.created_at.0,
            expires_at: row.expires_at.map(|at| at.0),
            last_used_at: row.last_used_at.map(|at| at.0),
        }
    }
}

/// Adds a key.
///
/// # Errors
/// Those of the database.
pub async fn insert(conn: &mut DbConn, row: &ApiKeyRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(dsl::auth_api_keys).values(row).execute(c))?;
    Ok(())
}

/// One key that is not revoked.
///
/// # Errors
/// Those of the database.
pub async fn find(
    conn: &mut DbConn,
    tenant: TenantId,
    id: ApiKeyId,
) -> DbResult<Option<ApiKeyRow>> {
    run!(conn, |c| dsl::auth_api_keys
        .filter(dsl::id.eq(DbUuid::of(id)))
        .filter(dsl::tenant_id.eq(DbUuid::of(tenant)))
        .filter(dsl::revoked_at.is_null())
        .select(ApiKeyRow::as_select())
        .get_result::<ApiKeyRow>(c))
    .optional()
}

/// The keys with these prefixes, good or not, in any order.
///
/// # Errors
/// Those of the database.
pub async fn find_by_prefix(conn: &mut DbConn, prefixes: &[String]) -> DbResult<Vec<ApiKeyRow>> {
    run!(conn, |c| dsl::auth_api_keys
        .filter(dsl::prefix.eq_any(prefixes.to_vec()))
        .select(ApiKeyRow::as_select())
        .get_results::<ApiKeyRow>(c))
}

/// A page of an organisation's keys, newest first, and one row more if there is one.
///
/// # Errors
/// Those of the database.
pub async fn page(
    conn: &mut DbConn,
    tenant: TenantId,
    after: Option<ApiKeyId>,
    rows: i64,
) -> DbResult<Vec<ApiKeyRow>> {
    let after = after.map(|id| (DbUuid::of(tenant), DbUuid::of(id)));
    run!(conn, |c| dsl::auth_api_keys
        .filter(dsl::tenant_id.eq(DbUuid::of(tenant)))
        .filter(dsl::revoked_at.is_null())
        .filter(keyset((dsl::tenant_id, dsl::id), after, Direction::Descending))
        .order(dsl::id.desc())
        .limit(rows)
        .select(ApiKeyRow::as_select())
        .get_results::<ApiKeyRow>(c))
}

/// How many keys an organisation has.
///
/// # Errors
/// Those of the database.
pub async fn count(conn: &mut DbConn, tenant: TenantId) -> DbResult<i64> {
    run!(conn, |c| dsl::auth_api_keys
        .filter(dsl::tenant_id.eq(DbUuid::of(tenant)))
        .filter(dsl::revoked_at.is_null())
        .count()
        .get_result::<i64>(c))
}

/// Changes the name of a key; answers it, or none when there is none.
///
/// # Errors
/// Those of the database.
pub async fn rename(
    conn: &mut DbConn,
    tenant: TenantId,
    id: ApiKeyId,
    name: &str,
) -> DbResult<Option<ApiKeyRow>> {
    run!(conn, |c| diesel::update(
        dsl::auth_api_keys
            .filter(dsl::id.eq(DbUuid::of(id)))
            .filter(dsl::tenant_id.eq(DbUuid::of(tenant)))
            .filter(dsl::revoked_at.is_null())
    )
    .set(dsl::name.eq(name))
    .returning(ApiKeyRow::as_returning())
    .get_result::<ApiKeyRow>(c))
    .optional()
}

/// Revokes one key; answers whether it was good until now.
///
/// # Errors
/// Those of the database.
pub async fn revoke(
    conn: &mut DbConn,
    tenant: TenantId,
    id: ApiKeyId,
    now: Timestamp,
) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(
        dsl::auth_api_keys
            .filter(dsl::id.eq(DbUuid::of(id)))
            .filter(dsl::tenant_id.eq(DbUuid::of(tenant)))
            .filter(dsl::revoked_at.is_null())
    )
    .set(dsl::revoked_at.eq(DbTimestamp(now)))
    .execute(c))?;
    Ok(changed == 1)
}

/// Whether an organisation has or had a key.
///
/// # Errors
/// Those of the database.
pub async fn is_known(conn: &mut DbConn, tenant: TenantId, id: ApiKeyId) -> DbResult<bool> {
    let found = run!(conn, |c| dsl::auth_api_keys
        .filter(dsl::id.eq(DbUuid::of(id)))
        .filter(dsl::tenant_id.eq(DbUuid::of(tenant)))
        .select(dsl::id)
        .get_result::<DbUuid>(c))
    .optional()?;
    Ok(found.is_some())
}

/// The keys of an organisation that were revoked since a time.
///
/// # Errors
/// Those of the database.
pub async fn revoked_since(
    conn: &mut DbConn,
    tenant: TenantId,
    since: Timestamp,
) -> DbResult<Vec<ApiKeyId>> {
    let ids = run!(conn, |c| dsl::auth_api_keys
        .filter(dsl::tenant_id.eq(DbUuid::of(tenant)))
        .filter(dsl::revoked_at.ge(DbTimestamp(since)).assume_not_null())
        .select(dsl::id)
        .get_results::<DbUuid>(c))?;
    Ok(ids.into_iter().map(DbUuid::to).collect())
}

/// Revokes the keys of a user, of an organisation, or of a user in an organisation; answers which.
///
/// # Errors
/// Those of the database.
pub async fn revoke_all(
    conn: &mut DbConn,
    user: Option<UserId>,
    tenant: Option<TenantId>,
    now: Timestamp,
) -> DbResult<Vec<ApiKeyId>> {
    let ids = run!(conn, |c| {
        let mut good =
            dsl::auth_api_keys.filter(dsl::revoked_at.is_null()).select(dsl::id).into_boxed();
        if let Some(user) = user {
            good = good.filter(dsl::created_by.eq(DbUuid::of(user)));
        }
        if let Some(tenant) = tenant {
            good = good.filter(dsl::tenant_id.eq(DbUuid::of(tenant)));
        }
        diesel::update(dsl::auth_api_keys.filter(dsl::id.eq_any(good)))
            .set(dsl::revoked_at.eq(DbTimestamp(now)))
            .returning(dsl::id)
            .get_results::<DbUuid>(c)
    })?;
    Ok(ids.into_iter().map(DbUuid::to).collect())
}

/// Notes that keys were used.
///
/// # Errors
/// Those of the database.
pub async fn used(conn: &mut DbConn, ids: &[ApiKeyId], now: Timestamp) -> DbResult<()> {
    let ids: Vec<DbUuid> = ids.iter().copied().map(DbUuid::of).collect();
    run!(conn, |c| diesel::update(dsl::auth_api_keys.filter(dsl::id.eq_any(ids)))
        .set(dsl::last_used_at.eq(DbTimestamp(now)))
        .execute(c))?;
    Ok(())
}

/// Deletes keys that were revoked or passed their time before `before`; answers how many.
///
/// # Errors
/// Those of the database.
pub async fn sweep(conn: &mut DbConn, before: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(
        dsl::auth_api_keys.filter(
            dsl::revoked_at
                .lt(DbTimestamp(before))
                .assume_not_null()
                .or(dsl::expires_at.lt(DbTimestamp(before)).assume_not_null())
        )
    )
    .execute(c))
}
