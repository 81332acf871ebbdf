//! Permissions that notify registers. Those of mails are the platform's, because the mails of all tenants
//! are in one outbox; those of webhooks are a tenant's.

use troupe_kernel::permissions::{PermissionDef, RoleDef};

/// See what became of mails.
pub const MAIL_READ: &str = "notify.mail.read";
/// Send mails again.
pub const MAIL_RESEND: &str = "notify.mail.resend";

/// Report addresses that mail comes back from, and clear them.
pub const BOUNCE_MANAGE: &str = "notify.bounce.manage";
/// See endpoints and deliveries.
pub const WEBHOOK_READ: &str = "notify.webhook.read";
/// Manage endpoints, send tests and send messages again.
pub const WEBHOOK_MANAGE: &str = "notify.webhook.manage";

/// What notify registers.
pub const PERMISSIONS: [PermissionDef; 5] = [
    PermissionDef { key: MAIL_READ, description: "See what became of the mails of the platform" },
    PermissionDef { key: MAIL_RESEND, description: "Send mails of the platform again" },
    PermissionDef {
        key: BOUNCE_MANAGE,
        description: "Report addresses that mail comes back from, and write to them again",
    },
    PermissionDef {
        key: WEBHOOK_READ,
        description: "See the endpoints of webhooks and what was sent to them",
    },
    PermissionDef {
        key: WEBHOOK_MANAGE,
        description: "Manage the endpoints of webhooks and send messages again",
    },
];

/// What notify adds to the built-in roles.
#[must_use]
pub fn roles() -> Vec<RoleDef> {
    vec![
        RoleDef {
            key: "administrator",
            title: "Platform administrator",
            permissions: vec![MAIL_READ, MAIL_RESEND, BOUNCE_MANAGE],
        },
        RoleDef { key: "admin", title: "Admin", permissions: vec![WEBHOOK_READ, WEBHOOK_MANAGE] },
    ]
}
