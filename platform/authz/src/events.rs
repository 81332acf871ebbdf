//! The events of this module, made of its rows.

use troupe_authz_messages::{
    BindingEvent, ROLE_CREATED, ROLE_DELETED, ROLE_EXPIRED, ROLE_GRANTED, ROLE_REVOKED,
    ROLE_UPDATED, RoleEvent,
};
use troupe_database::DbUuid;
use troupe_kernel::Event;
use troupe_kernel::ids::TenantId;

use crate::repository::bindings::BindingRow;
use crate::repository::roles::RoleRow;

/// A role was created.
#[must_use]
pub fn role_created(row: &RoleRow) -> Event {
    role(ROLE_CREATED, row, row.permissions.0.clone())
}

/// A role was changed.
#[must_use]
pub fn role_updated(row: &RoleRow) -> Event {
    role(ROLE_UPDATED, row, row.permissions.0.clone())
}

/// A role was deleted.
#[must_use]
pub fn role_deleted(row: &RoleRow) -> Event {
    role(ROLE_DELETED, row, Vec::new())
}

/// A role was given.
#[must_use]
pub fn granted(row: &BindingRow) -> Event {
    binding(ROLE_GRANTED, row)
}

/// A role was taken.
#[must_use]
pub fn revoked(row: &BindingRow) -> Event {
    binding(ROLE_REVOKED, row)
}

/// A role that was given for a time ended.
#[must_use]
pub fn expired(row: &BindingRow) -> Event {
    binding(ROLE_EXPIRED, row)
}

fn role(kind: &str, row: &RoleRow, permissions: Vec<String>) -> Event {
    let tenant: TenantId = row.tenant.to();
    let data = RoleEvent { tenant, key: row.key.clone(), permissions, version: row.version };
    Event::new(kind, format_args!("{tenant}/{}", row.key), &data).tenant(tenant)
}

fn binding(kind: &str, row: &BindingRow) -> Event {
    let tenant: Option<TenantId> = row.tenant.map(DbUuid::to);
    let data = BindingEvent {
        binding: row.id.to(),
        subject: row.subject.into(),
        tenant,
        role: row.role.clone(),
        expires_at: row.expires_at.map(Into::into),
    };
    let event = Event::new(kind, uuid::Uuid::from(row.subject), &data);
    match tenant {
        Some(tenant) => event.tenant(tenant),
        None => event,
    }
}
