//! Roles that come with memberships, as identity reports them.

use diesel::upsert::excluded;
use troupe_database::prelude::*;

use troupe_kernel::clock::Timestamp;
use uuid::Uuid;

use crate::schema::authz_memberships;

/// A reported membership.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = authz_memberships, treat_none_as_default_value = false)]
pub struct MembershipRow {
    /// The member.
    pub subject: DbUuid,
    /// The tenant.
    pub tenant: DbUuid,
    /// Key of the role; none for one who left.
    pub role: Option<String>,
    /// When it changed.
    pub changed_at: DbTimestamp,
}

/// Keeps a report unless a later one is known; answers whether it was kept.
///
/// # Errors
/// As the database says.
pub async fn set(conn: &mut DbConn, row: &MembershipRow) -> DbResult<bool> {
    use diesel::query_dsl::methods::FilterDsl as _;
    let changed = run!(conn, |c| diesel::insert_into(authz_memberships::table)
        .values(row.clone())
        .on_conflict((authz_memberships::subject, authz_memberships::tenant))
        .do_update()
        .set((
            authz_memberships::role.eq(excluded(authz_memberships::role)),
            authz_memberships::changed_at.eq(excluded(authz_memberships::changed_at)),
        ))
        .filter(authz_memberships::changed_at.lt(excluded(authz_memberships::changed_at)))
        .execute(c))?;
    Ok(changed > 0)
}

/// The roles of `subjects` in `tenants`; a superset of the pairs asked for.
///
/// # Errors
/// As the database says.
pub async fn load(
    conn: &mut DbConn,
    subjects: &[DbUuid],
    tenants: &[DbUuid],
) -> DbResult<Vec<MembershipRow>> {
    if tenants.is_empty() {
        return Ok(Vec::new());
    }
    run!(conn, |c| authz_memberships::table
        .filter(authz_memberships::subject.eq_any(subjects.to_vec()))
        .filter(authz_memberships::tenant.eq_any(tenants.to_vec()))
        .filter(authz_memberships::role.is_not_null())
        .select(MembershipRow::as_select())
        .load(c))
}

/// Marks a subject as gone from every tenant.
///
/// # Errors
/// As the database says.
pub async fn clear_of(conn: &mut DbConn, subject: Uuid, at: Timestamp) -> DbResult<usize> {
    run!(conn, |c| diesel::update(
        authz_memberships::table.filter(authz_memberships::subject.eq(DbUuid(subject)))
    )
    .set((
        authz_memberships::role.eq(None::<String>),
        authz_memberships::changed_at.eq(DbTimestamp(at)),
    ))
    .execute(c))
}
