//! Roles that were granted.

use troupe_authz_messages::{Binding, BindingId};
use troupe_database::prelude::*;

use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::TenantId;
use uuid::Uuid;

use crate::schema::authz_bindings;

/// A stored binding.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = authz_bindings, treat_none_as_default_value = false)]
pub struct BindingRow {
    /// Id.
    pub id: DbUuid,
    /// Who has the role.
    pub subject: DbUuid,
    /// Tenant; none on the whole platform.
    pub tenant: Option<DbUuid>,
    /// Key of the role.
    pub role: String,
    /// Condition.
    pub condition: Option<String>,
    /// Who granted it.
    pub granted_by: Option<DbUuid>,
    /// When it was granted.
    pub granted_at: DbTimestamp,
    /// When it ends.
    pub expires_at: Option<DbTimestamp>,
}

impl From<BindingRow> for Binding {
    fn from(row: BindingRow) -> Self {
        Self {
            id: row.id.to(),
            subject: row.subject.into(),
            tenant: row.tenant.map(DbUuid::to),
            role: row.role,
            condition: row.condition,
            granted_by: row.granted_by.map(Into::into),
            granted_at: row.granted_at.into(),
            expires_at: row.expires_at.map(Into::into),
        }
    }
}

/// Which bindings a list shows.
#[derive(Debug, Clone, Default)]
pub struct BindingFilter {
    /// The tenant; none lists the platform-wide ones.
    pub tenant: Option<TenantId>,
    /// Only those of this subject.
    pub subject: Option<Uuid>,
    /// Only those of this role.
    pub role: Option<String>,
    /// Only those after this one.
    pub after: Option<BindingId>,
    /// At most so many.
    pub limit: i64,
}

/// Adds a binding.
///
/// # Errors
/// A violation of `authz_bindings_grant_key` when the subject has the role there already.
pub async fn insert(conn: &mut DbConn, row: &BindingRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(authz_bindings::table).values(row.clone()).execute(c))?;
    Ok(())
}

/// One binding.
///
/// # Errors
/// As the database says.
pub async fn find(conn: &mut DbConn, id: BindingId) -> DbResult<Option<BindingRow>> {
    run!(conn, |c| authz_bindings::table
        .find(DbUuid::of(id))
        .select(BindingRow::as_select())
        .get_result(c))
    .optional()
}

/// Removes a binding; false when it was gone.
///
/// # Errors
/// As the database says.
pub async fn delete(conn: &mut DbConn, id: DbUuid) -> DbResult<bool> {
    let removed = run!(conn, |c| diesel::delete(authz_bindings::table.find(id)).execute(c))?;
    Ok(removed > 0)
}

/// Removes every binding of a subject and answers them.
///
/// # Errors
/// As the database says.
pub async fn delete_of(conn: &mut DbConn, subject: Uuid) -> DbResult<Vec<BindingRow>> {
    run!(conn, |c| diesel::delete(
        authz_bindings::table.filter(authz_bindings::subject.eq(DbUuid(subject)))
    )
    .returning(BindingRow::as_returning())
    .get_results(c))
}

/// Removes every binding of a subject in one tenant and answers them.
///
/// # Errors
/// As the database says.
pub async fn delete_in(
    conn: &mut DbConn,
    subject: Uuid,
    tenant: TenantId,
) -> DbResult<Vec<BindingRow>> {
    run!(conn, |c| diesel::delete(
        authz_bindings::table
            .filter(authz_bindings::subject.eq(DbUuid(subject)))
            .filter(authz_bindings::tenant.eq(DbUuid::of(tenant)))
    )
    .returning(BindingRow::as_returning())
    .get_results(c))
}

/// A page of bindings in the order in which they were granted.
///
/// # Errors
/// As the database says.
pub async fn list(conn: &mut DbConn, filter: &BindingFilter) -> DbResult<Vec<BindingRow>> {
    run!(conn, |c| {
        let mut query = authz_bindings::table
            .select(BindingRow::as_select())
            .order(authz_bindings::id.asc())
            .limit(filter.limit)
            .into_boxed();
        query = match filter.tenant {
            Some(tenant) => query.filter(authz_bindings::tenant.eq(DbUuid::of(tenant))),
            None => query.filter(authz_bindings::tenant.is_null()),
        };
        if let Some(subject) = filter.subject {
            query = query.filter(authz_bindings::subject.eq(DbUuid(subject)));
        }
        if let Some(role) = &filter.role {
            query = query.filter(authz_bindings::role.eq(role.clone()));
        }
        if let Some(after) = filter.after {
            query = query.filter(authz_bindings::id.gt(DbUuid::of(after)));
        }
        query.load(c)
    })
}

/// Everything that counts for one of `subjects` on the platform or in one of `tenants`; a superset of
/// the pairs asked for.
///
/// # Errors
/// As the database says.
pub async fn load(
    conn: &mut DbConn,
    subjects: &[DbUuid],
    tenants: &[DbUuid],
) -> DbResult<Vec<BindingRow>> {
    run!(conn, |c| authz_bindings::table
        .filter(authz_bindings::subject.eq_any(subjects.to_vec()))
        .filter(
            authz_bindings::tenant.is_null().or(authz_bindings::tenant.eq_any(tenants.to_vec()))
        )
        .order(authz_bindings::id.asc())
        .select(BindingRow::as_select())
        .load(c))
}

/// How many bindings a subject has, everywhere.
///
/// # Errors
/// As the database says.
pub async fn count_of(conn: &mut DbConn, subject: Uuid) -> DbResult<i64> {
    run!(conn, |c| authz_bindings::table
        .filter(authz_bindings::subject.eq(DbUuid(subject)))
        .count()
        .get_result(c))
}

/// How many platform-wide bindings of a role have neither a condition nor an end.
///
/// # Errors
/// As the database says.
pub async fn count_lasting(conn: &mut DbConn, role: &str) -> DbResult<i64> {
    run!(conn, |c| authz_bindings::table
        .filter(authz_bindings::role.eq(role))
        .filter(authz_bindings::tenant.is_null())
        .filter(authz_bindings::condition.is_null())
        .filter(authz_bindings::expires_at.is_null())
        .count()
        .get_result(c))
}

/// Removes bindings that have ended at `now`, at most `limit`, and answers them.
///
/// # Errors
/// As the database says.
pub async fn sweep(conn: &mut DbConn, now: Timestamp, limit: i64) -> DbResult<Vec<BindingRow>> {
    let ids: Vec<DbUuid> = run!(conn, |c| authz_bindings::table
        .filter(authz_bindings::expires_at.le(DbTimestamp(now)))
        .order(authz_bindings::expires_at.asc())
        .limit(limit)
        .select(authz_bindings::id)
        .load(c))?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // Another node may sweep the same rows: only what this statement removes is answered.
    run!(conn, |c| diesel::delete(
        authz_bindings::table.filter(authz_bindings::id.eq_any(ids.clone()))
    )
    .returning(BindingRow::as_returning())
    .get_results(c))
}

/// When the next binding ends.
///
/// # Errors
/// As the database says.
pub async fn next_end(conn: &mut DbConn) -> DbResult<Option<Timestamp>> {
    let next: Option<Option<DbTimestamp>> = run!(conn, |c| authz_bindings::table
        .filter(authz_bindings::expires_at.is_not_null())
        .order(authz_bindings::expires_at.asc())
        .limit(1)
        .select(authz_bindings::expires_at)
        .get_result(c))
    .optional()?;
    Ok(next.flatten().map(Into::into))
}
