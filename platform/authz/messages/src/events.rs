//! Names and payloads of the events that authorization publishes.
//!
//! The subject of a role's event is `TENANT/KEY`, of a binding's event the id of the person or
//! service whose permissions changed, so that consumers see one person's changes in order.

use serde::{Deserialize, Serialize};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::TenantId;
use uuid::Uuid;

use crate::binding::BindingId;

/// A role was created.
pub const ROLE_CREATED: &str = "authz.role.created";
/// A role was changed.
pub const ROLE_UPDATED: &str = "authz.role.updated";
/// A role was deleted.
pub const ROLE_DELETED: &str = "authz.role.deleted";
/// A role was given to a subject.
pub const ROLE_GRANTED: &str = "authz.role.granted";
/// A role was taken from a subject.
pub const ROLE_REVOKED: &str = "authz.role.revoked";
/// A role that was given for a time ended.
pub const ROLE_EXPIRED: &str = "authz.role.expired";

/// Payload of `authz.role.created`, `updated` and `deleted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleEvent {
    /// The tenant.
    pub tenant: TenantId,
    /// Key of the role.
    pub key: String,
    /// Permissions after the change; empty when it is deleted.
    pub permissions: Vec<String>,
    /// Version after the change.
    pub version: i64,
}

/// Payload of `authz.role.granted`, `revoked` and `expired`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingEvent {
    /// Which binding.
    pub binding: BindingId,
    /// Whose permissions changed.
    pub subject: Uuid,
    /// The tenant; none on the whole platform.
    pub tenant: Option<TenantId>,
    /// Key of the role.
    pub role: String,
    /// When it ends; none for never.
    pub expires_at: Option<Timestamp>,
}
