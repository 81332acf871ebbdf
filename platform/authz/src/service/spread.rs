//! Tells everyone who remembers permissions that they changed, and waits until all have forgotten.

use std::time::Duration;

use troupe_actors::{ServiceRef, Shards};
use troupe_authz_messages::{DecisionMessage, Forget};
use troupe_kernel::ids::TenantId;
use troupe_kernel::invalidation::{Invalidations, PermissionsChanged};
use troupe_kernel::{Failure, Scope};
use uuid::Uuid;

use super::expiry::{ExpiryMessage, LookAgain};

/// Time the caches have to forget; the change itself is committed already.
const SPREAD_WITHIN: Duration = Duration::from_secs(5);

/// The way from a commit to the caches.
#[derive(Clone)]
pub struct Spread {
    decisions: Shards<DecisionMessage>,
    invalidations: Invalidations,
    expiry: ServiceRef<ExpiryMessage>,
}

impl Spread {
    /// A way to these caches.
    #[must_use]
    pub fn new(
        decisions: Shards<DecisionMessage>,
        invalidations: Invalidations,
        expiry: ServiceRef<ExpiryMessage>,
    ) -> Self {
        Self { decisions, invalidations, expiry }
    }

    /// What a subject may do has changed everywhere.
    ///
    /// # Errors
    /// As [`tell`](Self::tell).
    pub async fn changed(&self, scope: &Scope, subject: Uuid) -> Result<(), Failure> {
        self.tell(scope, PermissionsChanged { subject: Some(subject), tenant: None }).await
    }

    /// What anybody may do in a tenant has changed.
    ///
    /// # Errors
    /// As [`tell`](Self::tell).
    pub async fn changed_in(&self, scope: &Scope, tenant: TenantId) -> Result<(), Failure> {
        self.tell(scope, PermissionsChanged { subject: None, tenant: Some(tenant.uuid()) }).await
    }

    /// Makes everybody forget what a change concerns.
    ///
    /// Our own actors forget first and the gates after them: a gate that asks again must not get the
    /// old answer from here.
    ///
    /// # Errors
    /// When a cache did not acknowledge in time. The change is committed and the caches' age limit
    /// makes it effective; repeating the request with its idempotency key spreads it again.
    async fn tell(&self, scope: &Scope, change: PermissionsChanged) -> Result<(), Failure> {
        let scope = scope.detached(SPREAD_WITHIN);
        match change.subject {
            Some(subject) => {
                self.decisions.by(&subject).ask(&scope, Forget { change }).await?;
            }
            None => {
                for shard in self.decisions.all() {
                    shard.ask(&scope, Forget { change }).await?;
                }
            }
        }
        self.invalidations.publish(&scope, change).await
    }

    /// A binding with an end was made.
    pub fn look_again(&self, scope: &Scope) {
        if let Err(failure) = self.expiry.tell(scope, LookAgain) {
            // It looks by itself within a minute.
            tracing::debug!(%failure, "the expiry of bindings was not told of a new end");
        }
    }
}
