//! What files let whom do: permissions, the roles that hold them, and the rule about deletion.

use troupe_authz_messages::{ROLE_AUTHOR, ROLE_EDITOR, ROLE_READER};
use troupe_kernel::{PermissionDef, PolicyDef, PolicyEffect, RoleDef};

/// See and read files.
pub const FILE_READ: &str = "files.file.read";
/// Upload files.
pub const FILE_CREATE: &str = "files.file.create";
/// Delete files.
pub const FILE_DELETE: &str = "files.file.delete";
/// Delete the files of others.
pub const FILE_MANAGE: &str = "files.file.manage";

/// The resource kind of a file.
pub const RESOURCE_FILE: &str = "files.file";

/// The permissions.
#[must_use]
pub fn permissions() -> Vec<PermissionDef> {
    [
        (FILE_READ, "See and read files"),
        (FILE_CREATE, "Upload files"),
        (FILE_DELETE, "Delete one's own files"),
        (FILE_MANAGE, "Delete the files of others"),
    ]
    .map(|(key, description)| PermissionDef { key, description })
    .to_vec()
}

/// What the built-in roles hold of them.
#[must_use]
pub fn roles() -> Vec<RoleDef> {
    vec![
        RoleDef { key: ROLE_READER, title: "Reader", permissions: vec![FILE_READ] },
        RoleDef { key: ROLE_AUTHOR, title: "Author", permissions: vec![FILE_CREATE, FILE_DELETE] },
        RoleDef { key: ROLE_EDITOR, title: "Editor", permissions: vec![FILE_MANAGE] },
    ]
}

/// The rule about resources.
#[must_use]
pub fn policies() -> Vec<PolicyDef> {
    vec![PolicyDef {
        id: "files.delete_own",
        action: FILE_DELETE,
        effect: PolicyEffect::Permit,
        condition: "resource.owner == principal.id || permitted('files.file.manage')",
        description: "authors delete their own files, editors all",
    }]
}
