//! Rows of endpoints. Their secrets are sealed.

use troupe_database::prelude::*;
use troupe_kernel::ids::TenantId;
use troupe_kernel::{Failure, Timestamp, Uuid};

use super::schema::notify_webhook_endpoints::{self, dsl};
use crate::webhooks::messages::{DisabledBecause, Endpoint, EndpointId, EndpointState};

/// One endpoint as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = notify_webhook_endpoints, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct EndpointRow {
    /// Which endpoint.
    pub id: DbUuid,
    /// Its tenant.
    pub tenant_id: DbUuid,
    /// The address to post to.
    pub url: String,
    /// What it is for.
    pub description: String,
    /// Patterns of the kinds it wants.
    pub events: TextList,
    /// `enabled` or `disabled`.
    pub state: String,
    /// Why it is disabled.
    pub disabled_because: Option<String>,
    /// Since when every attempt has failed.
    pub failing_since: Option<DbTimestamp>,
    /// The secret, sealed.
    pub sealed_secret: Vec<u8>,
    /// The secret before it, sealed.
    pub sealed_old_secret: Option<Vec<u8>>,
    /// Until when the secret before it signs.
    pub old_secret_until: Option<DbTimestamp>,
    /// Rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: DbTimestamp,
    /// When it was last changed.
    pub updated_at: DbTimestamp,
}

impl EndpointRow {
    /// Whether it gets messages.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.state == EndpointState::Enabled.as_str()
    }

    /// Sets whether it gets messages; who enables it forgets its failures.
    pub fn set_state(&mut self, state: EndpointState) {
        if self.state == state.as_str() {
            return;
        }
        state.as_str().clone_into(&mut self.state);
        self.disabled_because =
            (state == EndpointState::Disabled).then(|| DisabledBecause::Person.as_str().to_owned());
        self.failing_since = None;
    }

    /// Marks a change: the version rises.
    pub fn touch(&mut self, now: Timestamp) {
        self.version += 1;
        self.updated_at = now.into();
    }

    /// What its tenant sees; without the time of an old secret that is over.
    ///
    /// # Errors
    /// When the row holds a state this program does not know.
    pub fn into_endpoint(self, now: Timestamp) -> Result<Endpoint, Failure> {
        let unknown = || {
            let detail = format!("the endpoint {} has an unknown state", self.id.0);
            Failure::internal("notify.webhook.state", detail)
        };
        let state = [EndpointState::Enabled, EndpointState::Disabled]
            .into_iter()
            .find(|state| state.as_str() == self.state)
            .ok_or_else(unknown)?;
        let disabled_because = match self.disabled_because.as_deref() {
            None => None,
            Some(text) => Some(
                [DisabledBecause::Gone, DisabledBecause::Failing, DisabledBecause::Person]
                    .into_iter()
                    .find(|cause| cause.as_str() == text)
                    .ok_or_else(unknown)?,
            ),
        };
        Ok(Endpoint {
            id: self.id.to(),
            url: self.url,
            description: self.description,
            events: self.events.0,
            state,
            disabled_because,
            failing_since: self.failing_since.map(Into::into),
            old_secret_until: self.old_secret_until.map(Into::into).filter(|until| *until > now),
            version: self.version,
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

/// Adds an endpoint.
///
/// # Errors
/// As the database says.
pub async fn insert(conn: &mut DbConn, row: &EndpointRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(notify_webhook_endpoints::table)
        .values(row.clone())
        .execute(c))?;
    Ok(())
}

/// An endpoint of a tenant.
///
/// # Errors
/// As the database says.
pub async fn find(
    conn: &mut DbConn,
    tenant: TenantId,
    id: EndpointId,
) -> DbResult<Option<EndpointRow>> {
    run!(conn, |c| dsl::notify_webhook_endpoints
        .filter(dsl::id.eq(DbUuid::of(id)))
        .filter(dsl::tenant_id.eq(DbUuid::of(tenant)))
        .select(EndpointRow::as_select())
        .get_result(c))
    .optional()
}

/// How many endpoints a tenant has.
///
/// # Errors
/// As the database says.
pub async fn count(conn: &mut DbConn, tenant: TenantId) -> DbResult<i64> {
    run!(conn, |c| dsl::notify_webhook_endpoints
        .filter(dsl::tenant_id.eq(DbUuid::of(tenant)))
        .count()
        .get_result(c))
}

/// Endpoints of a tenant after a position, oldest first.
///
/// # Errors
/// As the database says.
pub async fn page(
    conn: &mut DbConn,
    tenant: TenantId,
    after: Uuid,
    rows: i64,
) -> DbResult<Vec<EndpointRow>> {
    run!(conn, |c| dsl::notify_webhook_endpoints
        .filter(dsl::tenant_id.eq(DbUuid::of(tenant)))
        .filter(dsl::id.gt(DbUuid(after)))
        .order(dsl::id.asc())
        .limit(rows)
        .select(EndpointRow::as_select())
        .load(c))
}

/// Writes the row when the stored one still has the version it was read with; answers whether.
///
/// # Errors
/// As the database says.
pub async fn save(conn: &mut DbConn, row: &EndpointRow, read_version: i64) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(dsl::notify_webhook_endpoints.find(row.id))
        .filter(dsl::version.eq(read_version))
        .set(row.clone())
        .execute(c))?;
    Ok(changed == 1)
}

/// Removes an endpoint.
///
/// # Errors
/// As the database says.
pub async fn delete(conn: &mut DbConn, id: DbUuid) -> DbResult<()> {
    run!(conn, |c| diesel::delete(dsl::notify_webhook_endpoints.find(id)).execute(c))?;
    Ok(())
}

/// Notes the first failure after a success. Most attempts change no row here.
///
/// # Errors
/// As the database says.
pub async fn note_failure(conn: &mut DbConn, id: DbUuid, now: Timestamp) -> DbResult<()> {
    run!(conn, |c| diesel::update(dsl::notify_webhook_endpoints.find(id))
        .filter(dsl::failing_since.is_null())
        .set(dsl::failing_since.eq(Some(DbTimestamp(now))))
        .execute(c))?;
    Ok(())
}

/// Forgets the failures before a success.
///
/// # Errors
/// As the database says.
pub async fn note_success(conn: &mut DbConn, id: DbUuid) -> DbResult<()> {
    run!(conn, |c| diesel::update(dsl::notify_webhook_endpoints.find(id))
        .filter(dsl::failing_since.is_not_null())
        .set(dsl::failing_since.eq(None::<DbTimestamp>))
        .execute(c))?;
    Ok(())
}

/// Disables an endpoint; answers whether it was enabled.
///
/// # Errors
/// As the database says.
pub async fn disable(
    conn: &mut DbConn,
    id: DbUuid,
    because: DisabledBecause,
    now: Timestamp,
) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(dsl::notify_webhook_endpoints.find(id))
        .filter(dsl::state.eq(EndpointState::Enabled.as_str()))
        .set((
            dsl::state.eq(EndpointState::Disabled.as_str()),
            dsl::disabled_because.eq(Some(because.as_str())),
            dsl::version.eq(dsl::version + 1),
            dsl::updated_at.eq(DbTimestamp(now)),
        ))
        .execute(c))?;
    Ok(changed == 1)
}
