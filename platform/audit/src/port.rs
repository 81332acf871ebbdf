//! The kernel's `AuditLog` port over the intake.

use troupe_actors::ServiceRef;
use troupe_kernel::ports::{AuditLog, BoxFuture};
use troupe_kernel::{AuditRecord, Failure, Scope};

use crate::messages::{IntakeMessage, Record};

/// Hands records to the intake and waits until they are durable.
#[derive(Clone)]
pub struct Port {
    intake: ServiceRef<IntakeMessage>,
}

impl Port {
    /// A port to an intake.
    #[must_use]
    pub fn new(intake: ServiceRef<IntakeMessage>) -> Self {
        Self { intake }
    }
}

impl AuditLog for Port {
    fn record<'a>(
        &'a self,
        record: AuditRecord,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { self.intake.ask(scope, Record { record }).await })
    }
}
