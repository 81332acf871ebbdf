//! Endpoints of a tenant: making, changing, removing, and their secrets.

use troupe_actors::Scope;
use troupe_database::{Commanded, DbConn, DbTimestamp, DbUuid, TextList, UnitOfWork};
use troupe_kernel::ids::TenantId;
use troupe_kernel::pagination::Page;
use troupe_kernel::ports::SecretSealer;
use troupe_kernel::{AuditRecord, Failure, Timestamp, Uuid};

use super::error::WebhookError;
use super::messages::{
    ChangeEndpoint, CreateEndpoint, Endpoint, EndpointChanges, EndpointId, EndpointSecret,
    EndpointState, ListEndpoints, RemoveEndpoint, RotateSecret,
};
use super::repository::endpoints::{self, EndpointRow};
use super::{Shared, events, filter, signature};

/// Longest description, in characters.
const DESCRIPTION_CHARS_MAX: usize = 200;

/// The tenant that the message acts in.
pub(super) fn tenant(scope: &Scope) -> Result<TenantId, WebhookError> {
    scope.tenant().map(TenantId).ok_or(WebhookError::NoTenant)
}

/// What is audited of an endpoint.
pub(super) fn record(scope: &Scope, action: &str, row: &EndpointRow) -> AuditRecord {
    AuditRecord::new(scope, action, format!("webhook_endpoint:{}", row.id.0))
        .tenant(row.tenant_id.to())
}

/// The secrets that sign now: the present one, and the one before it until its time is over.
pub(super) fn good_secrets(
    sealer: &dyn SecretSealer,
    row: &EndpointRow,
    now: Timestamp,
) -> Result<Vec<Vec<u8>>, Failure> {
    let purpose = purpose(row.id);
    let mut secrets = vec![sealer.open(&purpose, &row.sealed_secret)?];
    if let (Some(sealed), Some(until)) = (&row.sealed_old_secret, row.old_secret_until)
        && until.0 > now
    {
        secrets.push(sealer.open(&purpose, sealed)?);
    }
    Ok(secrets)
}

/// What a secret is sealed for.
fn purpose(endpoint: DbUuid) -> String {
    format!("notify.webhook_endpoint:{}", endpoint.0)
}

