//! The mail service: a pool that delivers mails and answers what became of them.
//!
//! Mailbox: 1024. Restarted always. A crash loses the attempt at hand; its job brings the mail again.
//! A mail is written into the outbox before its first attempt, and what became of an attempt after it,
//! so a mail that was sent is not sent again by the same job unless the node dies between the two.

mod bounces;
mod preferences;

use std::sync::Arc;

use serde_json::json;
use troupe_actors::{Context, Handled, Lent, Request, Scope, Service};
use troupe_database::{Commanded, Db, DbConn, UnitOfWork};
use troupe_kernel::pagination::Page;
use troupe_kernel::ports::SecretSealer;
use troupe_kernel::{AuditRecord, Declarations, Failure, Job, Uuid};

use crate::config::NotifyConfig;
use crate::delivery::{Office, Sent};
use crate::error::{self, DeliveryFault};
use crate::events;
use crate::messages::{
    Attempt, BounceCause, DeliverMail, GetMail, ListMails, MailId, MailMessage, MailRecord,
    MailState, RedeliverMail, ResendMail, SendMail,
};
use crate::module::RESEND_JOB;
use crate::repository::bounces::{self as marks, BounceRow};
use crate::repository::{self, MailFilter, MailRow};

/// Messages that may wait.
pub(crate) const CAPACITY: usize = 1024;

/// One worker of the mail service.
#[derive(Clone)]
pub(crate) struct Mails {
    pub(crate) db: Db,
    pub(crate) office: Office,
    pub(crate) config: Arc<NotifyConfig>,
    pub(crate) sealer: Arc<dyn SecretSealer>,
    pub(crate) declarations: Declarations,
}

impl Mails {
    async fn deliver(&self, scope: &Scope, command: &DeliverMail) -> Result<(), Failure> {
        let (id, mail) = (command.id, command.mail.clone());
        if command.attempt.number == 1 && self.is_switched_off(&mail).await? {
            tracing::debug!(
                template = mail.template,
                "the recipient has switched these letters off"
            );
            return Ok(());
        }
        let row = self
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                if let Some(known) = repository::find(uow.conn(), id).await? {
                    return Ok(known);
                }
                let row = MailRow::queued(id, uow.scope().tenant(), &mail, uow.now());
                repository::insert(uow.conn(), &row).await?;
                Ok(row)
            })
            .await?;
        self.attempt(scope, row, command.attempt).await
    }

    async fn redeliver(&self, scope: &Scope, command: &RedeliverMail) -> Result<(), Failure> {
        let row = self.find(command.id).await?;
        self.attempt(scope, row, command.attempt).await
    }

    async fn send(&self, scope: &Scope, command: &SendMail) -> Result<(), Failure> {
        let id = MailId::new(&**self.db.clock());
        let deliver = DeliverMail { id, mail: command.mail.clone(), attempt: Attempt::ONLY };
        self.deliver(scope, &deliver).await
    }

    /// One attempt at a mail that waits; one that has ended is left as it is.
    async fn attempt(&self, scope: &Scope, row: MailRow, attempt: Attempt) -> Result<(), Failure> {
        if row.is(MailState::Sent) {
            return Ok(());
        }
        if row.is(MailState::Failed) {
            let reason = row.last_error.as_deref().unwrap_or("it had failed before");
            return Err(Failure::from(&DeliveryFault::permanent(reason)));
        }
        let Some(mail) = row.mail() else { return Err(error::mail_erased()) };
        let sent = if self.bounces(&mail.to).await? {
            Sent { subject: None, outcome: Err(held_back()) }
        } else {
            let unsubscribe = self.unsubscribe_link(&mail)?;
            self.office.send(row.id.0, mail, unsubscribe, self.db.clock().now()).await?
        };
        let answer = sent.outcome.as_ref().map_err(Failure::from).copied();
        if let Err(failure) = &answer {
            tracing::warn!(mail = %row.id.0, template = %row.template, attempt = attempt.number, %failure, "a mail was not delivered");
        }
        self.keep(scope, row, sent, attempt).await?;
        answer
    }

    /// Writes what became of an attempt.
    async fn keep(
        &self,
        scope: &Scope,
        row: MailRow,
        sent: Sent,
        attempt: Attempt,
    ) -> Result<(), Failure> {
        self.db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                let mut row = row;
                row.attempts += 1;
                row.updated_at = now.into();
                row.subject = sent.subject.or(row.subject);
                let state = match &sent.outcome {
                    Ok(()) => MailState::Sent,
                    Err(fault) if fault.is_transient() && !attempt.is_last() => MailState::Queued,
                    Err(_) => MailState::Failed,
                };
                if let Err(DeliveryFault::NoRecipient { reason }) = &sent.outcome {
                    let mark = BounceRow::new(&row.recipient, BounceCause::Refused, reason, now);
                    if marks::mark(uow.conn(), &mark).await? {
                        uow.event(events::held_back(&row));
                    }
                }
                row.last_error = sent.outcome.err().map(|fault| fault.reason().to_owned());
                row.sent_at = (state == MailState::Sent).then_some(now.into()).or(row.sent_at);
                row.state = state.as_str().to_owned();
                repository::save(uow.conn(), &row).await?;
                if let Some(event) = events::ended(&row) {
                    uow.event(event);
                }
                Ok(())
            })
            .await
    }

    async fn find(&self, id: MailId) -> Result<MailRow, Failure> {
        let found = self
            .db
            .read(async move |conn: &mut DbConn| Ok(repository::find(conn, id).await?))
            .await?;
        found.ok_or_else(error::mail_not_found)
    }

    async fn list(&self, scope: &Scope, query: &ListMails) -> Result<Page<MailRecord>, Failure> {
        let before = query.page.position()?.unwrap_or(Uuid::max());
        let filter = MailFilter { state: query.state, recipient: query.recipient.clone() };
        let rows = query.page.rows();
        let found = self
            .db
            .read_for(scope, async move |conn: &mut DbConn| {
                Ok(repository::page(conn, &filter, before, rows).await?)
            })
            .await?;
        let records = found.into_iter().map(MailRow::into_record).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(records, &query.page, |record| record.id.uuid()))
    }

    async fn get(&self, query: &GetMail) -> Result<MailRecord, Failure> {
        self.find(query.id).await?.into_record()
    }

    async fn resend(
        &self,
        scope: &Scope,
        command: &ResendMail,
    ) -> Result<Commanded<MailRecord>, Failure> {
        let id = command.id;
        self.db
            .command_marked(scope, async move |uow: &mut UnitOfWork| {
                let found = repository::find(uow.conn(), id).await?;
                let mut row = found.ok_or_else(error::mail_not_found)?;
                if row.is(MailState::Queued) {
                    return Err(error::mail_queued());
                }
                if row.data.is_none() {
                    return Err(error::mail_erased());
                }
                row.state = MailState::Queued.as_str().to_owned();
                row.updated_at = uow.now().into();
                repository::save(uow.conn(), &row).await?;
                uow.job(Job::new(RESEND_JOB, &json!({ "mail": id })).queue("mail"));
                let mut record =
                    AuditRecord::new(uow.scope(), "notify.mail.resend", format!("mail:{id}"));
                record.tenant = None;
                uow.audit(record);
                row.into_record()
            })
            .await
    }

    async fn erase_old(&self, scope: &Scope) -> Result<(), Failure> {
        let age = self.config.erase_after;
        let erased = self
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let before = uow.now().minus(age);
                repository::give_up_before(uow.conn(), before).await?;
                Ok(repository::erase_before(uow.conn(), before).await?)
            })
            .await?;
        tracing::debug!(erased, "the content of old mails was erased");
        Ok(())
    }
}

