//! Permissions that identity registers. A user's own profile and memberships need none: they are theirs.

use troupe_authz_messages::{ROLE_ADMIN, ROLE_ADMINISTRATOR, ROLE_OWNER, ROLE_READER};
use troupe_kernel::permissions::{PermissionDef, RoleDef};

/// See the organisation.
pub const ORGANISATION_READ: &str = "identity.organisation.read";
/// Change name and slug of the organisation.
pub const ORGANISATION_UPDATE: &str = "identity.organisation.update";
/// Close the organisation.
pub const ORGANISATION_CLOSE: &str = "identity.organisation.close";
/// See the members of the organisation.
pub const MEMBER_READ: &str = "identity.member.read";
/// Change roles of members and remove them.
pub const MEMBER_MANAGE: &str = "identity.member.manage";
/// See, send and revoke invitations.
pub const INVITATION_MANAGE: &str = "identity.invitation.manage";
/// See and search all users of the platform.
pub const USER_SEARCH: &str = "identity.user.search";
/// Suspend and reinstate users.
pub const USER_SUSPEND: &str = "identity.user.suspend";
/// See all organisations of the platform.
pub const ORGANISATION_SEARCH: &str = "identity.organisation.search";
/// Suspend and reinstate organisations.
pub const ORGANISATION_SUSPEND: &str = "identity.organisation.suspend";

/// What identity registers.
pub const PERMISSIONS: [PermissionDef; 10] = [
    PermissionDef { key: ORGANISATION_READ, description: "See the organisation" },
    PermissionDef {
        key: ORGANISATION_UPDATE,
        description: "Change the name and the slug of the organisation",
    },
    PermissionDef { key: ORGANISATION_CLOSE, description: "Close the organisation for good" },
    PermissionDef { key: MEMBER_READ, description: "See the members of the organisation" },
    PermissionDef { key: MEMBER_MANAGE, description: "Change roles of members and remove members" },
    PermissionDef { key: INVITATION_MANAGE, description: "See, send and revoke invitations" },
    PermissionDef { key: USER_SEARCH, description: "See and search all users of the platform" },
    PermissionDef { key: USER_SUSPEND, description: "Suspend and reinstate users" },
    PermissionDef {
        key: ORGANISATION_SEARCH,
        description: "See all organisations of the platform",
    },
    PermissionDef { key: ORGANISATION_SUSPEND, description: "Suspend and reinstate organisations" },
];

/// What identity adds to the built-in roles. Each role of a tenant also holds what the one below
/// holds; the administrator's are the platform's.
#[must_use]
pub fn roles() -> Vec<RoleDef> {
    vec![
        RoleDef {
            key: ROLE_READER,
            title: "Reader",
            permissions: vec![ORGANISATION_READ, MEMBER_READ],
        },
        RoleDef {
            key: ROLE_ADMIN,
            title: "Admin",
            permissions: vec![ORGANISATION_UPDATE, MEMBER_MANAGE, INVITATION_MANAGE],
        },
        RoleDef { key: ROLE_OWNER, title: "Owner", permissions: vec![ORGANISATION_CLOSE] },
        RoleDef {
            key: ROLE_ADMINISTRATOR,
            title: "Platform administrator",
            permissions: vec![USER_SEARCH, USER_SUSPEND, ORGANISATION_SEARCH, ORGANISATION_SUSPEND],
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_holds_registered_permissions_and_every_permission_has_a_role() {
        let held: Vec<&str> = roles().into_iter().flat_map(|role| role.permissions).collect();
        for key in &held {
            assert!(PERMISSIONS.iter().any(|known| known.key == *key), "{key} is not registered");
        }
        for permission in PERMISSIONS {
            assert!(held.contains(&permission.key), "{} is in no role", permission.key);
        }
    }
}
