//! Bodies and queries of requests. Unknown fields are refused.

use serde::Deserialize;
use troupe_identity_messages::{OrganisationStatus, UserStatus};
use troupe_kernel::SecretText;
use utoipa::ToSchema;

/// What to change of a profile; a field that is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileChange {
    /// Name shown to other people, up to 100 characters.
    pub(super) display_name: Option<String>,
    /// Language for mails and pages (BCP 47), for example `en`.
    pub(super) locale: Option<String>,
    /// Time zone (IANA name), for example `Europe/Vienna`.
    pub(super) time_zone: Option<String>,
}

/// A new address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmailChange {
    /// The new e-mail address.
    pub(super) email: String,
    /// One's password, which whoever stole a token does not know.
    pub(super) current_password: SecretText,
}

/// The proof that it is the person who asks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordProof {
    /// One's password, which whoever stole a token does not know.
    pub(super) current_password: SecretText,
}

/// The token of a link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenBody {
    /// The token as it stands in the link.
    pub(super) token: String,
}

/// Why something is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReasonBody {
    /// The reason, for other administrators; up to 500 characters.
    pub(super) reason: String,
}

/// Which users to answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserQuery {
    /// A part of the address or the name, without case.
    #[serde(default)]
    pub(super) text: String,
    /// Only users with this status.
    pub(super) status: Option<UserStatus>,
}

/// Which organisations to answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrganisationQuery {
    /// A part of the slug or the name, without case.
    #[serde(default)]
    pub(super) text: String,
    /// Only organisations with this status.
    pub(super) status: Option<OrganisationStatus>,
}

/// A new organisation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrganisation {
    /// Name to show, up to 100 characters.
    pub(super) name: String,
    /// Name in addresses: lower case letters, digits and hyphens; made from the name when left out.
    pub(super) slug: Option<String>,
}

/// What to change of an organisation; a field that is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrganisationChange {
    /// New name to show.
    pub(super) name: Option<String>,
    /// New name in addresses. Old addresses stop working.
    pub(super) slug: Option<String>,
}

/// A new role of a member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleChange {
    /// Key of the role, for example `editor`.
    pub(super) role: String,
}

/// Whom to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewInvitation {
    /// E-mail address.
    pub(super) email: String,
    /// Key of the role that is offered, for example `author`.
    pub(super) role: String,
    /// Language of the mail; the inviter's when left out.
    pub(super) locale: Option<String>,
}
