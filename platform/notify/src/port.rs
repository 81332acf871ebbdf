//! The kernel's notifier port over the mail service.

use troupe_actors::{Scope, ServiceRef};
use troupe_kernel::ports::{BoxFuture, Notifier};
use troupe_kernel::{Failure, Mail};

use crate::messages::{MailMessage, SendMail};

/// Sends a mail now, in one attempt; the outbox shows it like any other.
pub(crate) struct Port {
    mails: ServiceRef<MailMessage>,
}

impl Port {
    pub(crate) fn new(mails: ServiceRef<MailMessage>) -> Self {
        Self { mails }
    }
}

impl Notifier for Port {
    fn send<'a>(&'a self, mail: Mail, scope: &'a Scope) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.mails.ask(scope, SendMail { mail }))
    }
}
