//! Permissions that auth registers. A user's own sessions, password and
//! second factor need none: they are theirs.

use troupe_kernel::permissions::{PermissionDef, RoleDef};

/// See the API keys of the organisation.
pub const API_KEY_READ: &str = "auth.api_key.read";
/// Make, rename and revoke API keys of the organisation.
pub const API_KEY_MANAGE: &str = "auth.api_key.manage";
/// Remove the second factor of a user who lost it.
pub const SECOND_FACTOR_RESET: &str = "auth.second_factor.reset";

/// What auth registers.
pub const PERMISSIONS: [PermissionDef; 3] = [
    PermissionDef { key: API_KEY_READ, description: "See the API keys of the organisation" },
    PermissionDef {
        key: API_KEY_MANAGE,
        description: "Make, rename and revoke API keys of the organisation",
    },
    PermissionDef {
        key: SECOND_FACTOR_RESET,
        description: "Remove the second factor of a user who lost it",
    },
];

/// What auth adds to the built-in roles.
#[must_use]
pub fn roles() -> Vec<RoleDef> {
    vec![
        RoleDef {
            key: troupe_authz_messages::ROLE_ADMIN,
            title: "Administrator of the organisation",
            permissions: vec![API_KEY_READ, API_KEY_MANAGE],
        },
        RoleDef {
            key: troupe_authz_messages::ROLE_ADMINISTRATOR,
            title: "Platform administrator",
            permissions: vec![SECOND_FACTOR_RESET],
        },
    ]
}
