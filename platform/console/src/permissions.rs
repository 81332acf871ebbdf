//! The permissions that the console checks. No role of an organisation holds them.

use troupe_kernel::permissions::PermissionDef;

/// See the actors of the node, their counters, crashes and dead letters.
pub const SYSTEM_READ: &str = "inspect.system.read";
/// See the redacted contents of messages.
pub const PAYLOAD_READ: &str = "inspect.payload.read";
/// Watch the messages of actors for a while.
pub const TAP_WRITE: &str = "act.tap.write";

/// The permissions.
#[must_use]
pub(crate) fn permissions() -> Vec<PermissionDef> {
    [
        (SYSTEM_READ, "See the actors of the node, their counters, crashes and dead letters"),
        (PAYLOAD_READ, "See the redacted contents of messages, of all organisations"),
        (TAP_WRITE, "Watch the messages of actors for a while"),
    ]
    .map(|(key, description)| PermissionDef { key, description })
    .to_vec()
}
