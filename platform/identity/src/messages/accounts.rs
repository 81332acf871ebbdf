//! Messages about accounts.

use serde::{Deserialize, Serialize};
use troupe_identity_messages::UserStatus;
use troupe_kernel::SecretText;
use troupe_kernel::ids::UserId;
use troupe_kernel::pagination::PageRequest;
use utoipa::ToSchema;

/// Answers an account, or fails with `identity.user.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetProfile {
    /// The account.
    pub user: UserId,
}

/// Changes a profile; what is none stays as it is.
///
/// Fails with `identity.user.stale` when `version` is not the current one, `identity.user.invalid`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UpdateProfile {
    /// The account.
    pub user: UserId,
    /// The version the change is based on.
    pub version: i64,
    /// New name to show.
    pub display_name: Option<String>,
    /// New language.
    pub locale: Option<String>,
    /// New time zone.
    pub time_zone: Option<String>,
}

/// Sends the mail that proves the address of the account.
///
/// Fails with `identity.email.already_verified`, `identity.email.too_many` (with the time to wait).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestVerification {
    /// The account.
    pub user: UserId,
}

/// Begins to change the address: the new one gets a mail with a link, the old one a notice.
///
/// The answer is the same when another account has the address, so that it tells nothing about it;
/// no link goes out then. Fails with `identity.email.unchanged`, `identity.email.too_many`, and like
/// [`Reauthenticator`](troupe_kernel::ports::Reauthenticator).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestEmailChange {
    /// The account.
    pub user: UserId,
    /// The new address.
    pub email: String,
    /// The caller's password.
    pub current_password: SecretText,
}

/// What a token proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmailPurpose {
    /// The address of the account.
    Verify,
    /// A new address, which replaces the old one.
    Change,
}

/// What a token does, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmailConfirmation {
    /// What it proves.
    pub purpose: EmailPurpose,
    /// The address; most of its name is hidden until the token is used.
    pub email: String,
    /// Whether it is used now.
    pub confirmed: bool,
}

/// Answers what a token would do, or fails with `identity.token.invalid`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PreviewEmailToken {
    /// The token of the link.
    pub token: String,
}

/// Uses a token. Fails with `identity.token.invalid`, or `identity.user.email_taken` when another
/// account took the address meanwhile.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfirmEmail {
    /// The token of the link.
    pub token: String,
}

/// Begins the deletion of an account; it happens after the configured time.
///
/// Fails with `identity.user.last_owner` while an organisation would be left without an owner, and
/// like [`Reauthenticator`](troupe_kernel::ports::Reauthenticator).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestDeletion {
    /// The account.
    pub user: UserId,
    /// The caller's password.
    pub current_password: SecretText,
}

/// Takes the request back; no effect when there is none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CancelDeletion {
    /// The account.
    pub user: UserId,
}

/// Removes a person's data when the deletion is due; no effect when it is not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AnonymiseUser {
    /// The account.
    pub user: UserId,
}

/// Answers users, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SearchUsers {
    /// A part of the address or the name, without case.
    pub text: String,
    /// Only users with this status.
    pub status: Option<UserStatus>,
    /// Which page.
    pub page: PageRequest,
}

/// Bars a user: no new sessions, and those there are end at once. Again, it only ends sessions.
///
/// Fails with `identity.user.own_suspension` for the caller's own account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SuspendUser {
    /// The account.
    pub user: UserId,
    /// Why, for other administrators.
    pub reason: String,
}

/// Lets a barred user in again; no effect on an active one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReinstateUser {
    /// The account.
    pub user: UserId,
}

/// Removes tokens that ended more than a month ago.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PurgeEmailTokens;
