//! What notify registers: its table, permissions, actors, routes and jobs.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use troupe_actors::{ServiceRef, Spec, Supervisor};
use troupe_database::Db;
use troupe_kernel::mail::MAIL_JOB;
use troupe_kernel::ports::Notifier;
use troupe_kernel::{
    Failure, InitFault, JobContext, JobHandler, Manifest, Module, ModuleContext, Parts,
};

use crate::config::NotifyConfig;
use crate::delivery::Office;
use crate::messages::{Attempt, DeliverMail, EraseOldMails, MailId, MailMessage, RedeliverMail};
use crate::permissions;
use crate::port::Port;
use crate::repository::MIGRATIONS;
use crate::routes;
use crate::service::{CAPACITY, Mails};

/// The job that delivers a mail from the outbox again.
pub(crate) const RESEND_JOB: &str = "notify.resend";
/// The job that erases the content of old mails.
const ERASE_JOB: &str = "notify.erase";
/// The queue of mails, a bulkhead of its own.
const QUEUE: &str = "mail";
/// One attempt: connection, login and transfer, each within the server's timeout.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(120);

/// Mail templates and their delivery.
///
/// Requires `Db`. Provides `dyn Notifier` and `ServiceRef<MailMessage>`.
#[derive(Debug, Default)]
pub struct NotifyModule;

#[derive(Deserialize)]
struct OfMail {
    mail: MailId,
}

impl Module for NotifyModule {
    fn manifest(&self) -> Manifest {
        Manifest { name: "notify", version: env!("CARGO_PKG_VERSION"), dependencies: &[] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let config: Arc<NotifyConfig> = Arc::new(ctx.config()?);
        let db = (*ctx.require::<Db>()?).clone();
        let office = Office::new(config.clone());
        let workers = config.workers;
        let (mails, child) = Spec::new(ctx.system(), "mails", move || {
            Mails::new(db.clone(), office.clone(), config.clone())
        })
        .capacity(CAPACITY)
        .workers(workers)
        .stop_within(Duration::from_secs(20))
        .build();
        let tree = Supervisor::new(ctx.system(), "notify").child(child);
        ctx.provide::<dyn Notifier>(Arc::new(Port::new(mails.clone())));
        ctx.provide(Arc::new(mails.clone()));
        Ok(Parts::new()
            .permissions(permissions::PERMISSIONS)
            .roles(permissions::roles())
            .migrations(MIGRATIONS)
            .child(tree.into_spec())
            .routes(routes::routes(&mails))
            .job(deliver(&mails))
            .job(redeliver(&mails))
            .job(erase(&mails)))
    }
}

fn attempt_of(job: &JobContext) -> Attempt {
    Attempt { number: job.attempt, of: job.job.attempts_max }
}

fn deliver(mails: &ServiceRef<MailMessage>) -> JobHandler {
    JobHandler::new(MAIL_JOB).queue(QUEUE).timeout(ATTEMPT_TIMEOUT).ask(mails, |job| {
        let mail = job.payload()?;
        Ok(DeliverMail { id: MailId(job.id), mail, attempt: attempt_of(job) })
    })
}

fn redeliver(mails: &ServiceRef<MailMessage>) -> JobHandler {
    JobHandler::new(RESEND_JOB).queue(QUEUE).timeout(ATTEMPT_TIMEOUT).ask(mails, |job| {
        let OfMail { mail } = job.payload()?;
        Ok(RedeliverMail { id: mail, attempt: attempt_of(job) })
    })
}

fn erase(mails: &ServiceRef<MailMessage>) -> JobHandler {
    JobHandler::new(ERASE_JOB).cron("41 3 * * *").ask(mails, |_| Ok::<_, Failure>(EraseOldMails))
}