/// Why an address that is marked is not written to.
fn held_back() -> DeliveryFault {
    DeliveryFault::permanent(
        "mail to this address came back before; clear it below /v1/notify/bounces when it works again",
    )
}

impl Service for Mails {
    type Message = MailMessage;

    async fn start(&mut self, _ctx: &mut Context<MailMessage>) -> Handled {
        self.office.open().await
    }

    async fn handle(
        &mut self,
        message: &mut Lent<MailMessage>,
        ctx: &mut Context<MailMessage>,
    ) -> Handled {
        let scope = ctx.scope().clone();
        match &**message {
            MailMessage::DeliverMail(command) => {
                ctx.reply(command, self.deliver(&scope, command).await?)
            }
            MailMessage::RedeliverMail(command) => {
                ctx.reply(command, self.redeliver(&scope, command).await?)
            }
            MailMessage::SendMail(command) => ctx.reply(command, self.send(&scope, command).await?),
            MailMessage::ListMails(query) => ctx.reply(query, self.list(&scope, query).await?),
            MailMessage::GetMail(query) => ctx.reply(query, self.get(query).await?),
            MailMessage::ResendMail(command) => {
                answer(ctx, command, self.resend(&scope, command).await?)
            }
            MailMessage::ListBounces(query) => ctx.reply(query, self.list_bounces(query).await?),
            MailMessage::ReportBounce(command) => {
                answer(ctx, command, self.report_bounce(&scope, command).await?)
            }
            MailMessage::ClearBounce(command) => {
                answer(ctx, command, self.clear_bounce(&scope, command).await?)
            }
            MailMessage::ListPreferences(query) => {
                ctx.reply(query, self.list_preferences(query).await?)
            }
            MailMessage::SetPreference(command) => {
                answer(ctx, command, self.set_preference(&scope, command).await?)
            }
            MailMessage::PreviewUnsubscribe(query) => ctx.reply(query, self.preview(query)?),
            MailMessage::Unsubscribe(command) => {
                ctx.reply(command, self.unsubscribe(&scope, command).await?)
            }
            MailMessage::EraseOldMails(command) => {
                ctx.reply(command, self.erase_old(&scope).await?)
            }
        }
    }
}

/// Answers a command, and tells the asker when the reply is a stored one.
fn answer<Q: Request>(
    ctx: &mut Context<Q::Protocol>,
    command: &Q,
    done: Commanded<Q::Reply>,
) -> Handled {
    if done.replayed {
        ctx.amend(|origin| origin.trailers.replayed = true);
    }
    ctx.reply(command, done.value)
}
