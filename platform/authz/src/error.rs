//! Why a command on roles and bindings is refused, and the failure a caller gets for it.

use thiserror::Error;
use troupe_kernel::{Failure, FailureKind};

use crate::condition::ConditionFault;

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AuthzError {
    /// Nobody acts.
    #[error("sign in to change roles")]
    NoPrincipal,
    /// No such role in the tenant or among the built-in ones.
    #[error("there is no role `{0}` here")]
    RoleNotFound(String),
    /// The role comes with the platform.
    #[error("the role `{0}` is built in and cannot be changed; create a role of your own")]
    RoleBuiltin(String),
    /// The tenant has a role of this key.
    #[error("there is a role `{0}` already; choose another key or change that one")]
    RoleExists(String),
    /// The role was changed meanwhile.
    #[error("the role has changed meanwhile; read it again and repeat the change")]
    RoleStale,
    /// Somebody has the role.
    #[error("{0} members or bindings have this role; take it from them first")]
    RoleInUse(i64),
    /// Too many roles.
    #[error("an organisation has at most {0} roles of its own; delete one first")]
    RoleLimit(i64),
    /// A field of a role is not acceptable.
    #[error("{detail}")]
    RoleInvalid {
        /// JSON pointer to the field.
        pointer: &'static str,
        /// What is wrong and what would be right.
        detail: String,
    },
    /// Permissions that no module registers.
    #[error("no module registers {}", .0.join(", "))]
    PermissionUnknown(Vec<String>),
    /// The caller would give or take more than it holds.
    #[error("you cannot give or take what you do not hold: {}", .0.join(", "))]
    Exceeds(Vec<String>),
    /// The role counts on the whole platform only.
    #[error("the role `{0}` can only be granted on the whole platform")]
    PlatformOnly(String),
    /// The subject has the role there already.
    #[error("the subject has the role already; revoke it first to change its condition or its end")]
    GrantExists,
    /// Too many bindings.
    #[error("a subject has at most {0} bindings; revoke one first")]
    GrantLimit(i64),
    /// The condition is not one.
    #[error("{0}")]
    Condition(ConditionFault),
    /// The condition could never be checked.
    #[error(
        "no permission of this role is decided per resource, so the condition could never be checked; \
         grant it without a condition"
    )]
    ConditionUseless,
    /// The end lies in the past.
    #[error("the end lies in the past; choose a later time or none")]
    AlreadyEnded,
    /// No such binding in the tenant.
    #[error("there is no such binding here")]
    BindingNotFound,
    /// It would leave the platform without an administrator.
    #[error("this is the last platform administrator; make another one first")]
    LastAdministrator,
}

impl From<AuthzError> for Failure {
    fn from(error: AuthzError) -> Self {
        let detail = error.to_string();
        let plain = |kind, code| Failure::new(kind, code, detail.clone());
        match &error {
            AuthzError::NoPrincipal => {
                plain(FailureKind::Unauthenticated, "authz.principal.missing")
            }
            AuthzError::RoleNotFound(_) => plain(FailureKind::NotFound, "authz.role.not_found"),
            AuthzError::RoleBuiltin(_) => plain(FailureKind::Conflict, "authz.role.builtin"),
            AuthzError::RoleExists(_) => plain(FailureKind::Conflict, "authz.role.exists"),
            AuthzError::RoleStale => plain(FailureKind::Stale, "authz.role.stale"),
            AuthzError::RoleInUse(_) => plain(FailureKind::Conflict, "authz.role.in_use"),
            AuthzError::RoleLimit(_) => plain(FailureKind::Conflict, "authz.role.limit"),
            AuthzError::RoleInvalid { pointer, detail } => {
                plain(FailureKind::Invalid, "authz.role.invalid").field(*pointer, detail.clone())
            }
            AuthzError::PermissionUnknown(keys) => keys.iter().fold(
                plain(FailureKind::Invalid, "authz.permission.unknown"),
                |failure, key| {
                    failure.field("/permissions", format!("`{key}` is not a permission"))
                },
            ),
            AuthzError::Exceeds(_) => plain(FailureKind::Forbidden, "authz.grant.exceeds"),
            AuthzError::PlatformOnly(_) => {
                plain(FailureKind::Invalid, "authz.grant.invalid").field("/role", detail.clone())
            }
            AuthzError::GrantExists => plain(FailureKind::Conflict, "authz.grant.exists"),
            AuthzError::GrantLimit(_) => plain(FailureKind::Conflict, "authz.grant.limit"),
            AuthzError::Condition(_) | AuthzError::ConditionUseless => {
                plain(FailureKind::Invalid, "authz.grant.invalid")
                    .field("/condition", detail.clone())
            }
            AuthzError::AlreadyEnded => plain(FailureKind::Invalid, "authz.grant.invalid")
                .field("/expires_at", detail.clone()),
            AuthzError::BindingNotFound => plain(FailureKind::NotFound, "authz.binding.not_found"),
            AuthzError::LastAdministrator => {
                plain(FailureKind::Conflict, "authz.binding.last_administrator")
            }
        }
    }
}
