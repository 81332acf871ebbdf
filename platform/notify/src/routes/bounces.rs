//! The HTTP face of marks on addresses, for administrators and for what reads reports of mail systems.

use troupe_actors::ServiceRef;
use troupe_kernel::pagination::Page;
use troupe_kernel::{HttpResponse, Route};

use crate::messages::{Bounce, ClearBounce, ListBounces, MailMessage, ReportBounce};
use crate::permissions::{BOUNCE_MANAGE, MAIL_READ};

const TAG: &str = "mails";

pub(super) fn routes(mails: &ServiceRef<MailMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/notify/bounces")
            .permission(MAIL_READ)
            .summary("List addresses that are not written to")
            .tag(TAG)
            .paginated()
            .returns::<Page<Bounce>>(200)
            .ask(
                mails,
                |request| Ok(ListBounces { page: request.page()? }),
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::post("/v1/notify/bounces")
            .permission(BOUNCE_MANAGE)
            .summary("Report that mail to an address comes back")
            .description("The address is not written to until the mark is cleared.")
            .tag(TAG)
            .body::<ReportBounce>()
            .returns::<Bounce>(200)
            .ask(
                mails,
                |request| request.json::<ReportBounce>(),
                |bounce| Ok(HttpResponse::ok(&bounce)),
            ),
        Route::delete("/v1/notify/bounces/{recipient}")
            .permission(BOUNCE_MANAGE)
            .summary("Write to an address again")
            .tag(TAG)
            .returns_nothing(204)
            .ask(
                mails,
                |request| Ok(ClearBounce { recipient: request.parameter("recipient")? }),
                |()| Ok(HttpResponse::no_content()),
            ),
    ]
}
