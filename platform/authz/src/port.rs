//! The kernel's `Authorizer` port over the sharded decision actors.

use troupe_actors::Shards;
use troupe_authz_messages::{Decide, DecisionMessage, Resolve};
use troupe_kernel::ports::{Authorizer, BoxFuture, Decision, Question};
use troupe_kernel::{Failure, PermissionSet, Scope};
use uuid::Uuid;

/// Asks the shard that is responsible for the subject.
#[derive(Clone)]
pub struct Port {
    decisions: Shards<DecisionMessage>,
}

impl Port {
    /// A port to these shards.
    #[must_use]
    pub fn new(decisions: Shards<DecisionMessage>) -> Self {
        Self { decisions }
    }
}

impl Authorizer for Port {
    fn resolve<'a>(
        &'a self,
        subject: Uuid,
        tenant: Option<Uuid>,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<PermissionSet, Failure>> {
        Box::pin(async move {
            self.decisions.by(&subject).ask(scope, Resolve { subject, tenant }).await
        })
    }

    fn decide<'a>(
        &'a self,
        question: Question,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Decision, Failure>> {
        Box::pin(async move {
            let shard = self.decisions.by(&question.principal.subject);
            shard.ask(scope, Decide { question }).await
        })
    }
}
