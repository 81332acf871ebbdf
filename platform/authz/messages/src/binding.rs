//! Who has which role: bindings that are granted, and roles that come with a membership.

use serde::{Deserialize, Serialize};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::TenantId;
use troupe_kernel::pagination::PageRequest;
use utoipa::ToSchema;
use uuid::Uuid;

troupe_kernel::typed_id! {
    /// Which binding.
    BindingId
}

/// A role given to a subject, in one tenant or on the whole platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Binding {
    /// Which binding.
    pub id: BindingId,
    /// The user or service account that has the role.
    pub subject: Uuid,
    /// The tenant it counts in; none on the whole platform.
    pub tenant: Option<TenantId>,
    /// Key of the role.
    pub role: String,
    /// A condition (Common Expression Language) under which it counts.
    pub condition: Option<String>,
    /// Who granted it; none for the platform itself.
    pub granted_by: Option<Uuid>,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// When it ends; none for never.
    pub expires_at: Option<Timestamp>,
}

/// Gives a role to a subject. The grantor is the principal of the scope, who must hold every
/// permission of the role; the platform itself ([`PrincipalKind::System`]) may grant anything.
///
/// Fails with `authz.role.not_found`, `authz.grant.exceeds` (forbidden), `authz.grant.exists`,
/// `authz.grant.invalid`, `authz.grant.limit`.
///
/// [`PrincipalKind::System`]: troupe_actors::PrincipalKind::System
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    /// Who gets the role.
    pub subject: Uuid,
    /// The tenant; none grants on the whole platform.
    pub tenant: Option<TenantId>,
    /// Key of the role.
    pub role: String,
    /// A condition (Common Expression Language) under which it counts. It counts only for
    /// permissions that a policy decides per resource, because only there it can be checked.
    pub condition: Option<String>,
    /// When it ends; none for never.
    pub expires_at: Option<Timestamp>,
}

/// Takes a binding back. Fails with `authz.binding.not_found`, `authz.grant.exceeds` when the role
/// is above the caller's (one's own binding may always be given up), `authz.binding.last_administrator`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Revoke {
    /// Which binding.
    pub id: BindingId,
    /// The tenant it must belong to; none for a platform-wide one.
    pub tenant: Option<TenantId>,
}

/// Answers one binding, or fails with `authz.binding.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetBinding {
    /// Which binding.
    pub id: BindingId,
    /// The tenant it must belong to; none for a platform-wide one.
    pub tenant: Option<TenantId>,
}

/// Answers bindings, oldest first, those that have ended included until they are swept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListBindings {
    /// The tenant; none answers the platform-wide ones.
    pub tenant: Option<TenantId>,
    /// Only those of this subject.
    pub subject: Option<Uuid>,
    /// Only those of this role.
    pub role: Option<String>,
    /// Which page.
    pub page: PageRequest,
}

/// Sets the role that comes with a membership of a tenant; none when the subject is no longer a
/// member. Identity asks this after its commit, so that the change counts at once, and the event
/// of the change brings it again in case the first was lost: an older `at` changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetMemberRole {
    /// The member.
    pub subject: Uuid,
    /// The tenant.
    pub tenant: TenantId,
    /// Key of the role; none removes it.
    pub role: Option<String>,
    /// When the membership changed.
    pub at: Timestamp,
}

/// Answers when the caller may give this role in this tenant; fails with `authz.role.not_found` or
/// with `authz.grant.exceeds` (forbidden), naming what is missing. To be asked before a membership or
/// an invitation with the role is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckAssignable {
    /// The tenant.
    pub tenant: TenantId,
    /// Key of the role.
    pub role: String,
}

/// Removes everything a subject was given, for an account that is gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForgetSubject {
    /// The subject.
    pub subject: Uuid,
}

/// Answers when the platform's first administrator has been named: whether there is one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HasAdministrator;
