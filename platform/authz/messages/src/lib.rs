//! The typed protocol of the authorization service, data only.
//!
//! Two protocols: [`AuthzMessage`] for roles and bindings (commands and queries over the database),
//! [`DecisionMessage`] for resolving, deciding and explaining (from memory). Other services take
//! decisions through the kernel's `Authorizer` port and use [`AuthzMessage`] to change who may what.

mod binding;
mod decision;
mod events;
mod role;

use troupe_actors::{PermissionSet, protocol};
use troupe_kernel::pagination::Page;
use troupe_kernel::ports::Decision;

pub use binding::{
    Binding, BindingId, CheckAssignable, ForgetSubject, GetBinding, Grant, HasAdministrator,
    ListBindings, Revoke, SetMemberRole,
};
pub use decision::{
    ConditionExplanation, ConditionOutcome, Decide, Explain, ExplainDecision, Explanation, Forget,
    GrantExplanation, GrantSource, PolicyExplanation, Reason, Resolve,
};
pub use events::{
    BindingEvent, ROLE_CREATED, ROLE_DELETED, ROLE_EXPIRED, ROLE_GRANTED, ROLE_REVOKED,
    ROLE_UPDATED, RoleEvent,
};
pub use role::{
    CompilePermissions, CreateRole, DeleteRole, GetRole, ListOwnPermissions, ListPermissions,
    ListRoles, Permission, Role, UpdateRole,
};

/// The built-in role that holds every permission of every module, on the whole platform only.
pub const ROLE_ADMINISTRATOR: &str = "administrator";
/// The built-in role of those who own a tenant: every permission that is not the platform's.
pub const ROLE_OWNER: &str = "owner";
/// The built-in role of those who run a tenant.
pub const ROLE_ADMIN: &str = "admin";
/// The built-in role of those who edit what others write.
pub const ROLE_EDITOR: &str = "editor";
/// The built-in role of those who write.
pub const ROLE_AUTHOR: &str = "author";
/// The built-in role of those who read.
pub const ROLE_READER: &str = "reader";

protocol! {
    /// Roles, and who has them.
    pub enum AuthzMessage("authz", 1) redact ["attributes"] {
        /// Answers every registered permission.
        ListPermissions => Vec<Permission>,
        /// Answers the caller's own permissions.
        ListOwnPermissions => Vec<String>,
        /// Compiles permission keys to bits.
        CompilePermissions => PermissionSet,
        /// Answers the roles of a tenant.
        ListRoles => Vec<Role>,
        /// Answers one role.
        GetRole => Role,
        /// Creates a role of a tenant.
        CreateRole => Role,
        /// Changes a role of a tenant.
        UpdateRole => Role,
        /// Deletes a role of a tenant.
        DeleteRole => (),
        /// Gives a role.
        Grant => Binding,
        /// Takes a role back.
        Revoke => (),
        /// Answers one binding.
        GetBinding => Binding,
        /// Answers bindings.
        ListBindings => Page<Binding>,
        /// Sets the role that comes with a membership.
        SetMemberRole => (),
        /// Checks that the caller may give a role.
        CheckAssignable => (),
        /// Removes everything a subject was given.
        ForgetSubject => (),
        /// Answers whether the platform has an administrator.
        HasAdministrator => bool,
        /// Explains a decision.
        ExplainDecision => Explanation,
    }
}

protocol! {
    /// What may be done, and why.
    pub enum DecisionMessage("authz.decisions", 1) redact ["attributes"] {
        /// Compiles a subject's permissions.
        Resolve => PermissionSet,
        /// Decides about a resource.
        Decide => Decision,
        /// Explains a decision.
        Explain => Explanation,
        /// Drops what is cached.
        Forget => (),
    }
}
