//! Reads what subjects were given and compiles it: one read for many subjects.

use std::collections::HashMap;
use std::sync::Arc;

use troupe_authz_messages::GrantSource;
use troupe_database::{DbConn, DbResult, DbUuid};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::TenantId;
use uuid::Uuid;

use crate::condition::Condition;
use crate::engine::Engine;
use crate::grants::{Grant, Grants};
use crate::repository::bindings::{self, BindingRow};
use crate::repository::memberships;
use crate::repository::roles::{self, RoleRow};

/// A subject in a tenant, or on the platform.
pub type Key = (Uuid, Option<Uuid>);

/// Reads and compiles the grants of every key.
///
/// # Errors
/// As the database says.
pub async fn load(
    conn: &mut DbConn,
    engine: &Engine,
    keys: &[Key],
    now: Timestamp,
) -> DbResult<HashMap<Key, Grants>> {
    let subjects = distinct(keys.iter().map(|(subject, _)| *subject));
    let tenants = distinct(keys.iter().filter_map(|(_, tenant)| *tenant));
    let bindings = bindings::load(conn, &subjects, &tenants).await?;
    let members = memberships::load(conn, &subjects, &tenants).await?;
    let mut given: Vec<(Uuid, Given)> =
        bindings.into_iter().map(|row| (row.subject.into(), row.into())).collect();
    given.extend(members.into_iter().filter_map(|row| {
        let role = row.role?;
        Some((row.subject.into(), Given::membership(row.tenant.into(), role)))
    }));
    let mut custom: Vec<String> = given
        .iter()
        .map(|(_, given)| &given.role)
        .filter(|role| engine.book.get(role).is_none())
        .cloned()
        .collect();
    custom.sort_unstable();
    custom.dedup();
    let custom = roles::load(conn, &tenants, &custom).await?;
    Ok(keys
        .iter()
        .map(|key| {
            let mine = given
                .iter()
                .filter(|(subject, given)| *subject == key.0 && counts_in(given.tenant, key.1))
                .map(|(_, given)| given.compile(engine, &custom));
            (*key, Grants::new(mine, now, &engine.catalog, &engine.policies))
        })
        .collect())
}

/// A role someone was given, before it is compiled.
struct Given {
    source: GrantSource,
    binding: Option<Uuid>,
    role: String,
    tenant: Option<Uuid>,
    condition: Option<String>,
    expires_at: Option<Timestamp>,
}

impl From<BindingRow> for Given {
    fn from(row: BindingRow) -> Self {
        Self {
            source: GrantSource::Binding,
            binding: Some(row.id.into()),
            role: row.role,
            tenant: row.tenant.map(Into::into),
            condition: row.condition,
            expires_at: row.expires_at.map(Into::into),
        }
    }
}

impl Given {
    fn membership(tenant: Uuid, role: String) -> Self {
        Self {
            source: GrantSource::Membership,
            binding: None,
            role,
            tenant: Some(tenant),
            condition: None,
            expires_at: None,
        }
    }

    fn compile(&self, engine: &Engine, custom: &[RoleRow]) -> Grant {
        let builtin = engine.book.get(&self.role);
        // A platform role in a tenant can only come from a row that was written behind our back.
        let builtin = builtin.filter(|role| !role.platform || self.tenant.is_none());
        let permissions = builtin.map(|role| role.permissions.clone()).or_else(|| {
            let row = custom
                .iter()
                .find(|row| row.key == self.role && Some(Uuid::from(row.tenant)) == self.tenant)?;
            Some(engine.catalog.compile(row.permissions.0.iter().map(String::as_str)))
        });
        Grant {
            source: self.source,
            binding: self.binding.map(Into::into),
            role: self.role.clone(),
            tenant: self.tenant.map(TenantId),
            permissions,
            condition: self.condition.as_deref().map(|text| self.condition(engine, text)),
            expires_at: self.expires_at,
        }
    }

    fn condition(&self, engine: &Engine, text: &str) -> Option<Arc<Condition>> {
        match engine.policies.binding_condition(&engine.catalog, text) {
            Ok(condition) => Some(Arc::new(condition)),
            Err(fault) => {
                tracing::warn!(binding = ?self.binding, %fault, "the condition of a binding is not valid any more; the binding counts for nothing");
                None
            }
        }
    }
}

fn counts_in(granted: Option<Uuid>, asked: Option<Uuid>) -> bool {
    granted.is_none() || granted == asked
}

fn distinct(ids: impl Iterator<Item = Uuid>) -> Vec<DbUuid> {
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().map(DbUuid).collect()
}
