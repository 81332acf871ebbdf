//! What the caller of a command may give and take: no more than it holds without a condition.

use troupe_database::DbConn;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::TenantId;
use troupe_kernel::{Failure, PermissionSet, PrincipalKind, Scope};

use crate::engine::Engine;
use crate::error::AuthzError;
use crate::loading;

/// What a caller may give and take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rights {
    /// The platform itself.
    Everything,
    /// What it holds.
    Held(PermissionSet),
}

impl Rights {
    /// The rights of the scope's principal in a tenant, or on the platform, as committed now.
    ///
    /// A token of one organisation gives no rights in another, whatever its owner has there; what
    /// was granted platform-wide counts everywhere.
    ///
    /// # Errors
    /// When nobody acts, or as the database says.
    pub(super) async fn of(
        conn: &mut DbConn,
        engine: &Engine,
        scope: &Scope,
        tenant: Option<TenantId>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let principal = scope.principal().ok_or(AuthzError::NoPrincipal)?;
        if principal.kind == PrincipalKind::System {
            return Ok(Self::Everything);
        }
        let key = (principal.subject, principal.tenant);
        let loaded = loading::load(conn, engine, &[key], now).await?;
        let grants = loaded.get(&key).cloned().unwrap_or_default();
        let here = tenant.is_some() && tenant.map(TenantId::uuid) == principal.tenant;
        let held = if here { grants.firm() } else { grants.platform() };
        Ok(Self::Held(match &principal.bound {
            Some(bound) => held.intersect(bound),
            None => held.clone(),
        }))
    }

    /// Refuses what goes beyond them.
    ///
    /// # Errors
    /// [`AuthzError::Exceeds`], naming what is missing.
    pub(super) fn cover(&self, engine: &Engine, wanted: &PermissionSet) -> Result<(), AuthzError> {
        let Self::Held(held) = self else { return Ok(()) };
        let missing: Vec<String> = wanted
            .iter()
            .filter(|bit| !held.contains(*bit))
            .filter_map(|bit| engine.catalog.key(bit).map(str::to_owned))
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(AuthzError::Exceeds(missing)) }
    }
}
