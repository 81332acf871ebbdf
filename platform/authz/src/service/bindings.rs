//! Commands and queries on who has which role.

use serde_json::{Value, json};
use troupe_authz_messages::{
    Binding, BindingId, CheckAssignable, ForgetSubject, GetBinding, Grant, ListBindings,
    ROLE_ADMINISTRATOR, Revoke, SetMemberRole,
};
use troupe_database::{Commanded, DbConn, DbResult, DbTimestamp, DbUuid, UnitOfWork};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::TenantId;
use troupe_kernel::pagination::Page;
use troupe_kernel::{AuditRecord, Failure, Outcome, PermissionSet, Scope};

use super::RolesSetup;
use super::rights::Rights;
use super::roles::guard_of;
use crate::engine::Engine;
use crate::error::AuthzError;
use crate::events;
use crate::repository::bindings::{self, BindingFilter, BindingRow};
use crate::repository::memberships::{self, MembershipRow};
use crate::repository::{roles, take_guard};

/// Bindings a subject may have, everywhere together.
pub(super) const BINDINGS_MAX: i64 = 200;
const ADMINISTRATORS: &str = "administrators";

pub(super) async fn grant(
    setup: &RolesSetup,
    scope: &Scope,
    command: &Grant,
) -> Result<Commanded<Binding>, Failure> {
    let engine = setup.engine.get()?;
    let condition = command.condition.as_deref().map(str::trim).filter(|text| !text.is_empty());
    if let Some(text) = condition {
        engine.policies.binding_condition(&engine.catalog, text).map_err(AuthzError::Condition)?;
    }
    let command = Grant { condition: condition.map(str::to_owned), ..command.clone() };
    let subject = command.subject;
    let granted = setup
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            grant_in(uow, &engine, command).await
        })
        .await;
    let binding = setup.noted(scope, "authz.binding.grant", granted).await?;
    setup.spread.changed(scope, subject).await?;
    if binding.value.expires_at.is_some() {
        setup.spread.look_again(scope);
    }
    Ok(binding)
}

async fn grant_in(
    uow: &mut UnitOfWork,
    engine: &Engine,
    command: Grant,
) -> Result<Binding, Failure> {
    let (scope, now) = (uow.scope().clone(), uow.now());
    if command.expires_at.is_some_and(|end| end <= now) {
        return Err(AuthzError::AlreadyEnded.into());
    }
    if let Some(tenant) = command.tenant
        && engine.book.get(&command.role).is_none()
    {
        // Nobody deletes the role between this look and the commit.
        take_guard(uow.conn(), &guard_of(tenant)).await?;
    }
    let permissions = grantable(uow.conn(), engine, command.tenant, &command.role).await?;
    if command.condition.is_some() && !any_governed(engine, &permissions) {
        return Err(AuthzError::ConditionUseless.into());
    }
    let rights = Rights::of(uow.conn(), engine, &scope, command.tenant, now).await?;
    rights.cover(engine, &permissions)?;
    if bindings::count_of(uow.conn(), command.subject).await? >= BINDINGS_MAX {
        return Err(AuthzError::GrantLimit(BINDINGS_MAX).into());
    }
    let row = BindingRow {
        id: uow.new_id(),
        subject: DbUuid(command.subject),
        tenant: command.tenant.map(DbUuid::of),
        role: command.role,
        condition: command.condition,
        granted_by: granted_by(&scope),
        granted_at: DbTimestamp(now),
        expires_at: command.expires_at.map(DbTimestamp),
    };
    bindings::insert(uow.conn(), &row).await.map_err(|error| {
        error.unique_or("authz_bindings_grant_key", || AuthzError::GrantExists.into())
    })?;
    uow.event(events::granted(&row));
    uow.audit(record(&scope, "authz.binding.grant", &row));
    Ok(row.into())
}

pub(super) async fn revoke(
    setup: &RolesSetup,
    scope: &Scope,
    command: &Revoke,
) -> Result<Commanded<()>, Failure> {
    let engine = setup.engine.get()?;
    let command = command.clone();
    let revoked = setup
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            revoke_in(uow, &engine, &command).await
        })
        .await;
    let revoked = setup.noted(scope, "authz.binding.revoke", revoked).await?;
    setup.spread.changed(scope, revoked.value).await?;
    Ok(Commanded { value: (), replayed: revoked.replayed })
}

