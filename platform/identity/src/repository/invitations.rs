//! Rows of invitations. A token is looked up by its digest only.

use troupe_database::prelude::*;
use troupe_kernel::Uuid;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::TenantId;

use super::lower;
use super::schema::identity_invitations::{self, dsl};
use crate::messages::InvitationId;

/// The unique index on open invitations of an address.
pub const OPEN_KEY: &str = "identity_invitations_open_key";

/// Waiting for an answer.
pub const PENDING: &str = "pending";
/// Became a membership.
pub const ACCEPTED: &str = "accepted";
/// Refused by the invited.
pub const DECLINED: &str = "declined";
/// Taken back.
pub const REVOKED: &str = "revoked";

/// One invitation as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = identity_invitations, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct InvitationRow {
    /// Id of the invitation.
    pub id: DbUuid,
    /// The organisation.
    pub organisation_id: DbUuid,
    /// Address of the invited.
    pub email: String,
    /// The role that is offered.
    pub role: String,
    /// One of [`PENDING`], [`ACCEPTED`], [`DECLINED`], [`REVOKED`].
    pub status: String,
    /// Digest of the newest token.
    pub token_hash: String,
    /// Who invites.
    pub invited_by: Option<DbUuid>,
    /// Who accepted.
    pub accepted_by: Option<DbUuid>,
    /// How often it was sent.
    pub sent_count: i32,
    /// When it was last sent.
    pub last_sent_at: DbTimestamp,
    /// When it ends.
    pub expires_at: DbTimestamp,
    /// Rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: DbTimestamp,
    /// When it was last changed.
    pub updated_at: DbTimestamp,
}

impl InvitationRow {
    /// Id of the invitation.
    #[must_use]
    pub fn invitation_id(&self) -> InvitationId {
        self.id.to()
    }

    /// The organisation.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.organisation_id.to()
    }

    /// Whether it can still be answered.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.status == PENDING && self.expires_at.0 > now
    }

    /// Marks a change: the version rises.
    pub fn touch(&mut self, now: Timestamp) {
        self.version += 1;
        self.updated_at = now.into();
    }
}

/// Adds an invitation.
///
/// # Errors
/// [`OPEN_KEY`] when the address has an open one; as the database says.
pub async fn insert(conn: &mut DbConn, row: &InvitationRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(identity_invitations::table)
        .values(row.clone())
        .execute(c))?;
    Ok(())
}

/// An invitation of this organisation.
///
/// # Errors
/// As the database says.
pub async fn find(
    conn: &mut DbConn,
    organisation: TenantId,
    id: InvitationId,
) -> DbResult<Option<InvitationRow>> {
    run!(conn, |c| dsl::identity_invitations
        .find(DbUuid::of(id))
        .filter(dsl::organisation_id.eq(DbUuid::of(organisation)))
        .select(InvitationRow::as_select())
        .get_result(c))
    .optional()
}

/// The invitation whose newest token has this digest.
///
/// # Errors
/// As the database says.
pub async fn find_by_token(conn: &mut DbConn, digest: &str) -> DbResult<Option<InvitationRow>> {
    run!(conn, |c| dsl::identity_invitations
        .filter(dsl::token_hash.eq(digest.to_owned()))
        .select(InvitationRow::as_select())
        .get_result(c))
    .optional()
}

/// The pending invitation of an address, which may have expired; `key` is its lower case form.
///
/// # Errors
/// As the database says.
pub async fn find_pending(
    conn: &mut DbConn,
    organisation: TenantId,
    key: &str,
) -> DbResult<Option<InvitationRow>> {
    run!(conn, |c| dsl::identity_invitations
        .filter(dsl::organisation_id.eq(DbUuid::of(organisation)))
        .filter(lower(dsl::email).eq(key.to_owned()))
        .filter(dsl::status.eq(PENDING))
        .select(InvitationRow::as_select())
        .get_result(c))
    .optional()
}

/// How many invitations are open.
///
/// # Errors
/// As the database says.
pub async fn count_open(
    conn: &mut DbConn,
    organisation: TenantId,
    now: Timestamp,
) -> DbResult<i64> {
    run!(conn, |c| dsl::identity_invitations
        .filter(dsl::organisation_id.eq(DbUuid::of(organisation)))
        .filter(dsl::status.eq(PENDING))
        .filter(dsl::expires_at.gt(DbTimestamp(now)))
        .count()
        .get_result(c))
}

/// Invitations of an organisation before a position, newest first.
///
/// # Errors
/// As the database says.
pub async fn page(
    conn: &mut DbConn,
    organisation: TenantId,
    before: Uuid,
    rows: i64,
) -> DbResult<Vec<InvitationRow>> {
    run!(conn, |c| dsl::identity_invitations
        .filter(dsl::organisation_id.eq(DbUuid::of(organisation)))
        .filter(dsl::id.lt(DbUuid(before)))
        .order(dsl::id.desc())
        .limit(rows)
        .select(InvitationRow::as_select())
        .load(c))
}

/// Writes the row when the stored one still has the version it was read with; answers whether.
///
/// # Errors
/// As the database says.
pub async fn save(conn: &mut DbConn, row: &InvitationRow, read_version: i64) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(dsl::identity_invitations.find(row.id))
        .filter(dsl::version.eq(read_version))
        .set(row.clone())
        .execute(c))?;
    Ok(changed == 1)
}

/// Revokes what is pending for an address and replaces the address everywhere by another.
///
/// # Errors
/// As the database says.
pub async fn forget_address(
    conn: &mut DbConn,
    key: &str,
    replacement: &str,
    now: Timestamp,
) -> DbResult<usize> {
    run!(conn, |c| diesel::update(
        dsl::identity_invitations
            .filter(lower(dsl::email).eq(key.to_owned()))
            .filter(dsl::status.eq(PENDING))
    )
    .set((dsl::status.eq(REVOKED), dsl::updated_at.eq(DbTimestamp(now))))
    .execute(c))?;
    run!(conn, |c| diesel::update(
        dsl::identity_invitations.filter(lower(dsl::email).eq(key.to_owned()))
    )
    .set(dsl::email.eq(replacement.to_owned()))
    .execute(c))
}
