//! Permissions and roles as callers see them.

use serde::{Deserialize, Serialize};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::TenantId;
use utoipa::ToSchema;

/// One permission that a module registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Permission {
    /// `owner.thing.action`, for example `blog.post.create`.
    pub key: String,
    /// What it allows.
    pub description: String,
    /// Whether a policy decides it for each resource, so that a grant of it may have a condition.
    pub governed: bool,
}

/// A named set of permissions: built in (assembled from what the modules register) or a tenant's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Role {
    /// Name of the role, unique in its tenant and among the built-in roles.
    pub key: String,
    /// Name to show.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Keys of its permissions, in order.
    pub permissions: Vec<String>,
    /// Whether it comes with the platform and cannot be changed.
    pub builtin: bool,
    /// Whether it can only be granted platform-wide.
    pub platform: bool,
    /// The tenant it belongs to; none for built-in roles.
    pub tenant: Option<TenantId>,
    /// Version for `If-Match`; 0 for built-in roles.
    pub version: i64,
    /// When it was last changed; none for built-in roles.
    pub updated_at: Option<Timestamp>,
}

/// Answers every registered permission, in order of keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListPermissions;

/// Answers the keys of the permissions that the caller holds in the caller's tenant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListOwnPermissions;

/// Compiles permission keys to a set, for example the bound of an API key.
///
/// Fails with `authz.permission.unknown` (invalid), naming each key nobody registered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CompilePermissions {
    /// Keys, at most 500.
    pub keys: Vec<String>,
}

/// Answers the built-in roles and those of a tenant, built-in first, then by key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListRoles {
    /// The tenant; none answers the built-in roles only.
    pub tenant: Option<TenantId>,
}

/// Answers one role, or fails with `authz.role.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetRole {
    /// The tenant; none finds built-in roles only.
    pub tenant: Option<TenantId>,
    /// Key of the role.
    pub key: String,
}

/// Creates a role of a tenant.
///
/// Fails with `authz.role.invalid`, `authz.permission.unknown`, `authz.grant.exceeds` when the role
/// holds what its author does not, `authz.role.exists`, `authz.role.limit`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateRole {
    /// The tenant.
    pub tenant: TenantId,
    /// Name of the role: lower case letters, digits, `-` and `_`, at most 64.
    pub key: String,
    /// Name to show.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Keys of its permissions.
    pub permissions: Vec<String>,
}

/// Changes a role of a tenant; a field that is none stays as it is.
///
/// Fails like [`CreateRole`], with `authz.role.builtin` for a built-in role and with
/// `authz.role.stale` when the version is not the current one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UpdateRole {
    /// The tenant.
    pub tenant: TenantId,
    /// Key of the role.
    pub key: String,
    /// The version the change is based on.
    pub version: i64,
    /// New name to show.
    pub title: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// New permissions, replacing the old ones.
    pub permissions: Option<Vec<String>>,
}

/// Deletes a role of a tenant. Fails with `authz.role.in_use` while somebody has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteRole {
    /// The tenant.
    pub tenant: TenantId,
    /// Key of the role.
    pub key: String,
    /// The version the deletion is based on; none deletes any.
    pub version: Option<i64>,
}
