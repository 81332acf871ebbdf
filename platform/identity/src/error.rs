//! The failures of identity, each with its stable code, in one place.

use std::time::Duration;

use troupe_kernel::{Failure, FailureKind};

pub(crate) fn user_not_found() -> Failure {
    Failure::not_found("identity.user.not_found", "there is no such user")
}

pub(crate) fn user_stale() -> Failure {
    Failure::stale(
        "identity.user.stale",
        "the profile was changed meanwhile; read it again and repeat the change on its new version",
    )
}

pub(crate) fn user_not_active() -> Failure {
    Failure::conflict("identity.user.not_active", "the account is suspended or deleted")
}

pub(crate) fn email_taken() -> Failure {
    Failure::conflict("identity.user.email_taken", "another account uses this e-mail address")
        .field("/email", "is used by another account")
}

pub(crate) fn id_taken() -> Failure {
    Failure::conflict("identity.user.id_taken", "another account has this id; choose a new one")
}

pub(crate) fn own_suspension() -> Failure {
    Failure::conflict("identity.user.own_suspension", "ask another administrator to suspend you")
}

pub(crate) fn already_verified() -> Failure {
    Failure::conflict("identity.email.already_verified", "the e-mail address is verified already")
}

pub(crate) fn same_email() -> Failure {
    Failure::conflict(
        "identity.email.unchanged",
        "this is the e-mail address of the account already",
    )
    .field("/email", "is the address the account has")
}

pub(crate) fn too_many_mails(wait: Duration) -> Failure {
    Failure::new(
        FailureKind::RateLimited,
        "identity.email.too_many",
        "too many of these mails were sent; look into the mailbox, or ask again later",
    )
    .retry_after(wait)
}

/// One answer for wrong, used and old tokens: it tells a guesser nothing.
pub(crate) fn token_invalid() -> Failure {
    Failure::not_found(
        "identity.token.invalid",
        "the link is not valid (any more); ask for a new one",
    )
}

pub(crate) fn organisation_not_found() -> Failure {
    Failure::not_found("identity.organisation.not_found", "there is no such organisation")
}

pub(crate) fn organisation_stale() -> Failure {
    Failure::stale(
        "identity.organisation.stale",
        "the organisation was changed meanwhile; read it again and repeat the change on its new version",
    )
}

pub(crate) fn organisation_not_active() -> Failure {
    Failure::conflict("identity.organisation.not_active", "the organisation is suspended or closed")
}

pub(crate) fn slug_taken() -> Failure {
    Failure::conflict("identity.organisation.slug_taken", "another organisation uses this slug")
        .field("/slug", "is used by another organisation")
}

pub(crate) fn organisation_id_taken() -> Failure {
    Failure::conflict(
        "identity.organisation.id_taken",
        "another organisation has this id; choose a new one",
    )
}

pub(crate) fn membership_limit() -> Failure {
    Failure::conflict(
        "identity.membership.limit",
        "the user belongs to as many organisations as one user may; leave one first",
    )
}

pub(crate) fn member_not_found() -> Failure {
    Failure::not_found("identity.member.not_found", "the organisation has no such member")
}

pub(crate) fn member_stale() -> Failure {
    Failure::stale(
        "identity.member.stale",
        "the membership was changed meanwhile; read it again and repeat the change",
    )
}

pub(crate) fn already_member() -> Failure {
    Failure::conflict(
        "identity.member.exists",
        "this person is a member of the organisation already",
    )
}

pub(crate) fn last_owner() -> Failure {
    Failure::conflict(
        "identity.member.last_owner",
        "an organisation needs an owner; make another member owner first, or close the organisation",
    )
}

pub(crate) fn owns_organisation(slug: &str) -> Failure {
    Failure::conflict(
        "identity.user.last_owner",
        format!(
            "{slug} would be left without an owner; make another member owner or close it first"
        ),
    )
}

pub(crate) fn invitation_not_found() -> Failure {
    Failure::not_found("identity.invitation.not_found", "there is no such invitation")
}

pub(crate) fn invitation_settled() -> Failure {
    Failure::conflict("identity.invitation.settled", "the invitation is not open any more")
}

pub(crate) fn invitation_open() -> Failure {
    Failure::conflict(
        "identity.invitation.exists",
        "there is an open invitation for this address; send it again or revoke it",
    )
}

pub(crate) fn invitation_limit() -> Failure {
    Failure::conflict(
        "identity.invitation.limit",
        "the organisation has as many open invitations as it may; revoke some first",
    )
}

pub(crate) fn invitation_sends() -> Failure {
    Failure::conflict(
        "identity.invitation.sends",
        "the invitation was sent as often as it may be; revoke it and invite again",
    )
}

pub(crate) fn other_address() -> Failure {
    Failure::forbidden(
        "identity.invitation.other_address",
        "the invitation is for another e-mail address; sign in with the account of that address",
    )
}

/// What keeps a token from working says nothing to whoever holds it; a fault of ours stays one.
pub(crate) fn token_invalid_unless_ours(failure: Failure) -> Failure {
    match failure.kind() {
        FailureKind::NotFound | FailureKind::Conflict => token_invalid(),
        _ => failure,
    }
}
