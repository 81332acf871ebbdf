//! Routes of invitations: for the organisation that sends them, and for whoever holds the mail.

use troupe_actors::ServiceRef;
use troupe_identity_messages::Membership;
use troupe_kernel::pagination::Page;
use troupe_kernel::{HttpResponse, Route};

use super::bodies::NewInvitation;
use super::{caller, own_organisation, token};
use crate::messages::{
    AcceptInvitation, DeclineInvitation, Invitation, InvitationPreview, Invite, ListInvitations,
    OrganisationMessage, PreviewInvitation, ResendInvitation, RevokeInvitation,
};
use crate::permissions::INVITATION_MANAGE;

const TAG: &str = "invitations";

pub(super) fn routes(organisations: &ServiceRef<OrganisationMessage>) -> Vec<Route> {
    let mut routes = sent(organisations);
    routes.extend(received(organisations));
    routes
}

fn sent(organisations: &ServiceRef<OrganisationMessage>) -> Vec<Route> {
    vec![
        Route::post("/v1/organisations/{id}/invitations")
            .permission(INVITATION_MANAGE)
            .summary("Invite somebody by e-mail")
            .tag(TAG)
            .body::<NewInvitation>()
            .returns::<Invitation>(201)
            .ask(
                organisations,
                |request| {
                    let organisation = own_organisation(request)?;
                    let NewInvitation { email, role, locale } = request.json()?;
                    Ok(Invite { organisation, email, role, locale })
                },
                |invitation| {
                    let organisation = invitation.organisation;
                    let location =
                        format!("/v1/organisations/{organisation}/invitations/{}", invitation.id);
                    Ok(HttpResponse::created(location, &invitation).etag(invitation.version))
                },
            ),
        Route::get("/v1/organisations/{id}/invitations")
            .permission(INVITATION_MANAGE)
            .summary("List invitations")
            .tag(TAG)
            .paginated()
            .returns::<Page<Invitation>>(200)
            .ask(
                organisations,
                |request| {
                    let organisation = own_organisation(request)?;
                    Ok(ListInvitations { organisation, page: request.page()? })
                },
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::post("/v1/organisations/{id}/invitations/{invitation}/resend")
            .permission(INVITATION_MANAGE)
            .summary("Send an invitation again with a new link")
            .tag(TAG)
            .returns::<Invitation>(200)
            .ask(
                organisations,
                |request| {
                    let organisation = own_organisation(request)?;
                    Ok(ResendInvitation { organisation, id: request.parameter("invitation")? })
                },
                |invitation| Ok(HttpResponse::ok(&invitation).etag(invitation.version)),
            ),
        Route::delete("/v1/organisations/{id}/invitations/{invitation}")
            .permission(INVITATION_MANAGE)
            .summary("Take an invitation back")
            .tag(TAG)
            .returns_nothing(204)
            .ask(
                organisations,
                |request| {
                    let organisation = own_organisation(request)?;
                    Ok(RevokeInvitation { organisation, id: request.parameter("invitation")? })
                },
                |()| Ok(HttpResponse::no_content()),
            ),
    ]
}

fn received(organisations: &ServiceRef<OrganisationMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/invitations/{token}")
            .public()
            .summary("See what a mail invites to")
            .tag(TAG)
            .returns::<InvitationPreview>(200)
            .ask(
                organisations,
                |request| Ok(PreviewInvitation { token: token(request)? }),
                |preview| Ok(HttpResponse::ok(&preview).cache("no-store")),
            ),
        Route::post("/v1/invitations/{token}/accept")
            .authenticated()
            .summary("Accept an invitation")
            .description("The account must have the address that was invited; accepting proves it.")
            .tag(TAG)
            .returns::<Membership>(200)
            .ask(
                organisations,
                |request| Ok(AcceptInvitation { token: token(request)?, user: caller(request)? }),
                |membership| Ok(HttpResponse::ok(&membership)),
            ),
        Route::post("/v1/invitations/{token}/decline")
            .public()
            .summary("Decline an invitation")
            .tag(TAG)
            .returns_nothing(204)
            .ask(
                organisations,
                |request| Ok(DeclineInvitation { token: token(request)? }),
                |()| Ok(HttpResponse::no_content()),
            ),
    ]
}
