//! The sign-in page, and those behind the links that auth prints and mails: set-up and password reset.
//!
//! A page loads its own script and style and nothing else, and cannot be framed. The token of a
//! link stands in the fragment, which browsers never send.

use troupe_actors::ServiceRef;
use troupe_kernel::error::Failure;
use troupe_kernel::header;
use troupe_kernel::http::HttpResponse;
use troupe_kernel::routes::Route;

use super::TAG;
use crate::messages::{GetPage, PageMessage, PageName};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(super) fn routes(pages: &ServiceRef<PageMessage>) -> Vec<Route> {
    [
        ("/setup", PageName::Setup, "The page that sets the platform up"),
        ("/setup/setup.js", PageName::SetupScript, "The script of the set-up page"),
        ("/setup/page.css", PageName::Style, "The style of the set-up page"),
        ("/reset-password", PageName::Reset, "The page that sets a new password"),
        ("/reset-password/reset.js", PageName::ResetScript, "The script of the reset page"),
        ("/reset-password/page.css", PageName::Style, "The style of the reset page"),
        ("/sign-in", PageName::SignIn, "The page that signs in and shows your passkeys"),
        ("/sign-in/sign-in.js", PageName::SignInScript, "The script of the sign-in page"),
        ("/sign-in/page.css", PageName::Style, "The style of the sign-in page"),
    ]
    .into_iter()
    .map(|(path, name, summary)| page(pages, path, name, summary))
    .collect()
}

fn page(pages: &ServiceRef<PageMessage>, path: &str, name: PageName, summary: &str) -> Route {
    Route::get(path).public().tag(TAG).summary(summary).returns_media(200, name.media_type()).ask(
        pages,
        move |_| Ok(GetPage { name }),
        move |text| respond(name, text),
    )
}

fn respond(name: PageName, text: String) -> Result<HttpResponse, Failure> {
    let media_type = format!("{}; charset=utf-8", name.media_type());
    Ok(HttpResponse::bytes(&media_type, text.into())
        .cache("no-cache")
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::REFERRER_POLICY, "no-referrer"))
}
