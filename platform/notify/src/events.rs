//! The events of notify: a mail left the house, or will not.

use serde::Serialize;
use troupe_kernel::Event;
use troupe_kernel::ids::TenantId;

use crate::messages::{MailId, MailState};
use crate::repository::MailRow;

/// A mail was taken by the mail server.
pub(crate) const MAIL_SENT: &str = "notify.mail.sent";
/// A mail was refused or tried too often.
pub(crate) const MAIL_FAILED: &str = "notify.mail.failed";

/// An address is not written to any more, because the mail server refused it.
pub(crate) const ADDRESS_HELD_BACK: &str = "notify.address.held_back";

/// Payload of all. It names no recipient.
#[derive(Debug, Serialize)]
struct MailEvent<'a> {
    mail: MailId,
    template: &'a str,
    attempts: i32,
}

/// The event of a mark: it names the mail, whose record has the address.
pub(crate) fn held_back(row: &MailRow) -> Event {
    event(ADDRESS_HELD_BACK, row)
}

/// The event of a state that ends a mail; none for one that waits.
pub(crate) fn ended(row: &MailRow) -> Option<Event> {
    let kind = match () {
        () if row.is(MailState::Sent) => MAIL_SENT,
        () if row.is(MailState::Failed) => MAIL_FAILED,
        () => return None,
    };
    Some(event(kind, row))
}

fn event(kind: &str, row: &MailRow) -> Event {
    let mail: MailId = row.id.to();
    let data = MailEvent { mail, template: &row.template, attempts: row.attempts };
    let event = Event::new(kind, mail, &data);
    match row.tenant {
        Some(tenant) => event.tenant(TenantId(tenant.0)),
        None => event,
    }
}