impl Shared {
    /// Without an idempotency key: the reply holds the secret, which is kept nowhere in the clear.
    pub(super) async fn create(
        &self,
        scope: &Scope,
        command: &CreateEndpoint,
    ) -> Result<EndpointSecret, Failure> {
        let tenant = tenant(scope)?;
        self.check_url(&command.url)?;
        self.check_events(&command.events)?;
        check_description(&command.description)?;
        let (command, most) = (command.clone(), self.config.endpoints_max);
        let secret = signature::new_secret()?;
        let id = EndpointId::new(&**self.db.clock());
        let sealed_secret = self.sealer.seal(&purpose(DbUuid::of(id)), &secret)?;
        let (row, now) = self
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                if endpoints::count(uow.conn(), tenant).await? >= i64::from(most) {
                    return Err(WebhookError::Limit(most).into());
                }
                let now = uow.now();
                let row = EndpointRow {
                    id: DbUuid::of(id),
                    tenant_id: DbUuid::of(tenant),
                    url: command.url,
                    description: command.description,
                    events: TextList(command.events),
                    state: EndpointState::Enabled.as_str().to_owned(),
                    disabled_because: None,
                    failing_since: None,
                    sealed_secret,
                    sealed_old_secret: None,
                    old_secret_until: None,
                    version: 1,
                    created_at: now.into(),
                    updated_at: now.into(),
                };
                endpoints::insert(uow.conn(), &row).await?;
                uow.event(events::of(events::CREATED, &row));
                uow.audit(record(uow.scope(), "notify.webhook_endpoint.create", &row));
                Ok((row, now))
            })
            .await?;
        Ok(EndpointSecret { endpoint: row.into_endpoint(now)?, secret: signature::shown(&secret) })
    }

    pub(super) async fn list(
        &self,
        scope: &Scope,
        query: &ListEndpoints,
    ) -> Result<Page<Endpoint>, Failure> {
        let tenant = tenant(scope)?;
        let after: Uuid = query.page.position()?.unwrap_or(Uuid::nil());
        let rows = query.page.rows();
        let found = self
            .db
            .read_for(scope, async move |conn: &mut DbConn| {
                Ok(endpoints::page(conn, tenant, after, rows).await?)
            })
            .await?;
        let now = self.db.clock().now();
        let items = found.into_iter().map(|row| row.into_endpoint(now));
        let items = items.collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(items, &query.page, |endpoint| endpoint.id.uuid()))
    }

    pub(super) async fn get(&self, scope: &Scope, id: EndpointId) -> Result<Endpoint, Failure> {
        let tenant = tenant(scope)?;
        let row = self
            .db
            .read_for(scope, async move |conn: &mut DbConn| existing(conn, tenant, id).await)
            .await?;
        row.into_endpoint(self.db.clock().now())
    }

    pub(super) async fn change(
        &self,
        scope: &Scope,
        command: &ChangeEndpoint,
    ) -> Result<Commanded<Endpoint>, Failure> {
        let tenant = tenant(scope)?;
        let ChangeEndpoint { id, version, changes } = command.clone();
        let EndpointChanges { url, description, events, state } = changes;
        url.as_deref().map_or(Ok(()), |url| self.check_url(url))?;
        events.as_deref().map_or(Ok(()), |events| self.check_events(events))?;
        description.as_deref().map_or(Ok(()), check_description)?;
        self.db
            .command_marked(scope, async move |uow: &mut UnitOfWork| {
                let (mut row, now) = (existing(uow.conn(), tenant, id).await?, uow.now());
                if row.version != version {
                    return Err(WebhookError::Stale.into());
                }
                row.url = url.unwrap_or(row.url);
                row.description = description.unwrap_or(row.description);
                row.events = events.map_or(row.events, TextList);
                if let Some(state) = state {
                    row.set_state(state);
                }
                row.touch(now);
                if !endpoints::save(uow.conn(), &row, version).await? {
                    return Err(WebhookError::Stale.into());
                }
                uow.event(events::of(events::CHANGED, &row));
                uow.audit(record(uow.scope(), "notify.webhook_endpoint.change", &row));
                row.into_endpoint(now)
            })
            .await
    }

    pub(super) async fn remove(
        &self,
        scope: &Scope,
        command: &RemoveEndpoint,
    ) -> Result<Commanded<()>, Failure> {
        let (tenant, id) = (tenant(scope)?, command.id);
        self.db
            .command_marked(scope, async move |uow: &mut UnitOfWork| {
                let row = existing(uow.conn(), tenant, id).await?;
                endpoints::delete(uow.conn(), row.id).await?;
                uow.event(events::of(events::REMOVED, &row));
                uow.audit(record(uow.scope(), "notify.webhook_endpoint.remove", &row));
                Ok(())
            })
            .await
    }

    /// Without an idempotency key, as [`create`](Self::create). A secret that was old already is
    /// forgotten.
    pub(super) async fn rotate(
        &self,
        scope: &Scope,
        command: &RotateSecret,
    ) -> Result<EndpointSecret, Failure> {
        let (tenant, id) = (tenant(scope)?, command.id);
        let secret = signature::new_secret()?;
        let sealed = self.sealer.seal(&purpose(DbUuid::of(id)), &secret)?;
        let overlap = self.config.secret_overlap;
        let (row, now) = self
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let (mut row, now) = (existing(uow.conn(), tenant, id).await?, uow.now());
                let version = row.version;
                row.sealed_old_secret = Some(std::mem::replace(&mut row.sealed_secret, sealed));
                row.old_secret_until = Some(DbTimestamp(now.plus(overlap)));
                row.touch(now);
                if !endpoints::save(uow.conn(), &row, version).await? {
                    return Err(WebhookError::Stale.into());
                }
                uow.event(events::of(events::ROTATED, &row));
                uow.audit(record(uow.scope(), "notify.webhook_endpoint.rotate_secret", &row));
                Ok((row, now))
            })
            .await?;
        Ok(EndpointSecret { endpoint: row.into_endpoint(now)?, secret: signature::shown(&secret) })
    }

    fn check_url(&self, url: &str) -> Result<(), WebhookError> {
        self.client.rule().read(url)?;
        Ok(())
    }

    fn check_events(&self, patterns: &[String]) -> Result<(), WebhookError> {
        Ok(filter::check(patterns, &self.config.events)?)
    }
}

fn check_description(text: &str) -> Result<(), WebhookError> {
    let fits = text.chars().count() <= DESCRIPTION_CHARS_MAX && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(WebhookError::Description(DESCRIPTION_CHARS_MAX)) }
}

pub(super) async fn existing(
    conn: &mut DbConn,
    tenant: TenantId,
    id: EndpointId,
) -> Result<EndpointRow, Failure> {
    let found = endpoints::find(conn, tenant, id).await?;
    found.ok_or_else(|| WebhookError::NotFound.into())
}
