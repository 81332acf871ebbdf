//! The HTTP face of mails: what became of them, for administrators of the platform; marks on addresses;
//! preferences.

mod bounces;
mod preferences;

use serde::Deserialize;
use troupe_actors::ServiceRef;
use troupe_kernel::pagination::Page;
use troupe_kernel::{HttpResponse, Route, StatusCode};
use utoipa::ToSchema;

use crate::messages::{GetMail, ListMails, MailMessage, MailRecord, MailState, ResendMail};
use crate::permissions::{MAIL_READ, MAIL_RESEND};

const TAG: &str = "mails";

/// Which mails to answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MailQuery {
    /// Only mails in this state.
    state: Option<MailState>,
    /// Only mails to this address, compared without case.
    recipient: Option<String>,
}

/// All routes of mails.
pub(crate) fn routes(mails: &ServiceRef<MailMessage>) -> Vec<Route> {
    let mut routes = records(mails);
    routes.extend(bounces::routes(mails));
    routes.extend(preferences::routes(mails));
    routes
}

fn records(mails: &ServiceRef<MailMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/notify/mails")
            .permission(MAIL_READ)
            .summary("List mails and what became of them")
            .tag(TAG)
            .query::<MailQuery>()
            .paginated()
            .returns::<Page<MailRecord>>(200)
            .ask(
                mails,
                |request| {
                    let MailQuery { state, recipient } = request.query()?;
                    Ok(ListMails { state, recipient, page: request.page()? })
                },
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::get("/v1/notify/mails/{id}")
            .permission(MAIL_READ)
            .summary("See what became of a mail")
            .tag(TAG)
            .returns::<MailRecord>(200)
            .ask(
                mails,
                |request| Ok(GetMail { id: request.parameter("id")? }),
                |record| Ok(HttpResponse::ok(&record)),
            ),
        Route::post("/v1/notify/mails/{id}/resend")
            .permission(MAIL_RESEND)
            .summary("Send a mail again")
            .description(
                "Possible until its content is erased. Links in it may have ended by then.",
            )
            .tag(TAG)
            .returns::<MailRecord>(202)
            .ask(
                mails,
                |request| Ok(ResendMail { id: request.parameter("id")? }),
                |record| Ok(HttpResponse::json(StatusCode::ACCEPTED, &record)),
            ),
    ]
}
