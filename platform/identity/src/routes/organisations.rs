//! Routes of organisations and their members.

use troupe_actors::ServiceRef;
use troupe_identity_messages::Organisation;
use troupe_kernel::ids::TenantId;
use troupe_kernel::pagination::Page;
use troupe_kernel::{HttpResponse, Route};

use super::bodies::{
    NewOrganisation, OrganisationChange, OrganisationQuery, ReasonBody, RoleChange,
};
use super::{Services, caller, own_organisation};
use crate::messages::{
    ChangeMemberRole, CloseOrganisation, FoundOrganisation, GetOwnOrganisation, ListMembers,
    Member, OrganisationMessage, ReinstateOrganisation, RemoveMember, SearchOrganisations,
    SuspendOrganisation, UpdateOrganisation,
};
use crate::permissions::{
    MEMBER_MANAGE, MEMBER_READ, ORGANISATION_CLOSE, ORGANISATION_READ, ORGANISATION_SEARCH,
    ORGANISATION_SUSPEND, ORGANISATION_UPDATE,
};

const TAG: &str = "organisations";

pub(super) fn routes(services: &Services) -> Vec<Route> {
    let mut routes = vec![creation(services)];
    routes.extend(own(&services.organisations));
    routes.extend(members(&services.organisations));
    routes.extend(administration(&services.organisations));
    routes
}

fn creation(services: &Services) -> Route {
    let clock = services.clock.clone();
    Route::post("/v1/organisations")
        .authenticated()
        .summary("Make an organisation and become its owner")
        .tag(TAG)
        .body::<NewOrganisation>()
        .returns::<Organisation>(201)
        .ask(
            &services.organisations,
            move |request| {
                let NewOrganisation { name, slug } = request.json()?;
                let owner = caller(request)?;
                Ok(FoundOrganisation { id: TenantId::new(&*clock), slug, name, owner })
            },
            |made| {
                let location = format!("/v1/organisations/{}", made.id);
                Ok(HttpResponse::created(location, &made).etag(made.version))
            },
        )
}

fn own(organisations: &ServiceRef<OrganisationMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/organisations/{id}")
            .permission(ORGANISATION_READ)
            .summary("Read the organisation")
            .tag(TAG)
            .returns::<Organisation>(200)
            .ask(
                organisations,
                |request| Ok(GetOwnOrganisation { organisation: own_organisation(request)? }),
                |organisation| Ok(HttpResponse::ok(&organisation).etag(organisation.version)),
            ),
        Route::patch("/v1/organisations/{id}")
            .permission(ORGANISATION_UPDATE)
            .summary("Change name or slug of the organisation")
            .tag(TAG)
            .versioned()
            .body::<OrganisationChange>()
            .returns::<Organisation>(200)
            .ask(
                organisations,
                |request| {
                    let organisation = own_organisation(request)?;
                    let version = request.if_match()?;
                    let OrganisationChange { name, slug } = request.json()?;
                    Ok(UpdateOrganisation { organisation, version, name, slug })
                },
                |organisation| Ok(HttpResponse::ok(&organisation).etag(organisation.version)),
            ),
        Route::post("/v1/organisations/{id}/close")
            .permission(ORGANISATION_CLOSE)
            .summary("Close the organisation for good")
            .description("All members lose their roles in it; its data stays until it is erased.")
            .tag(TAG)
            .versioned()
            .returns::<Organisation>(200)
            .ask(
                organisations,
                |request| {
                    let organisation = own_organisation(request)?;
                    Ok(CloseOrganisation { organisation, version: request.if_match()? })
                },
                |organisation| Ok(HttpResponse::ok(&organisation).etag(organisation.version)),
            ),
    ]
}

fn members(organisations: &ServiceRef<OrganisationMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/organisations/{id}/members")
            .permission(MEMBER_READ)
            .summary("List the members")
            .tag(TAG)
            .paginated()
            .returns::<Page<Member>>(200)
            .ask(
                organisations,
                |request| {
                    let organisation = own_organisation(request)?;
                    Ok(ListMembers { organisation, page: request.page()? })
                },
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::patch("/v1/organisations/{id}/members/{user}")
            .permission(MEMBER_MANAGE)
            .summary("Change a member's role")
            .description(
                "Only roles within one's own permissions can be given and taken. `If-Match` with \
                 the member's version is optional.",
            )
            .tag(TAG)
            .body::<RoleChange>()
            .returns::<Member>(200)
            .ask(
                organisations,
                |request| {
                    let organisation = own_organisation(request)?;
                    let (user, version) =
                        (request.parameter("user")?, request.if_match_optional()?);
                    let RoleChange { role } = request.json()?;
                    Ok(ChangeMemberRole { organisation, user, role, version })
                },
                |member| Ok(HttpResponse::ok(&member).etag(member.version)),
            ),
        Route::delete("/v1/organisations/{id}/members/{user}")
            .permission(MEMBER_MANAGE)
            .summary("Remove a member")
            .tag(TAG)
            .returns_nothing(204)
            .ask(
                organisations,
                |request| {
                    let organisation = own_organisation(request)?;
                    Ok(RemoveMember { organisation, user: request.parameter("user")? })
                },
                |()| Ok(HttpResponse::no_content()),
            ),
    ]
}

fn administration(organisations: &ServiceRef<OrganisationMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/organisations")
            .permission(ORGANISATION_SEARCH)
            .summary("Search all organisations of the platform")
            .tag(TAG)
            .query::<OrganisationQuery>()
            .paginated()
            .returns::<Page<Organisation>>(200)
            .ask(
                organisations,
                |request| {
                    let OrganisationQuery { text, status } = request.query()?;
                    Ok(SearchOrganisations { text, status, page: request.page()? })
                },
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::post("/v1/organisations/{id}/suspend")
            .permission(ORGANISATION_SUSPEND)
            .summary("Bar an organisation")
            .tag(TAG)
            .body::<ReasonBody>()
            .returns::<Organisation>(200)
            .ask(
                organisations,
                |request| {
                    let ReasonBody { reason } = request.json()?;
                    Ok(SuspendOrganisation { organisation: request.parameter("id")?, reason })
                },
                |organisation| Ok(HttpResponse::ok(&organisation).etag(organisation.version)),
            ),
        Route::post("/v1/organisations/{id}/reinstate")
            .permission(ORGANISATION_SUSPEND)
            .summary("Let a barred or closed organisation work again")
            .tag(TAG)
            .returns::<Organisation>(200)
            .ask(
                organisations,
                |request| Ok(ReinstateOrganisation { organisation: request.parameter("id")? }),
                |organisation| Ok(HttpResponse::ok(&organisation).etag(organisation.version)),
            ),
    ]
}
