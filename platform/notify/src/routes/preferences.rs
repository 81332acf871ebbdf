//! The HTTP face of preferences: for their user, and for whoever holds the link of a letter.
//!
//! Reading the link's page changes nothing, because mail scanners open links; its button does, and so
//! does the button of mail programs, which post to the same address (RFC 8058).

use serde::{Deserialize, Serialize};
use troupe_actors::ServiceRef;
use troupe_kernel::ids::UserId;
use troupe_kernel::{Failure, HttpRequest, HttpResponse, PrincipalKind, Route, SecretText, header};
use utoipa::ToSchema;

use crate::error;
use crate::messages::{
    ListPreferences, MailMessage, Preference, PreviewUnsubscribe, SetPreference, Unsubscribe,
};

const TAG: &str = "notifications";
/// The page loads nothing and may only send its own form.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// What a user says about a kind of letter.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PreferenceChange {
    /// Whether it is sent by mail.
    mail: bool,
}

pub(super) fn routes(mails: &ServiceRef<MailMessage>) -> Vec<Route> {
    let mut routes = own(mails);
    routes.extend(by_link(mails));
    routes
}

fn own(mails: &ServiceRef<MailMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/notify/preferences")
            .authenticated()
            .summary("List the kinds of letter that one may switch off")
            .description("Letters about the security of an account are not among them.")
            .tag(TAG)
            .returns::<Vec<Preference>>(200)
            .ask(
                mails,
                |request| Ok(ListPreferences { user: caller(request)? }),
                |preferences| Ok(HttpResponse::ok(&preferences)),
            ),
        Route::put("/v1/notify/preferences/{notice}")
            .authenticated()
            .summary("Switch a kind of letter off or on")
            .tag(TAG)
            .body::<PreferenceChange>()
            .returns::<Preference>(200)
            .ask(
                mails,
                |request| {
                    let (user, notice) = (caller(request)?, request.parameter("notice")?);
                    let PreferenceChange { mail } = request.json()?;
                    Ok(SetPreference { user, notice, mail })
                },
                |preference| Ok(HttpResponse::ok(&preference)),
            ),
    ]
}

fn by_link(mails: &ServiceRef<MailMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/notify/unsubscribe/{token}")
            .public()
            .summary("The page that a letter links to")
            .tag(TAG)
            .returns_media(200, "text/html")
            .ask(
                mails,
                |request| Ok(PreviewUnsubscribe { token: token(request)? }),
                |preference: Preference| Ok(page(&preference)),
            ),
        Route::post("/v1/notify/unsubscribe/{token}")
            .public()
            .summary("The button of that page, and of mail programs (RFC 8058)")
            .tag(TAG)
            .returns_media(200, "text/html")
            .ask(
                mails,
                |request| Ok(Unsubscribe { token: token(request)? }),
                |preference: Preference| Ok(page(&preference)),
            ),
    ]
}

fn caller(request: &HttpRequest) -> Result<UserId, Failure> {
    let person = request.scope.principal().filter(|one| one.kind == PrincipalKind::User);
    person.map(|one| UserId::from(one.subject)).ok_or_else(error::no_user)
}

fn token(request: &HttpRequest) -> Result<SecretText, Failure> {
    Ok(SecretText::new(request.parameter::<String>("token")?))
}

/// What is asked before, and what is said after the button was pressed.
fn page(preference: &Preference) -> HttpResponse {
    let what = escaped(&preference.title);
    let (title, content) = if preference.mail {
        (
            "Stop these letters",
            format!(
                "<p>Shall we stop writing to you about this: {what}?</p><form method=\"post\">\
                 <button type=\"submit\">Stop these letters</button></form>"
            ),
        )
    } else {
        ("Done", format!("<p>We no longer write to you about this: {what}.</p>"))
    };
    HttpResponse::html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:32rem;\
         margin:4rem auto;padding:0 1rem}}button{{font:inherit;padding:.5rem 1rem}}</style></head>\
         <body><h1>{title}</h1>{content}</body></html>"
    ))
    .cache("no-store")
    .header(header::REFERRER_POLICY, "no-referrer")
    .header(header::CONTENT_SECURITY_POLICY, POLICY)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
