//! Deliveries: made of events, read by their tenant, sent again, pruned.

use serde_json::json;
use troupe_actors::Scope;
use troupe_database::{Commanded, DbConn, DbUuid, UnitOfWork};
use troupe_kernel::ids::TenantId;
use troupe_kernel::pagination::Page;
use troupe_kernel::{Event, Failure, Job, Uuid};

use super::error::WebhookError;
use super::messages::{
    AttemptDelivery, Delivery, DeliveryDetails, DeliveryId, DeliveryState, ListDeliveries,
    OfferEvent, ResendDelivery, SendTest,
};
use super::repository::attempts;
use super::repository::deliveries::{self, DeliveryFilter, DeliveryRow};
use super::repository::endpoints::{self, EndpointRow};
use super::{ATTEMPT_JOB, QUEUE, Shared, endpoints as access, filter};

/// The consumer of events.
pub(crate) const CONSUMER: &str = "notify.webhooks";
/// The kind of a test message.
pub(crate) const TEST_EVENT: &str = "notify.webhook.test";
/// The largest body of a message, in bytes; the specification recommends a tenth of it.
const BODY_BYTES_MAX: usize = 256 * 1_024;
/// Attempts that are shown of a delivery.
const ATTEMPTS_SHOWN: i64 = 100;
/// Deliveries that are removed in one transaction, and transactions of one prune.
const PRUNE_ROWS: i64 = 500;
const PRUNE_ROUNDS: u32 = 200;

impl Shared {
    /// Makes deliveries of an event. Most tenants have no endpoint, so a read comes first.
    pub(super) async fn offer(&self, scope: &Scope, command: &OfferEvent) -> Result<(), Failure> {
        let Some(tenant) = command.event.tenant else { return Ok(()) };
        if wanting(self, tenant, &command.event.kind).await?.is_empty() {
            return Ok(());
        }
        let (event, scope) = (command.event.clone(), scope.clone().for_tenant(tenant.0));
        let id = event.id;
        let most = i64::from(self.config.endpoints_max);
        let per_endpoint = self.config.per_endpoint_max;
        self.db
            .consume(&scope, CONSUMER, id, async move |uow: &mut UnitOfWork| {
                let rows = endpoints::page(uow.conn(), tenant, Uuid::nil(), most).await?;
                for endpoint in rows.into_iter().filter(|row| wants(row, &event.kind)) {
                    let row = delivery_of(uow, &endpoint, &event);
                    deliveries::insert(uow.conn(), &row).await?;
                    if row.is(DeliveryState::Queued) {
                        uow.job(job_of(&row, per_endpoint));
                    }
                }
                Ok(())
            })
            .await
            .map(|_| ())
    }

    pub(super) async fn test(
        &self,
        scope: &Scope,
        command: &SendTest,
    ) -> Result<Commanded<Delivery>, Failure> {
        let (tenant, id) = (access::tenant(scope)?, command.id);
        let per_endpoint = self.config.per_endpoint_max;
        self.db
            .command_marked(scope, async move |uow: &mut UnitOfWork| {
                let endpoint = access::existing(uow.conn(), tenant, id).await?;
                if !endpoint.is_enabled() {
                    return Err(WebhookError::Disabled.into());
                }
                let mut event =
                    Event::new(TEST_EVENT, id, &json!({ "endpoint": id })).tenant(tenant);
                (event.id, event.time) = (uow.new_id(), uow.now());
                let row = delivery_of(uow, &endpoint, &event);
                deliveries::insert(uow.conn(), &row).await?;
                uow.job(job_of(&row, per_endpoint));
                uow.audit(access::record(uow.scope(), "notify.webhook_endpoint.test", &endpoint));
                row.into_delivery()
            })
            .await
    }

