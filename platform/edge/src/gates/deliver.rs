//! The last gate: translates the request into the service's message and hands it over.
//!
//! Here the body is parsed for the first time. A translation that panics is a defect of its route
//! and fails its request only: it must not restart a gate that all routes share.
//!
//! Mailbox: `edge.mailbox`. Restart: permanent. Stateless: a crash loses nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use troupe_actors::{Context, Handled, Lent, Service};

use super::passage::Passage;
use crate::table::Table;

troupe_actors::protocol! {
    /// What the last gate understands.
    pub enum DeliverMessage("edge.deliver", 1) redact ["headers", "body", "query"] {
        /// Hands a request to its service.
        Passage,
    }
}

pub(crate) struct DeliverGate {
    table: Arc<Table>,
}

impl DeliverGate {
    pub(crate) fn new(table: Arc<Table>) -> Self {
        Self { table }
    }
}

impl Service for DeliverGate {
    type Message = DeliverMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<DeliverMessage>,
        ctx: &mut Context<DeliverMessage>,
    ) -> Handled {
        let DeliverMessage::Passage(mut passage) = message.take();
        let Some(port) = ctx.take_port() else { return Ok(()) };
        passage.request.scope = ctx.scope().clone();
        let route = &self.table.get(passage.route).route;
        let sender = ctx.sender();
        let delivered = catch_unwind(AssertUnwindSafe(|| {
            route.target().deliver_as(sender, &passage.request, port);
        }));
        if delivered.is_err() {
            tracing::error!(%route, "the translation of a request panicked");
        }
        Ok(())
    }
}
