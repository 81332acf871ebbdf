//! Rows of deliveries: the log of webhooks, for as long as it is kept.

use troupe_database::prelude::*;
use troupe_kernel::ids::TenantId;
use troupe_kernel::{Failure, Timestamp, Uuid};

use super::schema::notify_webhook_deliveries::{self, dsl};
use crate::webhooks::messages::{Delivery, DeliveryId, DeliveryState, EndpointId};

/// One delivery as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = notify_webhook_deliveries, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct DeliveryRow {
    /// Which delivery.
    pub id: DbUuid,
    /// Its tenant.
    pub tenant_id: DbUuid,
    /// Its endpoint, which may be gone.
    pub endpoint_id: DbUuid,
    /// The `webhook-id`.
    pub message_id: DbUuid,
    /// The kind of the event.
    pub event: String,
    /// The body; empty when the event was too large.
    pub body: String,
    /// `queued`, `delivered` or `failed`.
    pub state: String,
    /// Attempts so far.
    pub attempts: i32,
    /// Attempts before the present round.
    pub attempts_before: i32,
    /// The status of the last answer.
    pub last_status: Option<i32>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When the next attempt is made.
    pub next_attempt_at: Option<DbTimestamp>,
    /// When it was made.
    pub created_at: DbTimestamp,
    /// When it last changed.
    pub updated_at: DbTimestamp,
}

impl DeliveryRow {
    /// Whether it is in this state.
    #[must_use]
    pub fn is(&self, state: DeliveryState) -> bool {
        self.state == state.as_str()
    }

    /// Sets its state and when the next attempt is made.
    pub fn set_state(&mut self, state: DeliveryState, next: Option<Timestamp>, now: Timestamp) {
        state.as_str().clone_into(&mut self.state);
        self.next_attempt_at = next.map(Into::into);
        self.updated_at = now.into();
    }

    /// What its tenant sees.
    ///
    /// # Errors
    /// When the row holds a state this program does not know.
    pub fn into_delivery(self) -> Result<Delivery, Failure> {
        let state = [DeliveryState::Queued, DeliveryState::Delivered, DeliveryState::Failed]
            .into_iter()
            .find(|state| self.is(*state))
            .ok_or_else(|| {
                let detail = format!("a delivery has the unknown state {}", self.state);
                Failure::internal("notify.webhook.state", detail)
            })?;
        Ok(Delivery {
            id: self.id.to(),
            endpoint: self.endpoint_id.to(),
            message: self.message_id.0,
            event: self.event,
            state,
            attempts: self.attempts,
            last_status: self.last_status,
            last_error: self.last_error,
            next_attempt_at: self.next_attempt_at.map(Into::into),
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

/// Adds a delivery.
///
/// # Errors
/// As the database says.
pub async fn insert(conn: &mut DbConn, row: &DeliveryRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(notify_webhook_deliveries::table)
        .values(row.clone())
        .execute(c))?;
    Ok(())
}

/// A delivery of a tenant.
///
/// # Errors
/// As the database says.
pub async fn find(
    conn: &mut DbConn,
    tenant: TenantId,
    id: DeliveryId,
) -> DbResult<Option<DeliveryRow>> {
    run!(conn, |c| dsl::notify_webhook_deliveries
        .filter(dsl::id.eq(DbUuid::of(id)))
        .filter(dsl::tenant_id.eq(DbUuid::of(tenant)))
        .select(DeliveryRow::as_select())
        .get_result(c))
    .optional()
}

/// A delivery of whichever tenant, for its job.
///
/// # Errors
/// As the database says.
pub async fn get(conn: &mut DbConn, id: DeliveryId) -> DbResult<Option<DeliveryRow>> {
    run!(conn, |c| dsl::notify_webhook_deliveries
        .find(DbUuid::of(id))
        .select(DeliveryRow::as_select())
        .get_result(c))
    .optional()
}

/// Writes a delivery when the stored one still has so many attempts; answers whether.
///
/// # Errors
/// As the database says.
pub async fn save(conn: &mut DbConn, row: &DeliveryRow, read_attempts: i32) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(dsl::notify_webhook_deliveries.find(row.id))
        .filter(dsl::attempts.eq(read_attempts))
        .set(row.clone())
        .execute(c))?;
    Ok(changed == 1)
}

/// What a tenant looks for.
#[derive(Debug, Clone)]
pub struct DeliveryFilter {
    /// Whose.
    pub tenant: TenantId,
    /// Only those of this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Only those in this state.
    pub state: Option<DeliveryState>,
}

/// Deliveries before a position, newest first.
///
/// # Errors
/// As the database says.
pub async fn page(
    conn: &mut DbConn,
    filter: &DeliveryFilter,
    before: Uuid,
    rows: i64,
) -> DbResult<Vec<DeliveryRow>> {
    let tenant = DbUuid::of(filter.tenant);
    let state = filter.state.map_or("%", DeliveryState::as_str).to_owned();
    match filter.endpoint.map(DbUuid::of) {
        Some(endpoint) => run!(conn, |c| dsl::notify_webhook_deliveries
            .filter(dsl::endpoint_id.eq(endpoint))
            .filter(dsl::tenant_id.eq(tenant))
            .filter(dsl::id.lt(DbUuid(before)))
            .filter(dsl::state.like(state))
            .order(dsl::id.desc())
            .limit(rows)
            .select(DeliveryRow::as_select())
            .load(c)),
        None => run!(conn, |c| dsl::notify_webhook_deliveries
            .filter(dsl::tenant_id.eq(tenant))
            .filter(dsl::id.lt(DbUuid(before)))
            .filter(dsl::state.like(state))
            .order(dsl::id.desc())
            .limit(rows)
            .select(DeliveryRow::as_select())
            .load(c)),
    }
}

/// Some deliveries that were made before a time, oldest first.
///
/// # Errors
/// As the database says.
pub async fn made_before(conn: &mut DbConn, before: Timestamp, rows: i64) -> DbResult<Vec<DbUuid>> {
    run!(conn, |c| dsl::notify_webhook_deliveries
        .filter(dsl::created_at.lt(DbTimestamp(before)))
        .order(dsl::created_at.asc())
        .limit(rows)
        .select(dsl::id)
        .load(c))
}

/// Removes deliveries.
///
/// # Errors
/// As the database says.
pub async fn delete(conn: &mut DbConn, ids: Vec<DbUuid>) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(dsl::notify_webhook_deliveries.filter(one_of(dsl::id, ids)))
        .execute(c))
}
