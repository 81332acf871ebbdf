//! Roles that tenants made for themselves.

use troupe_authz_messages::Role;
use troupe_database::prelude::*;

use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::TenantId;

use crate::schema::{authz_bindings, authz_memberships, authz_roles};

/// A stored role.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = authz_roles, treat_none_as_default_value = false)]
pub struct RoleRow {
    /// Id.
    pub id: DbUuid,
    /// Tenant.
    pub tenant: DbUuid,
    /// Key.
    pub key: String,
    /// Name to show.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Keys of its permissions.
    pub permissions: TextList,
    /// Version.
    pub version: i64,
    /// When it was made.
    pub created_at: DbTimestamp,
    /// When it was last changed.
    pub updated_at: DbTimestamp,
}

impl From<RoleRow> for Role {
    fn from(row: RoleRow) -> Self {
        Self {
            key: row.key,
            title: row.title,
            description: row.description,
            permissions: row.permissions.into(),
            builtin: false,
            platform: false,
            tenant: Some(row.tenant.to()),
            version: row.version,
            updated_at: Some(row.updated_at.into()),
        }
    }
}

/// What a change writes.
#[derive(Debug, Clone)]
pub struct RoleChange {
    /// The version it replaces.
    pub version: i64,
    /// Name to show.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Keys of its permissions.
    pub permissions: Vec<String>,
    /// When.
    pub at: Timestamp,
}

/// One role of a tenant.
///
/// # Errors
/// As the database says.
pub async fn find(conn: &mut DbConn, tenant: TenantId, key: &str) -> DbResult<Option<RoleRow>> {
    run!(conn, |c| authz_roles::table
        .filter(authz_roles::tenant.eq(DbUuid::of(tenant)))
        .filter(authz_roles::key.eq(key))
        .select(RoleRow::as_select())
        .get_result(c))
    .optional()
}

/// The roles of a tenant, by key, at most `limit`.
///
/// # Errors
/// As the database says.
pub async fn list(conn: &mut DbConn, tenant: TenantId, limit: i64) -> DbResult<Vec<RoleRow>> {
    run!(conn, |c| authz_roles::table
        .filter(authz_roles::tenant.eq(DbUuid::of(tenant)))
        .order(authz_roles::key.asc())
        .limit(limit)
        .select(RoleRow::as_select())
        .load(c))
}

/// The roles with one of `keys` in one of `tenants`; a superset of the pairs asked for.
///
/// # Errors
/// As the database says.
pub async fn load(
    conn: &mut DbConn,
    tenants: &[DbUuid],
    keys: &[String],
) -> DbResult<Vec<RoleRow>> {
    if tenants.is_empty() || keys.is_empty() {
        return Ok(Vec::new());
    }
    run!(conn, |c| authz_roles::table
        .filter(authz_roles::tenant.eq_any(tenants.to_vec()))
        .filter(authz_roles::key.eq_any(keys.to_vec()))
        .select(RoleRow::as_select())
        .load(c))
}

/// How many roles a tenant has.
///
/// # Errors
/// As the database says.
pub async fn count(conn: &mut DbConn, tenant: TenantId) -> DbResult<i64> {
    run!(conn, |c| authz_roles::table
        .filter(authz_roles::tenant.eq(DbUuid::of(tenant)))
        .count()
        .get_result(c))
}

/// Adds a role.
///
/// # Errors
/// A violation of `authz_roles_tenant_key_key` when the tenant has one of this key.
pub async fn insert(conn: &mut DbConn, row: &RoleRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(authz_roles::table).values(row.clone()).execute(c))?;
    Ok(())
}

/// Changes a role if its version is still the one the change is based on.
///
/// # Errors
/// As the database says; `None` when the version is another.
pub async fn update(
    conn: &mut DbConn,
    tenant: TenantId,
    key: &str,
    change: RoleChange,
) -> DbResult<Option<RoleRow>> {
    let changes = (
        authz_roles::title.eq(change.title),
        authz_roles::description.eq(change.description),
        authz_roles::permissions.eq(TextList(change.permissions)),
        authz_roles::version.eq(change.version + 1),
        authz_roles::updated_at.eq(DbTimestamp(change.at)),
    );
    run!(conn, |c| diesel::update(
        authz_roles::table
            .filter(authz_roles::tenant.eq(DbUuid::of(tenant)))
            .filter(authz_roles::key.eq(key))
            .filter(authz_roles::version.eq(change.version))
    )
    .set(changes)
    .returning(RoleRow::as_returning())
    .get_result(c))
    .optional()
}

/// Removes a role.
///
/// # Errors
/// As the database says.
pub async fn delete(conn: &mut DbConn, id: DbUuid) -> DbResult<()> {
    run!(conn, |c| diesel::delete(authz_roles::table.find(id)).execute(c))?;
    Ok(())
}

/// How many bindings and memberships have a role of a tenant.
///
/// # Errors
/// As the database says.
pub async fn uses(conn: &mut DbConn, tenant: TenantId, key: &str) -> DbResult<i64> {
    let bindings: i64 = run!(conn, |c| authz_bindings::table
        .filter(authz_bindings::role.eq(key))
        .filter(authz_bindings::tenant.eq(DbUuid::of(tenant)))
        .count()
        .get_result(c))?;
    let memberships: i64 = run!(conn, |c| authz_memberships::table
        .filter(authz_memberships::tenant.eq(DbUuid::of(tenant)))
        .filter(authz_memberships::role.eq(key))
        .count()
        .get_result(c))?;
    Ok(bindings + memberships)
}
