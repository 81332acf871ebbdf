//! The webhook service: a pool that answers requests about endpoints and deliveries, and makes
//! deliveries of events.
//!
//! Mailbox: 1024. Restarted always. A crash loses the message at hand; an event is offered again.

use std::sync::Arc;

use troupe_actors::{Context, Handled, Lent, Request, Service};
use troupe_database::Commanded;

use super::Shared;
use super::messages::WebhookMessage;

/// Messages that may wait.
pub(crate) const CAPACITY: usize = 1024;

/// One worker.
pub(crate) struct Webhooks {
    shared: Arc<Shared>,
}

impl Webhooks {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl Service for Webhooks {
    type Message = WebhookMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<WebhookMessage>,
        ctx: &mut Context<WebhookMessage>,
    ) -> Handled {
        let scope = ctx.scope().clone();
        let shared = &*self.shared;
        match &**message {
            WebhookMessage::CreateEndpoint(command) => {
                ctx.reply(command, shared.create(&scope, command).await?)
            }
            WebhookMessage::ListEndpoints(query) => {
                ctx.reply(query, shared.list(&scope, query).await?)
            }
            WebhookMessage::GetEndpoint(query) => {
                ctx.reply(query, shared.get(&scope, query.id).await?)
            }
            WebhookMessage::ChangeEndpoint(command) => {
                answer(ctx, command, shared.change(&scope, command).await?)
            }
            WebhookMessage::RemoveEndpoint(command) => {
                answer(ctx, command, shared.remove(&scope, command).await?)
            }
            WebhookMessage::RotateSecret(command) => {
                ctx.reply(command, shared.rotate(&scope, command).await?)
            }
            WebhookMessage::SendTest(command) => {
                answer(ctx, command, shared.test(&scope, command).await?)
            }
            WebhookMessage::ListDeliveries(query) => {
                ctx.reply(query, shared.deliveries(&scope, query).await?)
            }
            WebhookMessage::GetDelivery(query) => {
                ctx.reply(query, shared.delivery(&scope, query.id).await?)
            }
            WebhookMessage::ResendDelivery(command) => {
                answer(ctx, command, shared.resend(&scope, command).await?)
            }
            WebhookMessage::OfferEvent(command) => {
                ctx.reply(command, shared.offer(&scope, command).await?)
            }
            WebhookMessage::PruneDeliveries(command) => {
                ctx.reply(command, shared.prune(&scope).await?)
            }
        }
    }
}

/// Answers a command, and tells the asker when the reply is a stored one.
fn answer<Q: Request>(
    ctx: &mut Context<Q::Protocol>,
    command: &Q,
    done: Commanded<Q::Reply>,
) -> Handled {
    if done.replayed {
        ctx.amend(|origin| origin.trailers.replayed = true);
    }
    ctx.reply(command, done.value)
}
