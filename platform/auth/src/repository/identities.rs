//! Who users are at external providers.

use troupe_database::prelude::*;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::UserId;

use super::schema::auth_identities::{self, dsl};
use crate::messages::{ExternalIdentity, ExternalIdentityId};

/// An identity at a provider as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = auth_identities, treat_none_as_default_value = false)]
pub struct IdentityRow {
    /// Which identity.
    pub id: DbUuid,
    /// Whose.
    pub user_id: DbUuid,
    /// The provider's issuer.
    pub issuer: String,
    /// Who it is at the provider.
    pub subject: String,
    /// Name of the provider in the configuration.
    pub provider: String,
    /// The address the provider told, to show.
    pub email: Option<String>,
    /// When it was linked.
    pub created_at: DbTimestamp,
    /// When it was used last.
    pub last_used_at: Option<DbTimestamp>,
}

impl IdentityRow {
    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user_id.to()
    }
}

impl From<IdentityRow> for ExternalIdentity {
    fn from(row: IdentityRow) -> Self {
        Self {
            id: row.id.to(),
            provider: row.provider,
            email: row.email,
            created_at: row.created_at.0,
            last_used_at: row.last_used_at.map(|at| at.0),
        }
    }
}

/// Adds an identity; answers whether nobody had it before.
///
/// # Errors
/// Those of the database.
pub async fn insert(conn: &mut DbConn, row: &IdentityRow) -> DbResult<bool> {
    let added = run!(conn, |c| diesel::insert_into(dsl::auth_identities)
        .values(row)
        .on_conflict((dsl::issuer, dsl::subject))
        .do_nothing()
        .execute(c))?;
    Ok(added == 1)
}

/// The identity of somebody at a provider.
///
/// # Errors
/// Those of the database.
pub async fn find(conn: &mut DbConn, issuer: &str, subject: &str) -> DbResult<Option<IdentityRow>> {
    run!(conn, |c| dsl::auth_identities
        .filter(dsl::issuer.eq(issuer))
        .filter(dsl::subject.eq(subject))
        .select(IdentityRow::as_select())
        .get_result::<IdentityRow>(c))
    .optional()
}

/// The identities of a user, the oldest first.
///
/// # Errors
/// Those of the database.
pub async fn of_user(conn: &mut DbConn, user: UserId) -> DbResult<Vec<IdentityRow>> {
    run!(conn, |c| dsl::auth_identities
        .filter(dsl::user_id.eq(DbUuid::of(user)))
        .order(dsl::created_at.asc())
        .select(IdentityRow::as_select())
        .get_results::<IdentityRow>(c))
}

/// Notes that an identity was used, and the address that the provider tells now.
///
/// # Errors
/// Those of the database.
pub async fn used(
    conn: &mut DbConn,
    id: ExternalIdentityId,
    email: Option<&str>,
    now: Timestamp,
) -> DbResult<()> {
    run!(conn, |c| diesel::update(dsl::auth_identities.find(DbUuid::of(id)))
        .set((dsl::last_used_at.eq(DbTimestamp(now)), dsl::email.eq(email)))
        .execute(c))?;
    Ok(())
}

/// Removes an identity.
///
/// # Errors
/// Those of the database.
pub async fn remove(conn: &mut DbConn, id: ExternalIdentityId) -> DbResult<bool> {
    let removed =
        run!(conn, |c| diesel::delete(dsl::auth_identities.find(DbUuid::of(id))).execute(c))?;
    Ok(removed == 1)
}

/// Removes the identities of a user.
///
/// # Errors
/// Those of the database.
pub async fn erase(conn: &mut DbConn, user: UserId) -> DbResult<()> {
    run!(conn, |c| diesel::delete(dsl::auth_identities.filter(dsl::user_id.eq(DbUuid::of(user))))
        .execute(c))?;
    Ok(())
}
