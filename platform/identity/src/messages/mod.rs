//! The protocols inside identity: accounts, organisations and the slug cache. What other services
//! ask is in troupe-identity-messages.

mod accounts;
mod organisations;
mod slugs;

use troupe_actors::protocol;
use troupe_identity_messages::{Membership, Organisation, User};
use troupe_kernel::pagination::Page;

pub use accounts::{
    AnonymiseUser, CancelDeletion, ConfirmEmail, EmailConfirmation, EmailPurpose, GetProfile,
    PreviewEmailToken, PurgeEmailTokens, ReinstateUser, RequestDeletion, RequestEmailChange,
    RequestVerification, SearchUsers, SuspendUser, UpdateProfile,
};
pub use organisations::{
    AcceptInvitation, ChangeMemberRole, CloseOrganisation, DeclineInvitation, FoundOrganisation,
    GetOwnOrganisation, Invitation, InvitationId, InvitationPreview, InvitationStatus, Invite,
    LeaveOrganisation, ListInvitations, ListMembers, ListOwnOrganisations, Member,
    PreviewInvitation, ReinstateOrganisation, RemoveMember, ResendInvitation, RevokeInvitation,
    SearchOrganisations, SuspendOrganisation, SyncMemberRoles, TellWebhookDisabled,
    UpdateOrganisation,
};
pub use slugs::{FindSlug, ForgetSlugs, SlugLoaded, SlugMessage};

protocol! {
    /// A user's own account, and what administrators do with accounts.
    pub enum AccountMessage("identity.accounts", 2)
    redact ["email", "token", "current_password"] {
        /// Answers the caller's account, or another to an administrator.
        GetProfile => User,
        /// Changes names, language or time zone.
        UpdateProfile => User,
        /// Sends the mail that proves the address.
        RequestVerification => (),
        /// Sends the mail that proves a new address.
        RequestEmailChange => (),
        /// Answers what a token would do.
        PreviewEmailToken => EmailConfirmation,
        /// Uses a token.
        ConfirmEmail => EmailConfirmation,
        /// Begins the deletion of an account.
        RequestDeletion => User,
        /// Ends it before it is due.
        CancelDeletion => User,
        /// Removes a person's data from an account whose deletion is due.
        AnonymiseUser => (),
        /// Answers users an administrator looks for.
        SearchUsers => Page<User>,
        /// Bars a user.
        SuspendUser => User,
        /// Lets a barred user in again.
        ReinstateUser => User,
        /// Removes tokens that ended long ago.
        PurgeEmailTokens => (),
    }
}

protocol! {
    /// Organisations, their members and invitations.
    pub enum OrganisationMessage("identity.organisations", 1) redact ["email", "token"] {
        /// Makes an organisation of the caller.
        FoundOrganisation => Organisation,
        /// Answers the organisations of a user.
        ListOwnOrganisations => Vec<Membership>,
        /// Answers an organisation to its members.
        GetOwnOrganisation => Organisation,
        /// Answers organisations an administrator looks for.
        SearchOrganisations => Page<Organisation>,
        /// Changes name or slug.
        UpdateOrganisation => Organisation,
        /// Closes an organisation for good.
        CloseOrganisation => Organisation,
        /// Bars an organisation.
        SuspendOrganisation => Organisation,
        /// Lets a barred or closed organisation work again.
        ReinstateOrganisation => Organisation,
        /// Answers members.
        ListMembers => Page<Member>,
        /// Changes a member's role.
        ChangeMemberRole => Member,
        /// Removes a member.
        RemoveMember => (),
        /// Ends the caller's own membership.
        LeaveOrganisation => (),
        /// Invites an address.
        Invite => Invitation,
        /// Answers invitations.
        ListInvitations => Page<Invitation>,
        /// Sends an invitation again with a new token.
        ResendInvitation => Invitation,
        /// Takes an invitation back.
        RevokeInvitation => (),
        /// Answers what a token invites to.
        PreviewInvitation => InvitationPreview,
        /// Accepts an invitation.
        AcceptInvitation => Membership,
        /// Declines an invitation.
        DeclineInvitation => (),
        /// Tells authorization the roles of all members again.
        SyncMemberRoles => (),
        /// Tells owners and admins that an endpoint gets no more messages.
        TellWebhookDisabled => (),
    }
}
