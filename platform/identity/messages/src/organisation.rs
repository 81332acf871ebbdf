//! Organisations, which are the tenants, and how users belong to them.

use serde::{Deserialize, Serialize};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{TenantId, UserId};
use utoipa::ToSchema;

/// Whether an organisation may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrganisationStatus {
    /// In use.
    Active,
    /// Barred by the platform's administrators.
    Suspended,
    /// Closed by its owners.
    Closed,
}

impl OrganisationStatus {
    /// The name as stored and as shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
        }
    }
}

/// An organisation: the tenant that rows, limits and audit belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Organisation {
    /// Id of the tenant.
    pub id: TenantId,
    /// Name in addresses, unique, lower case.
    pub slug: String,
    /// Name to show.
    pub name: String,
    /// Whether it may be used.
    pub status: OrganisationStatus,
    /// Version for `If-Match`; rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Organisation {
    /// Whether work in this tenant is allowed.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == OrganisationStatus::Active
    }
}

/// How a user belongs to an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Membership {
    /// The member.
    pub user: UserId,
    /// The organisation.
    pub organisation: TenantId,
    /// Slug of the organisation.
    pub slug: String,
    /// Name of the organisation.
    pub name: String,
    /// Whether the organisation may be used; give no token for one that is not active.
    pub status: OrganisationStatus,
    /// Key of the member's role, for example `owner`.
    pub role: String,
    /// When the user joined.
    pub joined_at: Timestamp,
}

/// Creates an organisation and makes `owner` its owner. The same id and slug again answer the
/// organisation that is there.
///
/// Fails with `identity.organisation.slug_taken` (conflict), with `identity.organisation.invalid`
/// for a bad slug or name, with `identity.membership.limit` when the owner is in too many.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateOrganisation {
    /// Id chosen by the caller.
    pub id: TenantId,
    /// Name in addresses; none makes one from the name.
    pub slug: Option<String>,
    /// Name to show.
    pub name: String,
    /// The first owner.
    pub owner: UserId,
}

/// Answers an organisation, or fails with `identity.organisation.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetOrganisation {
    /// Id of the tenant.
    pub id: TenantId,
}

/// Answers the organisation with this slug, whatever its status.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FindOrganisationBySlug {
    /// Slug as it stands in the address.
    pub slug: String,
}

/// Answers how the user belongs to the organisation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MembershipOf {
    /// The user.
    pub user: UserId,
    /// The organisation.
    pub organisation: TenantId,
}

/// Answers the organisations of a user, oldest membership first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListMembershipsOf {
    /// The user.
    pub user: UserId,
}
