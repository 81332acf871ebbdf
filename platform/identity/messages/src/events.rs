//! Names and payloads of the events that identity publishes.
//!
//! The subject of a user's event is the user's id, of all others the organisation's, so that
//! consumers see the events of one user or one organisation in order. No payload carries a token.

use serde::{Deserialize, Serialize};
use troupe_kernel::ids::{TenantId, UserId};
use uuid::Uuid;

/// A user was created.
pub const USER_CREATED: &str = "identity.user.created";
/// A profile was changed.
pub const USER_UPDATED: &str = "identity.user.updated";
/// An address was proven.
pub const USER_EMAIL_VERIFIED: &str = "identity.user.email_verified";
/// An address was replaced by another, which is proven.
pub const USER_EMAIL_CHANGED: &str = "identity.user.email_changed";
/// A user was barred; sessions and keys must end.
pub const USER_SUSPENDED: &str = "identity.user.suspended";
/// A barred user may sign in again.
pub const USER_REINSTATED: &str = "identity.user.reinstated";
/// A user asked to be deleted.
pub const USER_DELETION_REQUESTED: &str = "identity.user.deletion_requested";
/// A user took the request to be deleted back.
pub const USER_DELETION_CANCELLED: &str = "identity.user.deletion_cancelled";
/// A user's personal data is gone; other services erase theirs.
pub const USER_ANONYMISED: &str = "identity.user.anonymised";
/// An organisation was created.
pub const ORGANISATION_CREATED: &str = "identity.organisation.created";
/// Name or slug of an organisation changed.
pub const ORGANISATION_UPDATED: &str = "identity.organisation.updated";
/// An organisation was barred.
pub const ORGANISATION_SUSPENDED: &str = "identity.organisation.suspended";
/// A barred organisation may be used again.
pub const ORGANISATION_REINSTATED: &str = "identity.organisation.reinstated";
/// An organisation was closed by an owner.
pub const ORGANISATION_CLOSED: &str = "identity.organisation.closed";
/// A user joined an organisation.
pub const MEMBER_JOINED: &str = "identity.member.joined";
/// A member's role changed.
pub const MEMBER_ROLE_CHANGED: &str = "identity.member.role_changed";
/// A member left or was removed.
pub const MEMBER_REMOVED: &str = "identity.member.removed";
/// Somebody was invited.
pub const INVITATION_CREATED: &str = "identity.invitation.created";
/// An invitation was sent again with a new token.
pub const INVITATION_RESENT: &str = "identity.invitation.resent";
/// An invitation was accepted.
pub const INVITATION_ACCEPTED: &str = "identity.invitation.accepted";
/// An invitation was declined by the invited.
pub const INVITATION_DECLINED: &str = "identity.invitation.declined";
/// An invitation was taken back.
pub const INVITATION_REVOKED: &str = "identity.invitation.revoked";

/// Payload of the `identity.user.*` events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEvent {
    /// The user.
    pub user: UserId,
    /// Version of the user after the change.
    pub version: i64,
}

/// Payload of the `identity.organisation.*` events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganisationEvent {
    /// The organisation.
    pub organisation: TenantId,
    /// Slug after the change.
    pub slug: String,
    /// Slug before the change, when it changed.
    pub slug_before: Option<String>,
    /// Version of the organisation after the change.
    pub version: i64,
}

/// Payload of the `identity.member.*` events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberEvent {
    /// The organisation.
    pub organisation: TenantId,
    /// The member.
    pub user: UserId,
    /// The role after the change; none when the member is gone.
    pub role: Option<String>,
    /// The role before the change; none when the member is new.
    pub role_before: Option<String>,
}

/// Payload of the `identity.invitation.*` events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationEvent {
    /// The organisation.
    pub organisation: TenantId,
    /// The invitation.
    pub invitation: Uuid,
    /// The role it offers.
    pub role: String,
}
