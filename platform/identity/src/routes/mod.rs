//! The HTTP face of identity: requests become messages, replies become responses.
//!
//! An organisation in a path must be the one of the token; any other is answered like one that does
//! not exist.

mod bodies;
mod invitations;
mod organisations;
mod pages;
mod users;

use troupe_actors::{PrincipalKind, ServiceRef};
use troupe_kernel::ids::{TenantId, UserId};
use troupe_kernel::{Failure, HttpRequest, Route, SharedClock};

use crate::error;
use crate::messages::{AccountMessage, OrganisationMessage};

/// The services that routes ask.
pub(crate) struct Services {
    pub(crate) accounts: ServiceRef<AccountMessage>,
    pub(crate) organisations: ServiceRef<OrganisationMessage>,
    pub(crate) clock: SharedClock,
}

/// All routes of identity.
pub(crate) fn routes(services: &Services) -> Vec<Route> {
    let mut routes = users::routes(&services.accounts, &services.organisations);
    routes.extend(pages::routes(&services.accounts));
    routes.extend(organisations::routes(services));
    routes.extend(invitations::routes(&services.organisations));
    routes
}

/// The user who asks.
fn caller(request: &HttpRequest) -> Result<UserId, Failure> {
    let principal = request.principal()?;
    if principal.kind != PrincipalKind::User {
        // An API key has its maker's id; what it may do is bounded, and an account is not in it.
        let detail = "this is for people with a session; an API key cannot do it";
        return Err(Failure::forbidden("identity.principal.not_a_user", detail));
    }
    Ok(UserId(principal.subject))
}

/// The organisation in the path, which must be the token's.
fn own_organisation(request: &HttpRequest) -> Result<TenantId, Failure> {
    let id: TenantId = request.parameter("id")?;
    let own = request.principal()?.tenant;
    if own == Some(id.uuid()) { Ok(id) } else { Err(error::organisation_not_found()) }
}

/// The token in the path.
fn token(request: &HttpRequest) -> Result<String, Failure> {
    request.parameter("token")
}
