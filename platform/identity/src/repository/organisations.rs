//! Rows of organisations.

use troupe_database::prelude::*;
use troupe_identity_messages::{Organisation, OrganisationStatus};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::TenantId;
use troupe_kernel::{Failure, Uuid};

use super::schema::identity_organisations::{self, dsl};
use super::{contains, lower};

/// The unique index on slugs.
pub const SLUG_KEY: &str = "identity_organisations_slug_key";

/// One organisation as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = identity_organisations, treat_none_as_default_value = false)]
pub struct OrganisationRow {
    /// Id of the tenant.
    pub id: DbUuid,
    /// Name in addresses.
    pub slug: String,
    /// Name to show.
    pub name: String,
    /// `active`, `suspended` or `closed`.
    pub status: String,
    /// Rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: DbTimestamp,
    /// When it was last changed.
    pub updated_at: DbTimestamp,
}

impl OrganisationRow {
    /// Id of the tenant.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.id.to()
    }

    /// Whether it may be used.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == OrganisationStatus::Active.as_str()
    }

    /// Marks a change: the version rises.
    pub fn touch(&mut self, now: Timestamp) {
        self.version += 1;
        self.updated_at = now.into();
    }

    /// The organisation as others see it.
    ///
    /// # Errors
    /// When the row holds a status this program does not know.
    pub fn into_organisation(self) -> Result<Organisation, Failure> {
        Ok(Organisation {
            id: self.id.to(),
            slug: self.slug,
            name: self.name,
            status: status_of(&self.status)?,
            version: self.version,
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

/// The status of this name.
///
/// # Errors
/// When this program does not know it.
pub fn status_of(text: &str) -> Result<OrganisationStatus, Failure> {
    [OrganisationStatus::Active, OrganisationStatus::Suspended, OrganisationStatus::Closed]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| {
            Failure::internal(
                "identity.organisation.status",
                format!("an organisation has the unknown status {text}"),
            )
        })
}

/// Adds an organisation.
///
/// # Errors
/// [`SLUG_KEY`] when the slug is used; as the database says.
pub async fn insert(conn: &mut DbConn, row: &OrganisationRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(identity_organisations::table)
        .values(row.clone())
        .execute(c))?;
    Ok(())
}

/// The organisation with this id.
///
/// # Errors
/// As the database says.
pub async fn find(conn: &mut DbConn, id: TenantId) -> DbResult<Option<OrganisationRow>> {
    run!(conn, |c| dsl::identity_organisations
        .find(DbUuid::of(id))
        .select(OrganisationRow::as_select())
        .get_result(c))
    .optional()
}

/// The organisation with this slug.
///
/// # Errors
/// As the database says.
pub async fn find_by_slug(conn: &mut DbConn, slug: &str) -> DbResult<Option<OrganisationRow>> {
    run!(conn, |c| dsl::identity_organisations
        .filter(dsl::slug.eq(slug.to_owned()))
        .select(OrganisationRow::as_select())
        .get_result(c))
    .optional()
}

/// Which of these slugs are used.
///
/// # Errors
/// As the database says.
pub async fn used_slugs(conn: &mut DbConn, slugs: &[String]) -> DbResult<Vec<String>> {
    run!(conn, |c| dsl::identity_organisations
        .filter(dsl::slug.eq_any(slugs.to_vec()))
        .select(dsl::slug)
        .load(c))
}

/// Writes the row when the stored one still has the version it was read with; answers whether.
///
/// # Errors
/// [`SLUG_KEY`] when the slug is used; as the database says.
pub async fn save(conn: &mut DbConn, row: &OrganisationRow, read_version: i64) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(dsl::identity_organisations.find(row.id))
        .filter(dsl::version.eq(read_version))
        .set(row.clone())
        .execute(c))?;
    Ok(changed == 1)
}

/// Holds the organisation's row until the transaction ends, so that what is counted of its members
/// stays true. Answers whether there is one.
///
/// # Errors
/// As the database says.
pub async fn lock(conn: &mut DbConn, id: TenantId) -> DbResult<bool> {
    let found = run!(conn, |c| diesel::update(dsl::identity_organisations.find(DbUuid::of(id)))
        .set(dsl::version.eq(dsl::version))
        .execute(c))?;
    Ok(found == 1)
}

/// What an administrator looks for.
#[derive(Debug, Clone, Default)]
pub struct OrganisationSearch {
    /// A part of the slug or the name, without case.
    pub text: String,
    /// Only organisations with this status.
    pub status: Option<OrganisationStatus>,
}

/// Organisations before a position, newest first.
///
/// # Errors
/// As the database says.
pub async fn search(
    conn: &mut DbConn,
    wanted: &OrganisationSearch,
    before: Uuid,
    rows: i64,
) -> DbResult<Vec<OrganisationRow>> {
    let pattern = contains(&wanted.text);
    let status = wanted.status.map_or("%", OrganisationStatus::as_str).to_owned();
    run!(conn, |c| dsl::identity_organisations
        .filter(dsl::id.lt(DbUuid(before)))
        .filter(dsl::status.like(status))
        .filter(
            dsl::slug
                .like(pattern.clone())
                .escape('\\')
                .or(lower(dsl::name).like(pattern.clone()).escape('\\')),
        )
        .order(dsl::id.desc())
        .limit(rows)
        .select(OrganisationRow::as_select())
        .load(c))
}
