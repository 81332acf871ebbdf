//! Messages about organisations, members and invitations.

use serde::{Deserialize, Serialize};
use troupe_identity_messages::OrganisationStatus;
use troupe_kernel::Uuid;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{TenantId, UserId};
use troupe_kernel::pagination::PageRequest;
use utoipa::ToSchema;

troupe_kernel::typed_id! {
    /// Which invitation.
    InvitationId
}

/// Makes an organisation of the caller; once per idempotency key. Fails like
/// [`CreateOrganisation`](troupe_identity_messages::CreateOrganisation).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FoundOrganisation {
    /// Id of the new tenant.
    pub id: TenantId,
    /// Name in addresses; none makes one from the name.
    pub slug: Option<String>,
    /// Name to show.
    pub name: String,
    /// The first owner.
    pub owner: UserId,
}

/// Answers the organisations of a user, oldest membership first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListOwnOrganisations {
    /// The user.
    pub user: UserId,
}

/// Answers an organisation, or fails with `identity.organisation.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetOwnOrganisation {
    /// The organisation.
    pub organisation: TenantId,
}

/// Answers organisations, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SearchOrganisations {
    /// A part of the slug or the name, without case.
    pub text: String,
    /// Only organisations with this status.
    pub status: Option<OrganisationStatus>,
    /// Which page.
    pub page: PageRequest,
}

/// Changes an organisation; what is none stays as it is.
///
/// Fails with `identity.organisation.stale`, `identity.organisation.invalid`,
/// `identity.organisation.slug_taken`, `identity.organisation.not_active`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UpdateOrganisation {
    /// The organisation.
    pub organisation: TenantId,
    /// The version the change is based on.
    pub version: i64,
    /// New name to show.
    pub name: Option<String>,
    /// New name in addresses.
    pub slug: Option<String>,
}

/// Closes an organisation; its members lose their roles in it. Fails with
/// `identity.organisation.stale`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CloseOrganisation {
    /// The organisation.
    pub organisation: TenantId,
    /// The version the decision is based on.
    pub version: i64,
}

/// Bars an organisation; its members lose their roles in it until it is reinstated.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SuspendOrganisation {
    /// The organisation.
    pub organisation: TenantId,
    /// Why, for the audit.
    pub reason: String,
}

/// Lets an organisation work again, with the roles its members had.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReinstateOrganisation {
    /// The organisation.
    pub organisation: TenantId,
}

/// A member of an organisation as other members see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// The user.
    pub user: UserId,
    /// Name to show.
    pub display_name: String,
    /// E-mail address.
    pub email: String,
    /// Key of the role.
    pub role: String,
    /// Version of the membership for `If-Match`.
    pub version: i64,
    /// When the user joined.
    pub joined_at: Timestamp,
}

/// Answers members in order of joining.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListMembers {
    /// The organisation.
    pub organisation: TenantId,
    /// Which page.
    pub page: PageRequest,
}

/// Changes a member's role. The caller must be allowed to give the old role and the new one.
///
/// Fails with `identity.member.not_found`, `identity.member.last_owner`, `identity.member.stale`,
/// and like authorization's `CheckAssignable`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangeMemberRole {
    /// The organisation.
    pub organisation: TenantId,
    /// The member.
    pub user: UserId,
    /// Key of the new role.
    pub role: String,
    /// The version the change is based on; none changes any.
    pub version: Option<i64>,
}

/// Removes a member. The caller must be allowed to give the member's role. Fails like
/// [`ChangeMemberRole`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemoveMember {
    /// The organisation.
    pub organisation: TenantId,
    /// The member.
    pub user: UserId,
}

/// Ends one's own membership. Fails with `identity.member.not_found`, `identity.member.last_owner`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeaveOrganisation {
    /// The organisation.
    pub organisation: TenantId,
    /// The member who leaves.
    pub user: UserId,
}

/// What became of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvitationStatus {
    /// Waits for an answer.
    Pending,
    /// Nobody answered in time; it can be sent again.
    Expired,
    /// Became a membership.
    Accepted,
    /// Refused by the invited.
    Declined,
    /// Taken back.
    Revoked,
}

/// An invitation as the organisation sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// Id of the invitation.
    pub id: InvitationId,
    /// The organisation.
    pub organisation: TenantId,
    /// Address of the invited.
    pub email: String,
    /// Key of the role that is offered.
    pub role: String,
    /// What became of it.
    pub status: InvitationStatus,
    /// Who invited.
    pub invited_by: Option<UserId>,
    /// How often it was sent.
    pub sent_count: i32,
    /// When it was last sent.
    pub last_sent_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Version of the invitation.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What somebody who holds the token sees of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvitationPreview {
    /// Name of the organisation.
    pub organisation: String,
    /// Address of the invited.
    pub email: String,
    /// Key of the role that is offered.
    pub role: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Invites an address. The caller must be allowed to give the role.
///
/// Fails with `identity.member.exists`, `identity.invitation.exists`, `identity.invitation.limit`,
/// `identity.invitation.invalid`, and like authorization's `CheckAssignable`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Invite {
    /// The organisation.
    pub organisation: TenantId,
    /// Address of the invited.
    pub email: String,
    /// Key of the role that is offered.
    pub role: String,
    /// Language of the mail; none takes the inviter's.
    pub locale: Option<String>,
}

/// Answers invitations, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListInvitations {
    /// The organisation.
    pub organisation: TenantId,
    /// Which page.
    pub page: PageRequest,
}

/// Sends a pending or expired invitation again; older links stop working.
///
/// Fails with `identity.invitation.not_found`, `identity.invitation.settled`,
/// `identity.invitation.sends`, `identity.email.too_many`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResendInvitation {
    /// The organisation.
    pub organisation: TenantId,
    /// The invitation.
    pub id: InvitationId,
}

/// Takes an invitation back; no effect when it was taken back before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevokeInvitation {
    /// The organisation.
    pub organisation: TenantId,
    /// The invitation.
    pub id: InvitationId,
}

/// Answers what a token invites to, or fails with `identity.token.invalid`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PreviewInvitation {
    /// The token of the link.
    pub token: String,
}

/// Accepts an invitation with the account of the invited address, which is proven by it.
///
/// Fails with `identity.token.invalid`, `identity.invitation.other_address`,
/// `identity.member.exists`, `identity.membership.limit`, `identity.organisation.not_active`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AcceptInvitation {
    /// The token of the link.
    pub token: String,
    /// Who accepts.
    pub user: UserId,
}

/// Declines an invitation, or fails with `identity.token.invalid`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeclineInvitation {
    /// The token of the link.
    pub token: String,
}

/// Tells authorization the role of every member of an organisation, or that none has one while the
/// organisation is not active. A job after a change of the status.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SyncMemberRoles {
    /// The organisation.
    pub organisation: TenantId,
}

/// Tells owners and admins by mail that an endpoint of their organisation's webhooks was disabled, once
/// per event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TellWebhookDisabled {
    /// The event that says so.
    pub event: Uuid,
    /// The organisation.
    pub organisation: TenantId,
    /// The host of the endpoint.
    pub host: String,
    /// Why: `gone` or `failing`.
    pub because: String,
}
