//! The permissions this module checks, and the built-in roles that hold them.

use troupe_authz_messages::{ROLE_ADMIN, ROLE_ADMINISTRATOR, ROLE_OWNER, ROLE_READER};
use troupe_kernel::permissions::{PermissionDef, RoleDef};

/// See the registered permissions.
pub const PERMISSION_READ: &str = "authz.permission.read";
/// See the roles of the organisation.
pub const ROLE_READ: &str = "authz.role.read";
/// Create, change and delete roles of the organisation.
pub const ROLE_WRITE: &str = "authz.role.write";
/// See who has which role in the organisation.
pub const BINDING_READ: &str = "authz.binding.read";
/// Give and take roles in the organisation.
pub const BINDING_WRITE: &str = "authz.binding.write";
/// Ask why something is allowed or not.
pub const DECISION_EXPLAIN: &str = "authz.decision.explain";
/// See who has which role on the whole platform.
pub const PLATFORM_READ: &str = "authz.platform.read";
/// Give and take roles on the whole platform.
pub const PLATFORM_WRITE: &str = "authz.platform.write";

/// The permissions.
#[must_use]
pub fn permissions() -> Vec<PermissionDef> {
    [
        (PERMISSION_READ, "See which permissions there are"),
        (ROLE_READ, "See the roles of the organisation"),
        (ROLE_WRITE, "Create, change and delete roles of the organisation"),
        (BINDING_READ, "See who has which role in the organisation"),
        (BINDING_WRITE, "Give and take roles in the organisation"),
        (DECISION_EXPLAIN, "Ask why something is allowed or not"),
        (PLATFORM_READ, "See who has which role on the whole platform"),
        (PLATFORM_WRITE, "Give and take roles on the whole platform"),
    ]
    .map(|(key, description)| PermissionDef { key, description })
    .to_vec()
}

/// What the built-in roles hold of them.
#[must_use]
pub fn roles() -> Vec<RoleDef> {
    vec![
        RoleDef { key: ROLE_READER, title: "Reader", permissions: vec![] },
        RoleDef {
            key: ROLE_ADMIN,
            title: "Admin",
            permissions: vec![
                PERMISSION_READ,
                ROLE_READ,
                BINDING_READ,
                BINDING_WRITE,
                DECISION_EXPLAIN,
            ],
        },
        RoleDef { key: ROLE_OWNER, title: "Owner", permissions: vec![ROLE_WRITE] },
        RoleDef {
            key: ROLE_ADMINISTRATOR,
            title: "Platform administrator",
            permissions: vec![PLATFORM_READ, PLATFORM_WRITE],
        },
    ]
}
