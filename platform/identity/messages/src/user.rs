//! Users: accounts of people, across all organisations.

use serde::{Deserialize, Serialize};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::UserId;
use utoipa::ToSchema;

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// May sign in.
    Active,
    /// Barred by the platform's administrators.
    Suspended,
    /// Anonymised: the id stays for references, the person is gone.
    Deleted,
}

impl UserStatus {
    /// The name as stored and as shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }
}

/// A person's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Id of the account, also the `sub` of its tokens.
    pub id: UserId,
    /// E-mail address, unique without regard to case.
    pub email: String,
    /// When the address was proven; none while it is not.
    pub email_verified_at: Option<Timestamp>,
    /// Name shown to other people.
    pub display_name: String,
    /// Language for mails and pages (BCP 47), for example `en` or `pt-BR`.
    pub locale: String,
    /// Time zone (IANA name), for example `Europe/Vienna`.
    pub time_zone: String,
    /// Whether the account may be used.
    pub status: UserStatus,
    /// When the account will be anonymised, after its owner asked for it.
    pub deletion_due_at: Option<Timestamp>,
    /// Version for `If-Match`; rises with every change.
    pub version: i64,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the account was last changed.
    pub updated_at: Timestamp,
}

/// A user's id with the name to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserName {
    /// Id of the account.
    pub id: UserId,
    /// Name shown to other people.
    pub display_name: String,
}

/// Creates a user. The same id with the same address again answers the user that is there.
///
/// Fails with `identity.user.email_taken` (conflict) when another user has the address, with
/// `identity.user.invalid` when a field is not acceptable.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateUser {
    /// Id chosen by the caller.
    pub id: UserId,
    /// E-mail address.
    pub email: String,
    /// Name to show; when empty, the part of the address before the `@`.
    pub display_name: String,
    /// Language; none takes the configured default.
    pub locale: Option<String>,
    /// Time zone; none takes the configured default.
    pub time_zone: Option<String>,
    /// Whether the address is already proven (administrators, invitations, identity providers).
    /// When not, the verification mail goes out with the creation.
    pub email_verified: bool,
}

/// Answers a user, or fails with `identity.user.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetUser {
    /// Id of the account.
    pub id: UserId,
}

/// Answers the user with this address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FindUserByEmail {
    /// E-mail address, compared without case.
    pub email: String,
}

/// Answers the names of up to [`crate::USER_NAMES_MAX`] users.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListUserNames {
    /// Ids of the accounts.
    pub ids: Vec<UserId>,
}

/// Records that the user holds the address; no effect when it is verified or no longer theirs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MarkEmailVerified {
    /// Id of the account.
    pub id: UserId,
    /// The address that was proven; an address that is not the current one changes nothing.
    pub email: String,
}
