//! Addresses that are not written to, because mail to them comes back.

use serde::{Deserialize, Serialize};
use troupe_kernel::Timestamp;
use troupe_kernel::pagination::PageRequest;
use utoipa::ToSchema;

/// Who said that mail to an address comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BounceCause {
    /// The mail server, when a mail was handed to it.
    Refused,
    /// A report of a mail that came back later.
    Reported,
}

impl BounceCause {
    /// The name as stored and as shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Reported => "reported",
        }
    }
}

/// An address that is not written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bounce {
    /// The address, in lower case.
    pub recipient: String,
    /// Who said so.
    pub cause: BounceCause,
    /// What was said.
    pub detail: String,
    /// Since when.
    pub created_at: Timestamp,
}

/// Answers addresses that are not written to, in their order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListBounces {
    /// Which page.
    pub page: PageRequest,
}

/// Marks an address, for programs that read the reports of mail systems (RFC 3464). One that is marked
/// already stays as it is. Fails with `notify.bounce.invalid`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportBounce {
    /// The address.
    pub recipient: String,
    /// What the report says.
    #[serde(default)]
    pub detail: String,
}

/// Takes the mark from an address. Fails with `notify.bounce.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClearBounce {
    /// The address, compared without case.
    pub recipient: String,
}
