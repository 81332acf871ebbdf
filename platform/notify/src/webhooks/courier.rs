//! The couriers: a pool that posts messages to endpoints, one attempt at a time.
//!
//! Mailbox: 256. Restarted always. A crash loses the attempt at hand; its job makes it again. Each worker
//! waits for one endpoint, at most `notify.webhooks.timeout`; the jobs see to it that one endpoint does not
//! hold them all.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde_json::json;
use tokio::time::Instant;
use troupe_actors::{Context, Handled, Lent, Scope, Service};
use troupe_database::{DbConn, DbTimestamp, UnitOfWork};
use troupe_kernel::{Failure, Timestamp};

use super::client::{Answer, ClientFault, Outgoing};
use super::messages::{AttemptDelivery, CourierMessage, DeliveryState, DisabledBecause};
use super::repository::attempts::{self, AttemptRow};
use super::repository::deliveries::{self, DeliveryRow};
use super::repository::endpoints::{self, EndpointRow};
use super::schedule::Failed;
use super::signature::Signed;
use super::{Shared, endpoints as secrets, events};

/// Attempts that may wait.
pub(crate) const CAPACITY: usize = 256;
/// The answer of an endpoint that wants no more (RFC 9110, 15.5.11).
const GONE: u16 = 410;

/// One worker.
pub(crate) struct Courier {
    shared: Arc<Shared>,
}

/// How an attempt went.
struct Attempt {
    began: Timestamp,
    took: Duration,
    outcome: Result<Answer, ClientFault>,
}

impl Attempt {
    fn status(&self) -> Option<u16> {
        self.outcome.as_ref().ok().map(|answer| answer.status)
    }

    fn is_success(&self) -> bool {
        self.status().is_some_and(|status| (200..300).contains(&status))
    }

    /// What went wrong; none when nothing did.
    fn error(&self) -> Option<String> {
        match &self.outcome {
            Err(fault) => Some(fault.described()),
            Ok(_) if self.is_success() => None,
            Ok(answer) => Some(format!("the endpoint answered {}", answer.status)),
        }
    }

    fn row(&self, delivery: &DeliveryRow) -> AttemptRow {
        AttemptRow {
            delivery_id: delivery.id,
            number: delivery.attempts,
            began_at: self.began.into(),
            latency_ms: i32::try_from(self.took.as_millis()).unwrap_or(i32::MAX),
            status: self.status().map(i32::from),
            response: self.outcome.as_ref().ok().map(|answer| answer.begin.clone()),
            error: self.error(),
        }
    }
}

impl Courier {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn attempt(&self, scope: &Scope, command: &AttemptDelivery) -> Result<(), Failure> {
        let AttemptDelivery { delivery, number } = *command;
        let found = self
            .shared
            .db
            .read(async move |conn: &mut DbConn| {
                let Some(row) = deliveries::get(conn, delivery).await? else { return Ok(None) };
                let endpoint =
                    endpoints::find(conn, row.tenant_id.to(), row.endpoint_id.to()).await?;
                Ok(Some((row, endpoint)))
            })
            .await?;
        // A job comes again when its end could not be noted; what it did is in the row.
        let Some((row, endpoint)) = found else { return Ok(()) };
        if !row.is(DeliveryState::Queued) || row.attempts + 1 != number {
            return Ok(());
        }
        let scope = scope.clone().for_tenant(row.tenant_id.0);
        let Some(endpoint) = endpoint else {
            return self.give_up(&scope, row, "the endpoint was removed").await;
        };
        if !endpoint.is_enabled() {
            return self.give_up(&scope, row, "the endpoint is disabled").await;
        }
        let attempt = self.post(&row, &endpoint).await?;
        self.note(&scope, row, endpoint, attempt).await
    }

