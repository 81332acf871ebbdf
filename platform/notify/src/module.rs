//! What notify registers: its tables, permissions, actors, routes, jobs and subscription.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use troupe_actors::{ChildSpec, ServiceRef, Spec, Supervisor};
use troupe_database::Db;
use troupe_kernel::mail::MAIL_JOB;
use troupe_kernel::ports::{Notifier, SecretSealer};
use troupe_kernel::{
    Failure, InitFault, JobContext, JobHandler, Manifest, Module, ModuleContext, Parts,
    Subscription,
};

use crate::config::{NotifyConfig, WebhookConfig};
use crate::delivery::Office;
use crate::messages::{Attempt, DeliverMail, EraseOldMails, MailId, MailMessage, RedeliverMail};
use crate::permissions;
use crate::port::Port;
use crate::repository::MIGRATIONS;
use crate::routes;
use crate::service::{CAPACITY, Mails};
use crate::webhooks;
use crate::webhooks::client::Client;
use crate::webhooks::courier::Courier;
use crate::webhooks::deliveries::CONSUMER;
use crate::webhooks::messages::{
    AttemptDelivery, CourierMessage, OfferEvent, PruneDeliveries, WebhookMessage,
};
use crate::webhooks::service::Webhooks;

/// The job that delivers a mail from the outbox again.
pub(crate) const RESEND_JOB: &str = "notify.resend";
/// The job that erases the content of old mails.
const ERASE_JOB: &str = "notify.erase";
/// The queue of mails, a bulkhead of its own.
const QUEUE: &str = "mail";
/// Workers that answer requests about webhooks and take events.
const DESK_WORKERS: usize = 4;
/// One attempt: connection, login and transfer, each within the server's timeout.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(120);

/// Mail templates and their delivery, and webhooks.
///
/// Requires `Db` and `dyn SecretSealer`. Provides `dyn Notifier` and `ServiceRef<MailMessage>`.
#[derive(Debug, Default)]
pub struct NotifyModule;

#[derive(Deserialize)]
struct OfMail {
    mail: MailId,
}

impl Module for NotifyModule {
    fn manifest(&self) -> Manifest {
        Manifest { name: "notify", version: env!("CARGO_PKG_VERSION"), dependencies: &["auth"] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let config: Arc<NotifyConfig> = Arc::new(ctx.config()?);
        let db = (*ctx.require::<Db>()?).clone();
        let office = Office::new(config.clone());
        let reload = office.reload();
        let (workers, of_hooks) = (config.workers, config.webhooks.clone());
        let worker = Mails {
            db,
            office,
            config,
            sealer: ctx.require::<dyn SecretSealer>()?,
            declarations: ctx.declarations(),
        };
        let (mails, child) = Spec::new(ctx.system(), "mails", move || worker.clone())
            .capacity(CAPACITY)
            .workers(workers)
            .stop_within(Duration::from_secs(20))
            .build();
        let hooks = Hooks::build(ctx, &of_hooks)?;
        let tree = Supervisor::new(ctx.system(), "notify").child(child).children(hooks.children);
        ctx.provide::<dyn Notifier>(Arc::new(Port::new(mails.clone())));
        ctx.provide(Arc::new(mails.clone()));
        Ok(Parts::new()
            .permissions(permissions::PERMISSIONS)
            .roles(permissions::roles())
            .migrations(MIGRATIONS)
            .reload(reload)
            .child(tree.into_spec())
            .routes(routes::routes(&mails))
            .job(deliver(&mails))
            .job(redeliver(&mails))
            .job(erase(&mails))
            .routes(webhooks::routes::routes(&hooks.webhooks))
            .job(attempt(&hooks.couriers))
            .job(prune(&hooks.webhooks))
            .subscription(offer(&hooks.webhooks, &of_hooks)))
    }
}

/// The actors of webhooks.
struct Hooks {
    webhooks: ServiceRef<WebhookMessage>,
    couriers: ServiceRef<CourierMessage>,
    children: [ChildSpec; 2],
}

impl Hooks {
    fn build(ctx: &mut ModuleContext<'_>, config: &WebhookConfig) -> Result<Self, Vec<InitFault>> {
        let tls = config
            .tls()
            .map_err(|detail| InitFault::new(format!("notify.webhooks.ca_file: {detail}")))?;
        let shared = Arc::new(webhooks::Shared {
            db: (*ctx.require::<Db>()?).clone(),
            sealer: ctx.require::<dyn SecretSealer>()?,
            client: Client::new(config.rule(), tls, config.timeout),
            config: config.clone(),
        });
        let of = shared.clone();
        let (webhooks, desk) =
            Spec::new(ctx.system(), "webhooks", move || Webhooks::new(of.clone()))
                .capacity(webhooks::service::CAPACITY)
                .workers(DESK_WORKERS)
                .stop_within(Duration::from_secs(10))
                .build();
        let (couriers, pool) =
            Spec::new(ctx.system(), "couriers", move || Courier::new(shared.clone()))
                .capacity(webhooks::courier::CAPACITY)
                .workers(config.workers)
                .stop_within(config.timeout + Duration::from_secs(5))
                .build();
        Ok(Self { webhooks, couriers, children: [desk, pool] })
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

fn attempt(couriers: &ServiceRef<CourierMessage>) -> JobHandler {
    JobHandler::new(webhooks::ATTEMPT_JOB)
        .queue(webhooks::QUEUE)
        .timeout(ATTEMPT_TIMEOUT)
        .ask(couriers, |job| job.payload::<AttemptDelivery>())
}

fn prune(webhooks: &ServiceRef<WebhookMessage>) -> JobHandler {
    JobHandler::new(webhooks::PRUNE_JOB)
        .cron("11 * * * *")
        .timeout(ATTEMPT_TIMEOUT)
        .ask(webhooks, |_| Ok::<_, Failure>(PruneDeliveries))
}

/// Events of every schema: they are passed on as they are, with the version of their data.
fn offer(webhooks: &ServiceRef<WebhookMessage>, config: &WebhookConfig) -> Subscription {
    let patterns: Vec<&str> = config.events.iter().map(String::as_str).collect();
    Subscription::new(CONSUMER, &patterns)
        .schema_max(u16::MAX)
        .ask(webhooks, |event| Ok(OfferEvent { event: event.clone() }))
}

fn erase(mails: &ServiceRef<MailMessage>) -> JobHandler {
    JobHandler::new(ERASE_JOB).cron("41 3 * * *").ask(mails, |_| Ok::<_, Failure>(EraseOldMails))
}
