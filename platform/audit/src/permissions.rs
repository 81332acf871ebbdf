//! The permissions this module checks, and the built-in roles that hold them.

use troupe_kernel::permissions::{PermissionDef, RoleDef};

/// Read the audit trail of the organisation.
pub const ENTRY_READ: &str = "audit.entry.read";
/// Take the audit trail of the organisation away as a file.
pub const ENTRY_EXPORT: &str = "audit.entry.export";
/// Verify the audit trail of the organisation.
pub const TRAIL_VERIFY: &str = "audit.trail.verify";
/// Read and export the audit trails of all organisations and of the platform.
pub const PLATFORM_READ: &str = "audit.platform.read";
/// Verify all audit trails.
pub const PLATFORM_VERIFY: &str = "audit.platform.verify";

/// The permissions.
#[must_use]
pub fn permissions() -> Vec<PermissionDef> {
    [
        (ENTRY_READ, "Read the audit trail of the organisation"),
        (ENTRY_EXPORT, "Take the audit trail of the organisation away as a file"),
        (TRAIL_VERIFY, "Verify the audit trail of the organisation"),
        (
            PLATFORM_READ,
            "Read and export the audit trails of all organisations and of the platform",
        ),
        (PLATFORM_VERIFY, "Verify all audit trails"),
    ]
    .map(|(key, description)| PermissionDef { key, description })
    .to_vec()
}

/// What the built-in roles hold of them.
#[must_use]
pub fn roles() -> Vec<RoleDef> {
    vec![
        RoleDef { key: "admin", title: "Admin", permissions: vec![ENTRY_READ, TRAIL_VERIFY] },
        RoleDef { key: "owner", title: "Owner", permissions: vec![ENTRY_EXPORT] },
        RoleDef {
            key: "administrator",
            title: "Platform administrator",
            permissions: vec![PLATFORM_READ, PLATFORM_VERIFY],
        },
    ]
}
