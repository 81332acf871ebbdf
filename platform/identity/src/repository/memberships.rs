//! Rows of memberships: which user belongs to which organisation, with which role.

use troupe_database::prelude::*;
use troupe_identity_messages::{Membership, ROLE_OWNER, UserStatus};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{TenantId, UserId};
use troupe_kernel::{Failure, Uuid};

use super::organisations::{OrganisationRow, status_of};
use super::schema::identity_memberships::{self, dsl};
use super::schema::{identity_organisations, identity_users};
use super::users::UserRow;

/// The unique index on user and organisation.
pub const MEMBER_KEY: &str = "identity_memberships_organisation_id_user_id_key";

/// One membership as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = identity_memberships, treat_none_as_default_value = false)]
pub struct MembershipRow {
    /// Id of the membership; rises with the time of joining.
    pub id: DbUuid,
    /// The organisation.
    pub organisation_id: DbUuid,
    /// The member.
    pub user_id: DbUuid,
    /// Key of the role.
    pub role: String,
    /// Rises with every change.
    pub version: i64,
    /// When the user joined.
    pub created_at: DbTimestamp,
    /// When it was last changed.
    pub updated_at: DbTimestamp,
}

impl MembershipRow {
    /// Whether the member is an owner.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.role == ROLE_OWNER
    }

    /// Marks a change: the version rises.
    pub fn touch(&mut self, now: Timestamp) {
        self.version += 1;
        self.updated_at = now.into();
    }
}

/// A membership with its organisation.
pub type Belonging = (MembershipRow, OrganisationRow);

/// The membership as other services see it.
///
/// # Errors
/// When the row holds a status this program does not know.
pub fn into_membership((membership, organisation): Belonging) -> Result<Membership, Failure> {
    Ok(Membership {
        user: membership.user_id.to(),
        organisation: organisation.id.to(),
        status: status_of(&organisation.status)?,
        slug: organisation.slug,
        name: organisation.name,
        role: membership.role,
        joined_at: membership.created_at.into(),
    })
}

/// Adds a member.
///
/// # Errors
/// [`MEMBER_KEY`] when the user is a member; as the database says.
pub async fn insert(conn: &mut DbConn, row: &MembershipRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(identity_memberships::table)
        .values(row.clone())
        .execute(c))?;
    Ok(())
}

/// The membership of a user in an organisation.
///
/// # Errors
/// As the database says.
pub async fn find(
    conn: &mut DbConn,
    organisation: TenantId,
    user: UserId,
) -> DbResult<Option<MembershipRow>> {
    run!(conn, |c| dsl::identity_memberships
        .filter(dsl::organisation_id.eq(DbUuid::of(organisation)))
        .filter(dsl::user_id.eq(DbUuid::of(user)))
        .select(MembershipRow::as_select())
        .get_result(c))
    .optional()
}

/// The same with the organisation.
///
/// # Errors
/// As the database says.
pub async fn find_belonging(
    conn: &mut DbConn,
    organisation: TenantId,
    user: UserId,
) -> DbResult<Option<Belonging>> {
    run!(conn, |c| dsl::identity_memberships
        .inner_join(identity_organisations::table)
        .filter(dsl::organisation_id.eq(DbUuid::of(organisation)))
        .filter(dsl::user_id.eq(DbUuid::of(user)))
        .select((MembershipRow::as_select(), OrganisationRow::as_select()))
        .get_result(c))
    .optional()
}

/// The organisations of a user, oldest membership first.
///
/// # Errors
/// As the database says.
pub async fn of_user(conn: &mut DbConn, user: UserId, rows: i64) -> DbResult<Vec<Belonging>> {
    run!(conn, |c| dsl::identity_memberships
        .inner_join(identity_organisations::table)
        .filter(dsl::user_id.eq(DbUuid::of(user)))
        .order(dsl::id.asc())
        .limit(rows)
        .select((MembershipRow::as_select(), OrganisationRow::as_select()))
        .load(c))
}

/// How many organisations a user belongs to.
///
/// # Errors
/// As the database says.
pub async fn count_of_user(conn: &mut DbConn, user: UserId) -> DbResult<i64> {
    run!(conn, |c| dsl::identity_memberships
        .filter(dsl::user_id.eq(DbUuid::of(user)))
        .count()
        .get_result(c))
}

/// Members of an organisation after a position, in order of joining.
///
/// # Errors
/// As the database says.
pub async fn of_organisation(
    conn: &mut DbConn,
    organisation: TenantId,
    after: Uuid,
    rows: i64,
) -> DbResult<Vec<(MembershipRow, UserRow)>> {
    run!(conn, |c| dsl::identity_memberships
        .inner_join(identity_users::table)
        .filter(dsl::organisation_id.eq(DbUuid::of(organisation)))
        .filter(dsl::id.gt(DbUuid(after)))
        .order(dsl::id.asc())
        .limit(rows)
        .select((MembershipRow::as_select(), UserRow::as_select()))
        .load(c))
}

/// Members with one of these roles whose accounts may be used, oldest membership first.
///
/// # Errors
/// As the database says.
pub async fn active_with(
    conn: &mut DbConn,
    organisation: TenantId,
    roles: Vec<String>,
    rows: i64,
) -> DbResult<Vec<UserRow>> {
    run!(conn, |c| identity_memberships::table
        .inner_join(identity_users::table)
        .filter(dsl::organisation_id.eq(DbUuid::of(organisation)))
        .filter(one_of(dsl::role, roles))
        .filter(identity_users::status.eq(UserStatus::Active.as_str()))
        .order(dsl::id.asc())
        .limit(rows)
        .select(UserRow::as_select())
        .load(c))
}

/// How many owners the organisation has besides this user who can act: active, and not about to be
/// deleted.
///
/// # Errors
/// As the database says.
pub async fn count_other_owners(
    conn: &mut DbConn,
    organisation: TenantId,
    user: UserId,
) -> DbResult<i64> {
    run!(conn, |c| dsl::identity_memberships
        .inner_join(identity_users::table)
        .filter(dsl::organisation_id.eq(DbUuid::of(organisation)))
        .filter(dsl::role.eq(ROLE_OWNER))
        .filter(dsl::user_id.ne(DbUuid::of(user)))
        .filter(identity_users::status.eq(UserStatus::Active.as_str()))
        .filter(identity_users::deletion_due_at.is_null())
        .count()
        .get_result(c))
}

/// Writes the row when the stored one still has the version it was read with; answers whether.
///
/// # Errors
/// As the database says.
pub async fn save(conn: &mut DbConn, row: &MembershipRow, read_version: i64) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(dsl::identity_memberships.find(row.id))
        .filter(dsl::version.eq(read_version))
        .set(row.clone())
        .execute(c))?;
    Ok(changed == 1)
}

/// Removes a membership; answers whether it was there.
///
/// # Errors
/// As the database says.
pub async fn delete(conn: &mut DbConn, id: DbUuid) -> DbResult<bool> {
    let gone = run!(conn, |c| diesel::delete(dsl::identity_memberships.find(id)).execute(c))?;
    Ok(gone == 1)
}
