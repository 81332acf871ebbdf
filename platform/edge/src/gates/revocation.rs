//! Passes what the hub of invalidations says to every shard that remembers something, and
//! acknowledges when all have forgotten.
//!
//! Mailbox: the kit's default. Restart: permanent. A crash fails the publisher, who tries again.

use troupe_actors::{Context, Failure, Handled, Lent, Message, Scope, Service, Shards};
use troupe_kernel::{BoxFuture, InvalidationMessage};

use super::auth::{AuthMessage, Forget, Revoked};
use super::authz::{AuthzMessage, Changed};

pub(crate) struct RevocationGate {
    auth: Shards<AuthMessage>,
    authz: Shards<AuthzMessage>,
}

impl RevocationGate {
    pub(crate) fn new(auth: Shards<AuthMessage>, authz: Shards<AuthzMessage>) -> Self {
        Self { auth, authz }
    }
}

/// Sends a message to all shards; the future ends when each has acknowledged.
fn tell_all<M: Message>(
    shards: &Shards<M>,
    scope: &Scope,
    message: &(impl Clone + Into<M>),
) -> BoxFuture<'static, Result<(), Failure>> {
    let mut acknowledgements = Vec::new();
    for shard in shards.all() {
        let (port, pending) = shard.open::<()>(scope);
        shard.send(scope, message.clone().into(), port);
        acknowledgements.push(pending);
    }
    Box::pin(async move {
        for acknowledgement in acknowledgements {
            acknowledgement.await.result?;
        }
        Ok(())
    })
}

impl Service for RevocationGate {
    type Message = InvalidationMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<InvalidationMessage>,
        ctx: &mut Context<InvalidationMessage>,
    ) -> Handled {
        let scope = ctx.scope().clone();
        let forget = |what| tell_all(&self.auth, &scope, &Forget { what });
        match &**message {
            InvalidationMessage::RevokeSession(revoke) => {
                let told = forget(Revoked::Session(revoke.session));
                let reply = ctx.defer(revoke);
                acknowledge(ctx, told, reply)
            }
            InvalidationMessage::RevokeSubject(revoke) => {
                let told = forget(Revoked::Subject(revoke.subject));
                let reply = ctx.defer(revoke);
                acknowledge(ctx, told, reply)
            }
            InvalidationMessage::RevokeEverybody(revoke) => {
                let told = forget(Revoked::Anybody);
                let reply = ctx.defer(revoke);
                acknowledge(ctx, told, reply)
            }
            InvalidationMessage::PermissionsChanged(changed) => {
                let told = tell_all(&self.authz, &scope, &Changed { change: *changed });
                let reply = ctx.defer(changed);
                acknowledge(ctx, told, reply)
            }
        }
    }
}

fn acknowledge(
    ctx: &mut Context<InvalidationMessage>,
    told: BoxFuture<'static, Result<(), Failure>>,
    reply: troupe_actors::Reply<()>,
) -> Handled {
    ctx.run(async move {
        reply.send(told.await);
        None
    })
}