async fn revoke_in(
    uow: &mut UnitOfWork,
    engine: &Engine,
    command: &Revoke,
) -> Result<uuid::Uuid, Failure> {
    let (scope, now) = (uow.scope().clone(), uow.now());
    let row = existing(uow.conn(), command.id, command.tenant).await?;
    if scope.subject() != Some(row.subject.into()) {
        // A role that is gone gives nothing, so taking it needs nothing.
        let held = permissions_of(uow.conn(), engine, command.tenant, &row.role)
            .await?
            .unwrap_or_default();
        Rights::of(uow.conn(), engine, &scope, command.tenant, now).await?.cover(engine, &held)?;
    }
    let administrator = row.role == ROLE_ADMINISTRATOR && row.tenant.is_none();
    if administrator {
        take_guard(uow.conn(), ADMINISTRATORS).await?;
    }
    if !bindings::delete(uow.conn(), row.id).await? {
        return Err(AuthzError::BindingNotFound.into());
    }
    if administrator && bindings::count_lasting(uow.conn(), ROLE_ADMINISTRATOR).await? == 0 {
        return Err(AuthzError::LastAdministrator.into());
    }
    uow.event(events::revoked(&row));
    uow.audit(record(&scope, "authz.binding.revoke", &row));
    Ok(row.subject.into())
}

pub(super) async fn get(setup: &RolesSetup, query: &GetBinding) -> Result<Binding, Failure> {
    let row = setup.db.read(async |conn| existing(conn, query.id, query.tenant).await).await?;
    Ok(row.into())
}

pub(super) async fn list(
    setup: &RolesSetup,
    query: &ListBindings,
) -> Result<Page<Binding>, Failure> {
    let filter = BindingFilter {
        tenant: query.tenant,
        subject: query.subject,
        role: query.role.clone(),
        after: query.page.position::<BindingId>()?,
        limit: query.page.rows(),
    };
    let rows = setup.db.read(async |conn| Ok(bindings::list(conn, &filter).await?)).await?;
    let found = rows.into_iter().map(Binding::from).collect();
    Ok(Page::from_rows(found, &query.page, |binding: &Binding| binding.id))
}

/// Reports arrive twice, at once and as an event; the later change wins in any order, so it needs no
/// memory of which it has seen. Who leaves loses what was granted there besides: it would be theirs
/// again, unseen, if they came back.
pub(super) async fn set_member_role(
    setup: &RolesSetup,
    scope: &Scope,
    command: &SetMemberRole,
) -> Result<(), Failure> {
    let row = MembershipRow {
        subject: DbUuid(command.subject),
        tenant: DbUuid::of(command.tenant),
        role: command.role.clone(),
        changed_at: DbTimestamp(command.at),
    };
    let (subject, tenant, leaves) = (command.subject, command.tenant, command.role.is_none());
    let changed = setup
        .db
        .transaction(scope, async move |uow: &mut UnitOfWork| {
            let changed = memberships::set(uow.conn(), &row).await?;
            if changed && leaves {
                let scope = uow.scope().clone();
                for row in bindings::delete_in(uow.conn(), subject, tenant).await? {
                    uow.event(events::revoked(&row));
                    uow.audit(record(&scope, "authz.binding.revoke", &row));
                }
            }
            Ok(changed)
        })
        .await?;
    if changed {
        setup.spread.changed(scope, command.subject).await?;
    }
    Ok(())
}

pub(super) async fn check_assignable(
    setup: &RolesSetup,
    scope: &Scope,
    query: &CheckAssignable,
) -> Result<(), Failure> {
    let engine = setup.engine.get()?;
    let now = setup.db.clock().now();
    setup
        .db
        .read(async |conn| {
            let permissions = grantable(conn, &engine, Some(query.tenant), &query.role).await?;
            let rights = Rights::of(conn, &engine, scope, Some(query.tenant), now).await?;
            Ok(rights.cover(&engine, &permissions)?)
        })
        .await
}