    async fn post(&self, row: &DeliveryRow, endpoint: &EndpointRow) -> Result<Attempt, Failure> {
        let began = self.shared.db.clock().now();
        let keys = secrets::good_secrets(&*self.shared.sealer, endpoint, began)?;
        let signed = Signed { message: row.message_id.0, at: began, body: &row.body };
        let header = |name: &'static str, value: String| {
            let value = HeaderValue::try_from(value).map_err(|_| {
                Failure::internal("notify.webhook.header", format!("{name} has no valid value"))
            })?;
            Ok::<_, Failure>((HeaderName::from_static(name), value))
        };
        let message = Outgoing {
            url: &endpoint.url,
            headers: [
                header("webhook-id", signed.message.to_string())?,
                header("webhook-timestamp", signed.at.as_secs().to_string())?,
                header("webhook-signature", signed.with(&keys))?,
            ],
            body: row.body.clone().into(),
        };
        let clock = Instant::now();
        let outcome = self.shared.client.post(message).await;
        let attempt = Attempt { began, took: clock.elapsed(), outcome };
        measure(&attempt);
        if let Err(ClientFault::Private(address)) = &attempt.outcome {
            tracing::warn!(endpoint = %endpoint.id.0, %address, "a webhook leads into a private network");
        }
        Ok(attempt)
    }

    /// Writes what became of an attempt, and the job of the next one.
    async fn note(
        &self,
        scope: &Scope,
        row: DeliveryRow,
        endpoint: EndpointRow,
        attempt: Attempt,
    ) -> Result<(), Failure> {
        let shared = self.shared.clone();
        self.shared
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let (mut row, now) = (row, uow.now());
                let attempts_read = row.attempts;
                row.attempts += 1;
                row.last_status = attempt.status().map(i32::from);
                row.last_error = attempt.error();
                let next = shared.next_attempt(&row, &attempt, now);
                let state = match next {
                    _ if attempt.is_success() => DeliveryState::Delivered,
                    Some(_) => DeliveryState::Queued,
                    None => DeliveryState::Failed,
                };
                row.set_state(state, next, now);
                if !deliveries::save(uow.conn(), &row, attempts_read).await? {
                    return Ok(());
                }
                attempts::insert(uow.conn(), &attempt.row(&row)).await?;
                if attempt.is_success() {
                    endpoints::note_success(uow.conn(), endpoint.id).await?;
                } else {
                    shared.note_failure(uow, endpoint, attempt.status()).await?;
                }
                if state == DeliveryState::Queued {
                    let job = shared.attempt_job(&row);
                    uow.job(job);
                }
                Ok(())
            })
            .await
    }

    async fn give_up(&self, scope: &Scope, row: DeliveryRow, why: &str) -> Result<(), Failure> {
        let why = why.to_owned();
        self.shared
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let (mut row, now) = (row, uow.now());
                let attempts_read = row.attempts;
                row.last_error = Some(why);
                row.set_state(DeliveryState::Failed, None, now);
                deliveries::save(uow.conn(), &row, attempts_read).await?;
                Ok(())
            })
            .await
    }
}

impl Shared {
    /// When the next attempt is made; none after a success, an end, or the last of a round.
    fn next_attempt(
        &self,
        row: &DeliveryRow,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if attempt.is_success() || attempt.status() == Some(GONE) {
            return None;
        }
        let failed = Failed {
            delivery: row.id.0,
            number: usize::try_from(row.attempts - row.attempts_before).unwrap_or(usize::MAX),
            asked: attempt.outcome.as_ref().ok().and_then(|answer| answer.retry_after),
        };
        self.config.schedule().after(&failed).map(|wait| now.plus(wait))
    }

    /// Notes that an endpoint fails, and disables one that is gone or has failed for too long.
    async fn note_failure(
        &self,
        uow: &mut UnitOfWork,
        endpoint: EndpointRow,
        status: Option<u16>,
    ) -> Result<(), Failure> {
        let now = uow.now();
        endpoints::note_failure(uow.conn(), endpoint.id, now).await?;
        let failing_since = endpoint.failing_since.map_or(now, Timestamp::from);
        let because = match status {
            Some(GONE) => DisabledBecause::Gone,
            _ if now.since(failing_since) >= self.config.disable_after => DisabledBecause::Failing,
            _ => return Ok(()),
        };
        if !endpoints::disable(uow.conn(), endpoint.id, because, now).await? {
            return Ok(());
        }
        let mut row = endpoint;
        row.disabled_because = Some(because.as_str().to_owned());
        row.failing_since = Some(DbTimestamp(failing_since));
        uow.event(events::of(events::DISABLED, &row));
        let record = secrets::record(uow.scope(), "notify.webhook_endpoint.disable", &row);
        uow.audit(record.detail(json!({ "because": because.as_str() })));
        Ok(())
    }
}

fn measure(attempt: &Attempt) {
    let outcome = match attempt.status() {
        Some(200..300) => "delivered",
        Some(_) => "refused",
        None => "unanswered",
    };
    metrics::counter!("webhook_attempts_total", "outcome" => outcome).increment(1);
    metrics::histogram!("webhook_attempt_seconds").record(attempt.took.as_secs_f64());
}

impl Service for Courier {
    type Message = CourierMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<CourierMessage>,
        ctx: &mut Context<CourierMessage>,
    ) -> Handled {
        let scope = ctx.scope().clone();
        match &**message {
            CourierMessage::AttemptDelivery(command) => {
                self.attempt(&scope, command).await?;
                ctx.reply(command, ())
            }
        }
    }
}
