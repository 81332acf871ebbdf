//! Confirming an address: for programs with JSON, for people with the page that the mail links to.
//!
//! Reading the page changes nothing, because mail scanners open links; its button does.

use troupe_actors::ServiceRef;
use troupe_kernel::{HttpResponse, Route, header};

use super::bodies::TokenBody;
use super::token;
use crate::messages::{
    AccountMessage, ConfirmEmail, EmailConfirmation, EmailPurpose, PreviewEmailToken,
};

const TAG: &str = "users";
/// The page loads nothing and may only send its own form.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

pub(super) fn routes(accounts: &ServiceRef<AccountMessage>) -> Vec<Route> {
    vec![
        Route::post("/v1/email-verification")
            .public()
            .summary("Confirm an address with the token of a mail")
            .tag(TAG)
            .body::<TokenBody>()
            .returns::<EmailConfirmation>(200)
            .ask(
                accounts,
                |request| {
                    let TokenBody { token } = request.json()?;
                    Ok(ConfirmEmail { token })
                },
                |confirmation| Ok(HttpResponse::ok(&confirmation)),
            ),
        Route::get("/v1/email-verification/{token}")
            .public()
            .summary("The page that a mail links to")
            .tag(TAG)
            .returns_media(200, "text/html")
            .ask(
                accounts,
                |request| Ok(PreviewEmailToken { token: token(request)? }),
                |confirmation| Ok(page(&confirmation)),
            ),
        Route::post("/v1/email-verification/{token}")
            .public()
            .summary("The button of that page")
            .tag(TAG)
            .returns_media(200, "text/html")
            .ask(
                accounts,
                |request| Ok(ConfirmEmail { token: token(request)? }),
                |confirmation| Ok(page(&confirmation)),
            ),
    ]
}

fn page(confirmation: &EmailConfirmation) -> HttpResponse {
    let email = escaped(&confirmation.email);
    let (title, content) = match (confirmation.confirmed, confirmation.purpose) {
        (true, EmailPurpose::Verify) => {
            ("Address confirmed", format!("<p>{email} is confirmed. You can close this page.</p>"))
        }
        (true, EmailPurpose::Change) => (
            "Address changed",
            format!("<p>Your account uses {email} from now on. You can close this page.</p>"),
        ),
        (false, EmailPurpose::Verify) => (
            "Confirm your address",
            format!("<p>Is {email} your address?</p>{}", button("Confirm the address")),
        ),
        (false, EmailPurpose::Change) => (
            "Confirm your new address",
            format!("<p>Shall your account use {email}?</p>{}", button("Use the new address")),
        ),
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

/// Sends the form to the address of the page itself.
fn button(label: &str) -> String {
    format!("<form method=\"post\"><button type=\"submit\">{label}</button></form>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_an_address_as_text_and_asks_before_it_changes_anything() {
        let confirmation = EmailConfirmation {
            purpose: EmailPurpose::Verify,
            email: "a&b<i>@example.org".to_owned(),
            confirmed: false,
        };
        let response = page(&confirmation);
        let text = String::from_utf8(response.body.to_vec()).unwrap();
        assert!(text.contains("a&amp;b&lt;i&gt;@example.org"), "{text}");
        assert!(text.contains("<form method=\"post\">"), "{text}");
        assert_eq!(response.headers[header::REFERRER_POLICY], "no-referrer");
        let done = page(&EmailConfirmation { confirmed: true, ..confirmation });
        assert!(!String::from_utf8(done.body.to_vec()).unwrap().contains("<form"));
    }
}