    pub(super) async fn deliveries(
        &self,
        scope: &Scope,
        query: &ListDeliveries,
    ) -> Result<Page<Delivery>, Failure> {
        let filter = DeliveryFilter {
            tenant: access::tenant(scope)?,
            endpoint: query.endpoint,
            state: query.state,
        };
        let (before, rows) = (query.page.position()?.unwrap_or(Uuid::max()), query.page.rows());
        let found = self
            .db
            .read_for(scope, async move |conn: &mut DbConn| {
                Ok(deliveries::page(conn, &filter, before, rows).await?)
            })
            .await?;
        let items = found.into_iter().map(DeliveryRow::into_delivery);
        let items = items.collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(items, &query.page, |delivery| delivery.id.uuid()))
    }

    pub(super) async fn delivery(
        &self,
        scope: &Scope,
        id: DeliveryId,
    ) -> Result<DeliveryDetails, Failure> {
        let tenant = access::tenant(scope)?;
        let (row, attempts) = self
            .db
            .read_for(scope, async move |conn: &mut DbConn| {
                let row = existing(conn, tenant, id).await?;
                let attempts = attempts::of(conn, row.id, ATTEMPTS_SHOWN).await?;
                Ok((row, attempts))
            })
            .await?;
        let body = row.body.clone();
        let attempts = attempts.into_iter().map(Into::into).collect();
        Ok(DeliveryDetails { delivery: row.into_delivery()?, body, attempts })
    }

    pub(super) async fn resend(
        &self,
        scope: &Scope,
        command: &ResendDelivery,
    ) -> Result<Commanded<Delivery>, Failure> {
        let (tenant, id) = (access::tenant(scope)?, command.id);
        let per_endpoint = self.config.per_endpoint_max;
        self.db
            .command_marked(scope, async move |uow: &mut UnitOfWork| {
                let (mut row, now) = (existing(uow.conn(), tenant, id).await?, uow.now());
                let endpoint = access::existing(uow.conn(), tenant, row.endpoint_id.to()).await?;
                if !endpoint.is_enabled() {
                    return Err(WebhookError::Disabled.into());
                }
                if row.is(DeliveryState::Queued) {
                    return Err(WebhookError::Queued.into());
                }
                if row.body.is_empty() {
                    return Err(WebhookError::TooLarge.into());
                }
                row.attempts_before = row.attempts;
                row.set_state(DeliveryState::Queued, Some(now), now);
                let attempts_read = row.attempts;
                if !deliveries::save(uow.conn(), &row, attempts_read).await? {
                    return Err(WebhookError::Queued.into());
                }
                uow.job(job_of(&row, per_endpoint));
                let record = access::record(uow.scope(), "notify.webhook.resend", &endpoint);
                uow.audit(record.detail(json!({ "delivery": id })));
                row.into_delivery()
            })
            .await
    }

    /// Removes old deliveries, in short transactions: on SQLite each holds the only writer.
    pub(super) async fn prune(&self, scope: &Scope) -> Result<u64, Failure> {
        let before = self.db.clock().now().minus(self.config.keep);
        let mut removed = 0;
        for _ in 0..PRUNE_ROUNDS {
            let gone = self
                .db
                .transaction(scope, async move |uow: &mut UnitOfWork| {
                    let ids = deliveries::made_before(uow.conn(), before, PRUNE_ROWS).await?;
                    if ids.is_empty() {
                        return Ok(0);
                    }
                    attempts::delete_of(uow.conn(), ids.clone()).await?;
                    Ok(deliveries::delete(uow.conn(), ids).await?)
                })
                .await?;
            if gone == 0 {
                break;
            }
            removed += u64::try_from(gone).unwrap_or(0);
        }
        tracing::debug!(removed, "old deliveries of webhooks were removed");
        Ok(removed)
    }

    /// The job of the next attempt at a delivery.
    pub(super) fn attempt_job(&self, row: &DeliveryRow) -> Job {
        job_of(row, self.config.per_endpoint_max)
    }
}

async fn wanting(
    shared: &Shared,
    tenant: TenantId,
    kind: &str,
) -> Result<Vec<EndpointRow>, Failure> {
    let most = i64::from(shared.config.endpoints_max);
    let rows = shared
        .db
        .read(async move |conn: &mut DbConn| {
            Ok(endpoints::page(conn, tenant, Uuid::nil(), most).await?)
        })
        .await?;
    Ok(rows.into_iter().filter(|row| wants(row, kind)).collect())
}

fn wants(row: &EndpointRow, kind: &str) -> bool {
    row.is_enabled() && filter::wants(&row.events.0, kind)
}

/// A delivery that waits for its first attempt, or has failed when its body is too large.
fn delivery_of(uow: &UnitOfWork, endpoint: &EndpointRow, event: &Event) -> DeliveryRow {
    let now = uow.now();
    let body = body_of(event);
    let fits = body.len() <= BODY_BYTES_MAX;
    let mut row = DeliveryRow {
        id: uow.new_id(),
        tenant_id: endpoint.tenant_id,
        endpoint_id: endpoint.id,
        message_id: DbUuid(event.id),
        event: event.kind.clone(),
        body: if fits { body } else { String::new() },
        state: String::new(),
        attempts: 0,
        attempts_before: 0,
        last_status: None,
        last_error: (!fits).then(|| WebhookError::TooLarge.to_string()),
        next_attempt_at: None,
        created_at: now.into(),
        updated_at: now.into(),
    };
    if fits {
        row.set_state(DeliveryState::Queued, Some(now), now);
    } else {
        row.set_state(DeliveryState::Failed, None, now);
    }
    row
}

/// The body as Standard Webhooks recommend it, with what else is known of the event.
fn body_of(event: &Event) -> String {
    json!({
        "type": event.kind,
        "timestamp": event.time,
        "data": event.data,
        "id": event.id,
        "subject": event.subject,
        "organisation": event.tenant,
        "schema_version": event.schema_version,
    })
    .to_string()
}

/// The job of the next attempt. Its key is one of a few of its endpoint: so many attempts at it are made
/// at once.
fn job_of(row: &DeliveryRow, per_endpoint: u16) -> Job {
    let payload = AttemptDelivery { delivery: row.id.to(), number: row.attempts + 1 };
    let lane = row.id.0.as_u64_pair().1 % u64::from(per_endpoint.max(1));
    let mut job = Job::new(ATTEMPT_JOB, &payload)
        .queue(QUEUE)
        .key(format!("webhook:{}:{lane}", row.endpoint_id.0));
    job.run_at = row.next_attempt_at.map(Into::into);
    job
}

async fn existing(
    conn: &mut DbConn,
    tenant: TenantId,
    id: DeliveryId,
) -> Result<DeliveryRow, Failure> {
    let found = deliveries::find(conn, tenant, id).await?;
    found.ok_or_else(|| WebhookError::NoDelivery.into())
}
