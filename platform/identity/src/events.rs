//! The events of identity, made of its rows.

use troupe_identity_messages::{InvitationEvent, MemberEvent, OrganisationEvent, UserEvent};
use troupe_kernel::Event;
use troupe_kernel::ids::{TenantId, UserId};

use crate::repository::invitations::InvitationRow;
use crate::repository::organisations::OrganisationRow;
use crate::repository::users::UserRow;

pub(crate) fn user(kind: &str, row: &UserRow) -> Event {
    let user = row.user_id();
    Event::new(kind, user, &UserEvent { user, version: row.version })
}

pub(crate) fn organisation(
    kind: &str,
    row: &OrganisationRow,
    slug_before: Option<String>,
) -> Event {
    let organisation = row.tenant();
    let data = OrganisationEvent {
        organisation,
        slug: row.slug.clone(),
        slug_before,
        version: row.version,
    };
    Event::new(kind, organisation, &data).tenant(organisation)
}

/// How a membership changed.
pub(crate) struct MemberChange {
    pub(crate) organisation: TenantId,
    pub(crate) user: UserId,
    pub(crate) role: Option<String>,
    pub(crate) role_before: Option<String>,
}

pub(crate) fn member(kind: &str, change: MemberChange) -> Event {
    let MemberChange { organisation, user, role, role_before } = change;
    let data = MemberEvent { organisation, user, role, role_before };
    Event::new(kind, organisation, &data).tenant(organisation)
}

pub(crate) fn invitation(kind: &str, row: &InvitationRow) -> Event {
    let organisation = row.tenant();
    let data = InvitationEvent { organisation, invitation: row.id.0, role: row.role.clone() };
    Event::new(kind, organisation, &data).tenant(organisation)
}
