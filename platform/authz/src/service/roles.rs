//! Commands and queries on roles.

use serde_json::json;
use troupe_authz_messages::{
    CompilePermissions, CreateRole, DeleteRole, GetRole, ListRoles, Role, UpdateRole,
};
use troupe_database::{Commanded, DbConn, DbUuid, UnitOfWork};
use troupe_kernel::ids::TenantId;
use troupe_kernel::{AuditRecord, Failure, PermissionSet, Scope};

use super::RolesSetup;
use super::rights::Rights;
use crate::engine::Engine;
use crate::error::AuthzError;
use crate::events;
use crate::loading;
use crate::repository::roles::{self, RoleChange, RoleRow};
use crate::repository::take_guard;

/// Roles an organisation may have of its own.
pub(super) const ROLES_MAX: i64 = 100;
const KEY_BYTES_MAX: usize = 64;
const TITLE_CHARACTERS_MAX: usize = 100;
const DESCRIPTION_CHARACTERS_MAX: usize = 500;
const PERMISSIONS_MAX: usize = 500;

pub(super) async fn list_own_permissions(
    setup: &RolesSetup,
    scope: &Scope,
) -> Result<Vec<String>, Failure> {
    let engine = setup.engine.get()?;
    let principal = scope.principal().ok_or(AuthzError::NoPrincipal)?;
    let key = (principal.subject, principal.tenant);
    let now = setup.db.clock().now();
    let loaded =
        setup.db.read(async |conn| Ok(loading::load(conn, &engine, &[key], now).await?)).await?;
    let held = loaded.get(&key).map(|grants| grants.held().clone()).unwrap_or_default();
    let held = principal.bound.as_ref().map_or_else(|| held.clone(), |bound| held.intersect(bound));
    Ok(engine.catalog.names(&held).into_iter().map(str::to_owned).collect())
}

pub(super) fn compile_permissions(
    setup: &RolesSetup,
    query: &CompilePermissions,
) -> Result<PermissionSet, Failure> {
    let engine = setup.engine.get()?;
    let keys = known_permissions(&engine, &query.keys)?;
    Ok(engine.catalog.compile(keys.iter().map(String::as_str)))
}

pub(super) async fn list(setup: &RolesSetup, query: &ListRoles) -> Result<Vec<Role>, Failure> {
    let mut found = setup.engine.get()?.builtin_roles();
    if let Some(tenant) = query.tenant {
        let own =
            setup.db.read(async |conn| Ok(roles::list(conn, tenant, ROLES_MAX).await?)).await?;
        found.extend(own.into_iter().map(Role::from));
    }
    Ok(found)
}

pub(super) async fn get(setup: &RolesSetup, query: &GetRole) -> Result<Role, Failure> {
    let engine = setup.engine.get()?;
    if let Some(role) = engine.book.describe(&query.key, &engine.catalog) {
        return Ok(role);
    }
    let missing = || AuthzError::RoleNotFound(query.key.clone());
    let tenant = query.tenant.ok_or_else(missing)?;
    let row = setup.db.read(async |conn| Ok(roles::find(conn, tenant, &query.key).await?)).await?;
    Ok(row.ok_or_else(missing)?.into())
}

pub(super) async fn create(
    setup: &RolesSetup,
    scope: &Scope,
    command: &CreateRole,
) -> Result<Commanded<Role>, Failure> {
    let engine = setup.engine.get()?;
    check_key(&engine, &command.key)?;
    check_texts(&command.title, &command.description)?;
    let permissions = known_permissions(&engine, &command.permissions)?;
    let command = command.clone();
    let row = setup
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let (scope, now) = (uow.scope().clone(), uow.now());
            let rights = Rights::of(uow.conn(), &engine, &scope, Some(command.tenant), now).await?;
            rights
                .cover(&engine, &engine.catalog.compile(permissions.iter().map(String::as_str)))?;
            take_guard(uow.conn(), &guard_of(command.tenant)).await?;
            if roles::count(uow.conn(), command.tenant).await? >= ROLES_MAX {
                return Err(AuthzError::RoleLimit(ROLES_MAX).into());
            }
            let row = RoleRow {
                id: uow.new_id(),
                tenant: DbUuid::of(command.tenant),
                key: command.key.clone(),
                title: command.title,
                description: command.description,
                permissions: permissions.into(),
                version: 1,
                created_at: now.into(),
                updated_at: now.into(),
            };
            roles::insert(uow.conn(), &row).await.map_err(|error| {
                error.unique_or("authz_roles_tenant_key_key", || {
                    AuthzError::RoleExists(command.key.clone()).into()
                })
            })?;
            uow.event(events::role_created(&row));
            uow.audit(record(&scope, "authz.role.create", &row));
            Ok(Role::from(row))
        })
        .await;
    setup.noted(scope, "authz.role.create", row).await
}

