//! The routes of auth: `/v1/auth/…`, the public keys, the sign-in page and the pages
//! behind links.
//!
//! Answers that carry a secret or an account's state are never cached.

mod accounts;
mod api_keys;
mod bodies;
mod oidc;
mod pages;
mod passkeys;
mod second_factor;
mod sessions;

use troupe_actors::{PrincipalKind, ServiceRef};
use troupe_kernel::error::Failure;
use troupe_kernel::http::{HttpRequest, HttpResponse};
use troupe_kernel::ids::{SessionId, UserId};
use troupe_kernel::routes::Route;

use crate::error;
use crate::messages::{
    AccountMessage, ApiKeyMessage, GetPublicKeys, KeyMessage, LoginMessage, OidcMessage,
    PageMessage, PasskeyMessage, SecondFactorMessage, SessionMessage,
};

const TAG: &str = "auth";
const NO_STORE: &str = "no-store";
/// Longest body: the longest password in the widest encoding and the other fields.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// What the routes ask.
pub(crate) struct Services {
    pub(crate) accounts: ServiceRef<AccountMessage>,
    pub(crate) login: ServiceRef<LoginMessage>,
    pub(crate) oidc: ServiceRef<OidcMessage>,
    pub(crate) passkeys: ServiceRef<PasskeyMessage>,
    pub(crate) second_factors: ServiceRef<SecondFactorMessage>,
    pub(crate) sessions: ServiceRef<SessionMessage>,
    pub(crate) api_keys: ServiceRef<ApiKeyMessage>,
    pub(crate) keys: ServiceRef<KeyMessage>,
    pub(crate) pages: ServiceRef<PageMessage>,
}

/// All routes.
pub(crate) fn routes(services: &Services) -> Vec<Route> {
    let mut routes = accounts::routes(services);
    routes.extend(sessions::routes(services));
    routes.extend(second_factor::routes(services));
    routes.extend(passkeys::routes(services));
    routes.extend(oidc::routes(services));
    routes.extend(api_keys::routes(&services.api_keys));
    routes.extend(pages::routes(&services.pages));
    routes.push(public_keys(&services.keys));
    routes
}

fn public_keys(keys: &ServiceRef<KeyMessage>) -> Route {
    Route::get("/.well-known/jwks.json")
        .public()
        .tag(TAG)
        .summary("The keys that verify access tokens")
        .description("A JSON Web Key Set (RFC 7517) of Ed25519 keys (RFC 8037).")
        .returns::<crate::keys::PublicKeySet>(200)
        .ask(
            keys,
            |_| Ok(GetPublicKeys),
            |keys| Ok(HttpResponse::ok(&keys).cache("public, max-age=300")),
        )
}

/// The user and the session of a person; an API key has neither.
fn person(request: &HttpRequest) -> Result<(UserId, SessionId), Failure> {
    let principal = request.principal()?;
    match (principal.kind, principal.session) {
        (PrincipalKind::User, Some(session)) => Ok((principal.subject.into(), session.into())),
        _ => Err(error::not_a_person()),
    }
}

fn device(request: &HttpRequest) -> Option<String> {
    request.header("user-agent").map(str::to_owned)
}
