//! What one subject was given in one tenant, compiled to bits, and what that decides.
//!
//! A grant without a condition gives its permissions *firmly*. A grant with a condition gives, at the
//! gate, only permissions of governed actions: for those the service asks for a decision about the
//! resource, and there the condition is evaluated. For all others nobody would ever check it, so
//! the grant does not count.

use std::sync::Arc;

use troupe_authz_messages::{BindingId, GrantSource};
use troupe_kernel::PermissionSet;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::TenantId;
use troupe_kernel::permissions::Catalog;

use crate::condition::Condition;
use crate::policies::Policies;

/// One role that a subject has, with what the role holds.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Where it comes from.
    pub source: GrantSource,
    /// The binding, when it was granted.
    pub binding: Option<BindingId>,
    /// Key of the role.
    pub role: String,
    /// The tenant it counts in; none on the whole platform.
    pub tenant: Option<TenantId>,
    /// What the role holds; none when no such role exists (any more).
    pub permissions: Option<PermissionSet>,
    /// The condition, compiled; `Some(None)` when the stored text does not compile any more.
    pub condition: Option<Option<Arc<Condition>>>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Everything a subject was given, compiled.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    grants: Vec<Grant>,
    firm: PermissionSet,
    platform: PermissionSet,
    held: PermissionSet,
    valid_until: Option<Timestamp>,
}

impl Grants {
    /// Compiles grants; those that have ended at `now` are left out.
    #[must_use]
    pub fn new(
        grants: impl IntoIterator<Item = Grant>,
        now: Timestamp,
        catalog: &Catalog,
        policies: &Policies,
    ) -> Self {
        let mut compiled = Self::default();
        for grant in grants {
            if grant.expires_at.is_some_and(|end| end <= now) {
                continue;
            }
            compiled.valid_until = match (compiled.valid_until, grant.expires_at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            if let Some(set) = &grant.permissions {
                if grant.condition.is_none() {
                    compiled.firm.extend(set);
                    if grant.tenant.is_none() {
                        compiled.platform.extend(set);
                    }
                } else {
                    let governed = set
                        .iter()
                        .filter(|bit| catalog.key(*bit).is_some_and(|key| policies.governs(key)));
                    governed.for_each(|bit| compiled.held.insert(bit));
                }
            }
            compiled.grants.push(grant);
        }
        let firm = compiled.firm.clone();
        compiled.held.extend(&firm);
        compiled
    }

    /// What the gate lets pass.
    #[must_use]
    pub fn held(&self) -> &PermissionSet {
        &self.held
    }

    /// What was given without a condition.
    #[must_use]
    pub fn firm(&self) -> &PermissionSet {
        &self.firm
    }

    /// What was given without a condition on the whole platform.
    #[must_use]
    pub fn platform(&self) -> &PermissionSet {
        &self.platform
    }

    /// Until when this is true without looking again; none for as long as nothing changes.
    #[must_use]
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.valid_until.is_none_or(|end| now < end)
    }

    /// Every grant that has not ended.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter()
    }
}
