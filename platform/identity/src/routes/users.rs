//! Routes of accounts: one's own, and those of everybody for administrators.

use troupe_actors::ServiceRef;
use troupe_identity_messages::{Membership, User};
use troupe_kernel::pagination::Page;
use troupe_kernel::{HttpResponse, Route};

use super::bodies::{EmailChange, PasswordProof, ProfileChange, ReasonBody, UserQuery};
use super::caller;
use crate::messages::{
    AccountMessage, CancelDeletion, GetProfile, LeaveOrganisation, ListOwnOrganisations,
    OrganisationMessage, ReinstateUser, RequestDeletion, RequestEmailChange, RequestVerification,
    SearchUsers, SuspendUser, UpdateProfile,
};
use crate::permissions::{USER_SEARCH, USER_SUSPEND};

const TAG: &str = "users";

pub(super) fn routes(
    accounts: &ServiceRef<AccountMessage>,
    organisations: &ServiceRef<OrganisationMessage>,
) -> Vec<Route> {
    let mut routes = own(accounts);
    routes.extend(own_address(accounts));
    routes.extend(own_deletion(accounts));
    routes.extend(own_organisations(organisations));
    routes.extend(administration(accounts));
    routes
}

fn own(accounts: &ServiceRef<AccountMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/users/me")
            .authenticated()
            .summary("Read one's own profile")
            .tag(TAG)
            .returns::<User>(200)
            .ask(
                accounts,
                |request| Ok(GetProfile { user: caller(request)? }),
                |user| Ok(HttpResponse::ok(&user).etag(user.version)),
            ),
        Route::patch("/v1/users/me")
            .authenticated()
            .summary("Change one's own profile")
            .tag(TAG)
            .versioned()
            .body::<ProfileChange>()
            .returns::<User>(200)
            .ask(
                accounts,
                |request| {
                    let (user, version) = (caller(request)?, request.if_match()?);
                    let ProfileChange { display_name, locale, time_zone } = request.json()?;
                    Ok(UpdateProfile { user, version, display_name, locale, time_zone })
                },
                |user| Ok(HttpResponse::ok(&user).etag(user.version)),
            ),
    ]
}

fn own_address(accounts: &ServiceRef<AccountMessage>) -> Vec<Route> {
    vec![
        Route::post("/v1/users/me/email-verification")
            .authenticated()
            .summary("Send the mail that proves one's address again")
            .description("At most one mail a minute and five a day; 429 says when to come back.")
            .tag(TAG)
            .returns_nothing(202)
            .ask(
                accounts,
                |request| Ok(RequestVerification { user: caller(request)? }),
                |()| Ok(HttpResponse::accepted()),
            ),
        Route::post("/v1/users/me/email-change")
            .authenticated()
            .summary("Begin to change one's address")
            .description(
                "The new address gets a mail with a link; the change happens when the link is used. \
                 The answer does not tell whether another account has the address. A wrong password \
                 counts like a failed login; no reply is kept for an Idempotency-Key.",
            )
            .tag(TAG)
            .body::<EmailChange>()
            .returns_nothing(202)
            .ask(
                accounts,
                |request| {
                    let user = caller(request)?;
                    let EmailChange { email, current_password } = request.json()?;
                    Ok(RequestEmailChange { user, email, current_password })
                },
                |()| Ok(HttpResponse::accepted()),
            ),
    ]
}

fn own_deletion(accounts: &ServiceRef<AccountMessage>) -> Vec<Route> {
    vec![
        Route::post("/v1/users/me/deletion")
            .authenticated()
            .summary("Ask for the deletion of one's account")
            .description(
                "`deletion_due_at` of the answer says when it happens; until then it can be taken \
                 back. A wrong password counts like a failed login; no reply is kept for an \
                 Idempotency-Key.",
            )
            .tag(TAG)
            .body::<PasswordProof>()
            .returns::<User>(202)
            .ask(
                accounts,
                |request| {
                    let user = caller(request)?;
                    let PasswordProof { current_password } = request.json()?;
                    Ok(RequestDeletion { user, current_password })
                },
                |user| {
                    let status = troupe_kernel::StatusCode::ACCEPTED;
                    Ok(HttpResponse::json(status, &user).etag(user.version))
                },
            ),
        Route::delete("/v1/users/me/deletion")
            .authenticated()
            .summary("Take the request for deletion back")
            .tag(TAG)
            .returns::<User>(200)
            .ask(
                accounts,
                |request| Ok(CancelDeletion { user: caller(request)? }),
                |user| Ok(HttpResponse::ok(&user).etag(user.version)),
            ),
    ]
}

fn own_organisations(organisations: &ServiceRef<OrganisationMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/users/me/organisations")
            .authenticated()
            .summary("List the organisations one belongs to")
            .tag(TAG)
            .returns::<Vec<Membership>>(200)
            .ask(
                organisations,
                |request| Ok(ListOwnOrganisations { user: caller(request)? }),
                |memberships| Ok(HttpResponse::ok(&memberships)),
            ),
        Route::delete("/v1/users/me/organisations/{id}")
            .authenticated()
            .summary("Leave an organisation")
            .description("The last owner cannot leave.")
            .tag(TAG)
            .returns_nothing(204)
            .ask(
                organisations,
                |request| {
                    let organisation = request.parameter("id")?;
                    Ok(LeaveOrganisation { organisation, user: caller(request)? })
                },
                |()| Ok(HttpResponse::no_content()),
            ),
    ]
}

fn administration(accounts: &ServiceRef<AccountMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/users")
            .permission(USER_SEARCH)
            .summary("Search all users")
            .tag(TAG)
            .query::<UserQuery>()
            .paginated()
            .returns::<Page<User>>(200)
            .ask(
                accounts,
                |request| {
                    let UserQuery { text, status } = request.query()?;
                    Ok(SearchUsers { text, status, page: request.page()? })
                },
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::get("/v1/users/{id}")
            .permission(USER_SEARCH)
            .summary("Read any user")
            .tag(TAG)
            .returns::<User>(200)
            .ask(
                accounts,
                |request| Ok(GetProfile { user: request.parameter("id")? }),
                |user| Ok(HttpResponse::ok(&user).etag(user.version)),
            ),
        Route::post("/v1/users/{id}/suspend")
            .permission(USER_SUSPEND)
            .summary("Bar a user; all sessions end at once")
            .tag(TAG)
            .body::<ReasonBody>()
            .returns::<User>(200)
            .ask(
                accounts,
                |request| {
                    let ReasonBody { reason } = request.json()?;
                    Ok(SuspendUser { user: request.parameter("id")?, reason })
                },
                |user| Ok(HttpResponse::ok(&user).etag(user.version)),
            ),
        Route::post("/v1/users/{id}/reinstate")
            .permission(USER_SUSPEND)
            .summary("Let a barred user in again")
            .tag(TAG)
            .returns::<User>(200)
            .ask(
                accounts,
                |request| Ok(ReinstateUser { user: request.parameter("id")? }),
                |user| Ok(HttpResponse::ok(&user).etag(user.version)),
            ),
    ]
}