pub(super) async fn update(
    setup: &RolesSetup,
    scope: &Scope,
    command: &UpdateRole,
) -> Result<Commanded<Role>, Failure> {
    let engine = setup.engine.get()?;
    if engine.book.get(&command.key).is_some() {
        return Err(AuthzError::RoleBuiltin(command.key.clone()).into());
    }
    let permissions =
        command.permissions.as_deref().map(|keys| known_permissions(&engine, keys)).transpose()?;
    let (command, tenant) = (command.clone(), command.tenant);
    let changed = setup
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let (scope, now) = (uow.scope().clone(), uow.now());
            let row = existing(uow.conn(), command.tenant, &command.key).await?;
            let title = command.title.unwrap_or(row.title);
            let description = command.description.unwrap_or(row.description);
            check_texts(&title, &description)?;
            let before = row.permissions.0;
            let after = permissions.unwrap_or_else(|| before.clone());
            let rights = Rights::of(uow.conn(), &engine, &scope, Some(command.tenant), now).await?;
            rights.cover(
                &engine,
                &engine.catalog.compile(before.iter().chain(&after).map(String::as_str)),
            )?;
            let change = RoleChange {
                version: command.version,
                title,
                description,
                permissions: after,
                at: now,
            };
            let row = roles::update(uow.conn(), command.tenant, &command.key, change)
                .await?
                .ok_or(AuthzError::RoleStale)?;
            uow.event(events::role_updated(&row));
            uow.audit(record(&scope, "authz.role.update", &row));
            Ok(Role::from(row))
        })
        .await;
    let role = setup.noted(scope, "authz.role.update", changed).await?;
    setup.spread.changed_in(scope, tenant).await?;
    Ok(role)
}

pub(super) async fn delete(
    setup: &RolesSetup,
    scope: &Scope,
    command: &DeleteRole,
) -> Result<Commanded<()>, Failure> {
    let engine = setup.engine.get()?;
    if engine.book.get(&command.key).is_some() {
        return Err(AuthzError::RoleBuiltin(command.key.clone()).into());
    }
    let command = command.clone();
    let deleted = setup
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let (scope, now) = (uow.scope().clone(), uow.now());
            take_guard(uow.conn(), &guard_of(command.tenant)).await?;
            let row = existing(uow.conn(), command.tenant, &command.key).await?;
            if command.version.is_some_and(|version| version != row.version) {
                return Err(AuthzError::RoleStale.into());
            }
            let rights = Rights::of(uow.conn(), &engine, &scope, Some(command.tenant), now).await?;
            let held = engine.catalog.compile(row.permissions.0.iter().map(String::as_str));
            rights.cover(&engine, &held)?;
            let uses = roles::uses(uow.conn(), command.tenant, &command.key).await?;
            if uses > 0 {
                return Err(AuthzError::RoleInUse(uses).into());
            }
            roles::delete(uow.conn(), row.id).await?;
            uow.event(events::role_deleted(&row));
            uow.audit(record(&scope, "authz.role.delete", &row));
            Ok(())
        })
        .await;
    setup.noted(scope, "authz.role.delete", deleted).await
}

/// The row that whoever counts or removes the roles of a tenant, or grants one, holds.
pub(super) fn guard_of(tenant: TenantId) -> String {
    format!("roles:{tenant}")
}

async fn existing(conn: &mut DbConn, tenant: TenantId, key: &str) -> Result<RoleRow, Failure> {
    let row = roles::find(conn, tenant, key).await?;
    Ok(row.ok_or_else(|| AuthzError::RoleNotFound(key.to_owned()))?)
}

fn record(scope: &Scope, action: &str, row: &RoleRow) -> AuditRecord {
    AuditRecord::new(scope, action, format!("role:{}", row.key))
        .tenant(row.tenant.to())
        .detail(json!({ "permissions": row.permissions.0, "version": row.version }))
}

fn known_permissions(engine: &Engine, keys: &[String]) -> Result<Vec<String>, AuthzError> {
    if keys.len() > PERMISSIONS_MAX {
        return Err(AuthzError::RoleInvalid {
            pointer: "/permissions",
            detail: format!("name at most {PERMISSIONS_MAX} permissions"),
        });
    }
    let unknown: Vec<String> =
        keys.iter().filter(|key| engine.catalog.bit(key).is_none()).take(20).cloned().collect();
    if !unknown.is_empty() {
        return Err(AuthzError::PermissionUnknown(unknown));
    }
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

fn check_key(engine: &Engine, key: &str) -> Result<(), AuthzError> {
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
    };
    let starts = key.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if !starts || key.len() > KEY_BYTES_MAX || !key.bytes().all(plain) {
        return Err(AuthzError::RoleInvalid {
            pointer: "/key",
            detail: format!(
                "a key starts with a lower-case letter and has at most {KEY_BYTES_MAX} lower-case \
                 letters, digits, - and _"
            ),
        });
    }
    if engine.book.get(key).is_some() {
        return Err(AuthzError::RoleExists(key.to_owned()));
    }
    Ok(())
}

fn check_texts(title: &str, description: &str) -> Result<(), AuthzError> {
    if title.trim().is_empty() || title.chars().count() > TITLE_CHARACTERS_MAX {
        return Err(AuthzError::RoleInvalid {
            pointer: "/title",
            detail: format!("a title has 1 to {TITLE_CHARACTERS_MAX} characters"),
        });
    }
    if description.chars().count() > DESCRIPTION_CHARACTERS_MAX {
        return Err(AuthzError::RoleInvalid {
            pointer: "/description",
            detail: format!("a description has at most {DESCRIPTION_CHARACTERS_MAX} characters"),
        });
    }
    Ok(())
}