pub(super) async fn forget_subject(
    setup: &RolesSetup,
    scope: &Scope,
    command: &ForgetSubject,
) -> Result<(), Failure> {
    let subject = command.subject;
    setup
        .db
        .transaction(scope, async move |uow: &mut UnitOfWork| {
            let (scope, now) = (uow.scope().clone(), uow.now());
            for row in bindings::delete_of(uow.conn(), subject).await? {
                uow.event(events::revoked(&row));
                uow.audit(record(&scope, "authz.binding.revoke", &row));
            }
            memberships::clear_of(uow.conn(), subject, now).await?;
            Ok(())
        })
        .await?;
    setup.spread.changed(scope, subject).await
}

pub(super) async fn has_administrator(setup: &RolesSetup) -> Result<bool, Failure> {
    let count = setup
        .db
        .read(async |conn| Ok(bindings::count_lasting(conn, ROLE_ADMINISTRATOR).await?))
        .await?;
    Ok(count > 0)
}

impl RolesSetup {
    /// Keeps a refusal in the audit, outside of the transaction that it undid.
    pub(super) async fn noted<T>(
        &self,
        scope: &Scope,
        action: &str,
        result: Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let (Err(failure), Some(audit)) = (&result, &self.audit)
            && matches!(failure.code(), "authz.grant.exceeds" | "authz.binding.last_administrator")
        {
            let record = AuditRecord::new(scope, action, "role")
                .outcome(Outcome::Denied)
                .detail(json!({ "code": failure.code(), "detail": failure.detail() }));
            if let Err(failure) = audit.record(record, scope).await {
                tracing::warn!(%failure, action, "a refusal was not recorded in the audit");
            }
        }
        result
    }
}

/// What the audit keeps of a binding.
pub(super) fn detail_of(row: &BindingRow) -> Value {
    json!({
        "subject": row.subject,
        "role": row.role,
        "tenant": row.tenant,
        "condition": row.condition,
        "expires_at": row.expires_at.map(Timestamp::from),
    })
}

/// The record in the trail of the binding's tenant, or in the platform's.
pub(super) fn platform_or(mut record: AuditRecord, row: &BindingRow) -> AuditRecord {
    record.tenant = row.tenant.map(DbUuid::to);
    record
}

fn record(scope: &Scope, action: &str, row: &BindingRow) -> AuditRecord {
    let record = AuditRecord::new(scope, action, format!("binding:{}", row.id.0));
    platform_or(record.detail(detail_of(row)), row)
}

fn granted_by(scope: &Scope) -> Option<DbUuid> {
    scope.subject().filter(|subject| !subject.is_nil()).map(DbUuid)
}

fn any_governed(engine: &Engine, permissions: &PermissionSet) -> bool {
    engine.catalog.names(permissions).into_iter().any(|key| engine.policies.governs(key))
}

async fn existing(
    conn: &mut DbConn,
    id: BindingId,
    tenant: Option<TenantId>,
) -> Result<BindingRow, Failure> {
    let row = bindings::find(conn, id).await?;
    Ok(row.filter(|row| row.tenant == tenant.map(DbUuid::of)).ok_or(AuthzError::BindingNotFound)?)
}

/// What a role holds here; none when there is no such role (any more).
async fn permissions_of(
    conn: &mut DbConn,
    engine: &Engine,
    tenant: Option<TenantId>,
    key: &str,
) -> DbResult<Option<PermissionSet>> {
    if let Some(role) = engine.book.get(key) {
        return Ok(Some(role.permissions.clone()));
    }
    let Some(tenant) = tenant else { return Ok(None) };
    let row = roles::find(conn, tenant, key).await?;
    Ok(row.map(|row| engine.catalog.compile(row.permissions.0.iter().map(String::as_str))))
}

/// What a role holds that may be given in this tenant, or on the platform.
async fn grantable(
    conn: &mut DbConn,
    engine: &Engine,
    tenant: Option<TenantId>,
    key: &str,
) -> Result<PermissionSet, Failure> {
    if tenant.is_some() && engine.book.get(key).is_some_and(|role| role.platform) {
        return Err(AuthzError::PlatformOnly(key.to_owned()).into());
    }
    let permissions = permissions_of(conn, engine, tenant, key).await?;
    Ok(permissions.ok_or_else(|| AuthzError::RoleNotFound(key.to_owned()))?)
}
