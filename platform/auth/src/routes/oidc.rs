//! Routes of logins with external providers, and of the identities that are linked.

use serde::Deserialize;
use troupe_actors::ServiceRef;
use troupe_kernel::http::{HttpRequest, HttpResponse};
use troupe_kernel::ids::TenantId;
use troupe_kernel::routes::Route;
use troupe_kernel::{Failure, StatusCode, header};
use utoipa::ToSchema;

use super::bodies::PasswordProofBody;
use super::{BODY_BYTES_MAX, NO_STORE, Services, TAG, device, person};
use crate::messages::{
    AccountMessage, Arrival, BeginLink, BeginSignIn, Challenge, Departure, ExternalIdentity,
    FinishSignIn, ListIdentities, ListProviders, OidcMessage, ProviderInfo, Tokens, UnlinkIdentity,
};
use crate::secret::SecretText;

/// Query of the start.
#[derive(Debug, Deserialize, ToSchema)]
struct StartQuery {
    /// The organisation to work in; the one joined first unless given.
    #[serde(default)]
    organisation: Option<TenantId>,
}

/// Query that a provider sends a browser back with.
#[derive(Debug, Deserialize, ToSchema)]
struct CallbackQuery {
    /// The state that went along.
    state: SecretText,
    /// The code; missing when the provider refused.
    #[serde(default)]
    code: Option<SecretText>,
    /// Why the provider refused.
    #[serde(default)]
    error: Option<String>,
    /// The provider that answers (RFC 9207).
    #[serde(default)]
    iss: Option<String>,
}

/// Where the page sends the browser to link an identity.
#[derive(Debug, serde::Serialize, ToSchema)]
struct LinkStart {
    /// The address at the provider.
    location: String,
}

pub(super) fn routes(services: &Services) -> Vec<Route> {
    let (oidc, accounts) = (&services.oidc, &services.accounts);
    vec![providers(oidc), start(oidc), callback(oidc), link(oidc), list(accounts), unlink(accounts)]
}

fn providers(oidc: &ServiceRef<OidcMessage>) -> Route {
    Route::get("/v1/auth/oidc")
        .public()
        .tag(TAG)
        .summary("The providers to log in with")
        .returns::<Vec<ProviderInfo>>(200)
        .ask(
            oidc,
            |_| Ok(ListProviders),
            |providers| Ok(HttpResponse::ok(&providers).cache("public, max-age=60")),
        )
}

fn start(oidc: &ServiceRef<OidcMessage>) -> Route {
    Route::get("/v1/auth/oidc/{provider}/start")
        .public()
        .tag(TAG)
        .summary("Send the browser to a provider, to log in")
        .description("A redirect with a cookie that binds the login to this browser.")
        .query::<StartQuery>()
        .returns_nothing(303)
        .ask(
            oidc,
            |request| {
                let StartQuery { organisation } = request.query()?;
                Ok(BeginSignIn { provider: request.parameter("provider")?, organisation })
            },
            |departure| {
                let away = HttpResponse::redirect(StatusCode::SEE_OTHER, &departure.location);
                Ok(bound(away, &departure))
            },
        )
}

fn link(oidc: &ServiceRef<OidcMessage>) -> Route {
    Route::post("/v1/auth/oidc/{provider}/link")
        .authenticated()
        .tag(TAG)
        .summary("Begin to link an identity at a provider with your account")
        .description("Send the browser to the answered address; the answer also sets the cookie that binds the way there and back to this browser. Takes your password; without one you must have logged in within ten minutes.")
        .body_limit(BODY_BYTES_MAX)
        .body::<PasswordProofBody>()
        .returns::<LinkStart>(200)
        .ask(
            oidc,
            |request| {
                let (user, _) = person(request)?;
                let PasswordProofBody { current_password } = request.json()?;
                Ok(BeginLink { provider: request.parameter("provider")?, user, current_password })
            },
            |departure| {
                let start = LinkStart { location: departure.location.clone() };
                Ok(bound(HttpResponse::ok(&start), &departure))
            },
        )
}

fn bound(response: HttpResponse, departure: &Departure) -> HttpResponse {
    response
        .cache(NO_STORE)
        .header(header::SET_COOKIE, departure.cookie.expose())
        .header(header::REFERRER_POLICY, "no-referrer")
}

fn callback(oidc: &ServiceRef<OidcMessage>) -> Route {
    Route::get("/v1/auth/oidc/{provider}/callback")
        .public()
        .tag(TAG)
        .summary("Take what the browser brings back from a provider")
        .description("Answers like `POST /v1/auth/login`: 200 with tokens, or 202 with a challenge; 201 with the identity after a link.")
        .query::<CallbackQuery>()
        .returns::<Tokens>(200)
        .returns::<ExternalIdentity>(201)
        .returns::<Challenge>(202)
        .ask(oidc, arrived, |arrival| {
            let response = match &arrival {
                Arrival::SignedIn(tokens) => HttpResponse::ok(tokens),
                Arrival::Challenged(challenge) => {
                    HttpResponse::json(StatusCode::ACCEPTED, challenge)
                }
                Arrival::Linked(identity) => {
                    HttpResponse::created("/v1/auth/identities", identity)
                }
            };
            Ok(response.cache(NO_STORE).header(header::REFERRER_POLICY, "no-referrer"))
        })
}

fn arrived(request: &HttpRequest) -> Result<FinishSignIn, Failure> {
    let CallbackQuery { state, code, error, iss } = request.query()?;
    Ok(FinishSignIn {
        provider: request.parameter("provider")?,
        state,
        code,
        error,
        issuer: iss,
        cookies: request.header("cookie").map(SecretText::new),
        device: device(request),
    })
}

fn list(accounts: &ServiceRef<AccountMessage>) -> Route {
    Route::get("/v1/auth/identities")
        .authenticated()
        .tag(TAG)
        .summary("Your identities at external providers")
        .returns::<Vec<ExternalIdentity>>(200)
        .ask(
            accounts,
            |request| Ok(ListIdentities { user: person(request)?.0 }),
            |identities| Ok(HttpResponse::ok(&identities).cache(NO_STORE)),
        )
}

fn unlink(accounts: &ServiceRef<AccountMessage>) -> Route {
    Route::delete("/v1/auth/identities/{id}")
        .authenticated()
        .tag(TAG)
        .summary("Log in with this identity no more")
        .returns_nothing(204)
        .ask(
            accounts,
            |request| {
                let (user, _) = person(request)?;
                Ok(UnlinkIdentity { user, identity: request.parameter("id")? })
            },
            |()| Ok(HttpResponse::no_content()),
        )
}
