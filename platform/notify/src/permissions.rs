//! Permissions that notify registers. Both are the platform's: mails of all tenants are in one outbox.

use troupe_kernel::permissions::{PermissionDef, RoleDef};

/// See what became of mails.
pub const MAIL_READ: &str = "notify.mail.read";
/// Send mails again.
pub const MAIL_RESEND: &str = "notify.mail.resend";

/// What notify registers.
pub const PERMISSIONS: [PermissionDef; 2] = [
    PermissionDef { key: MAIL_READ, description: "See what became of the mails of the platform" },
    PermissionDef { key: MAIL_RESEND, description: "Send mails of the platform again" },
];

/// What notify adds to the built-in roles.
#[must_use]
pub fn roles() -> Vec<RoleDef> {
    vec![RoleDef {
        key: "administrator",
        title: "Platform administrator",
        permissions: vec![MAIL_READ, MAIL_RESEND],
    }]
}
