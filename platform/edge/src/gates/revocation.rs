//! Passes what the hub of invalidations says to every shard that remembers something, and
//! acknowledges when all have forgotten.
//!
//! Mailbox: the kit's default. Restart: permanent. A crash fails the publisher, who tries again.

use std::time::Duration;

use troupe_actors::{
    Backoff, Context, Failure, FailureKind, Handled, Lent, Message, Request, Scope, Service, Shards,
};
use troupe_kernel::{BoxFuture, InvalidationMessage};

use super::auth::{AuthMessage, Forget, Revoked};
use super::authz::{AuthzMessage, Changed};

/// Waits before a full shard is told again.
const AGAIN: Backoff = Backoff {
    first: Duration::from_millis(1),
    max: Duration::from_millis(50),
    jitter_percent: 0,
    seed: 0,
};

pub(crate) struct RevocationGate {
    auth: Shards<AuthMessage>,
    authz: Shards<AuthzMessage>,
}

impl RevocationGate {
    pub(crate) fn new(auth: Shards<AuthMessage>, authz: Shards<AuthzMessage>) -> Self {
        Self { auth, authz }
    }
}

/// Sends a message to all shards; the future ends when each has acknowledged. A shard whose mailbox
/// is full is told again: load must not keep alive what was revoked.
fn tell_all<M: Message>(
    shards: &Shards<M>,
    scope: &Scope,
    message: &(impl Clone + Request<Protocol = M, Reply = ()>),
) -> BoxFuture<'static, Result<(), Failure>> {
    let telling: Vec<_> = shards
        .all()
        .iter()
        .map(|shard| {
            let (port, pending) = shard.open::<()>(scope);
            shard.send(scope, message.clone().into_protocol(), port);
            (shard.clone(), pending)
        })
        .collect();
    let (scope, message) = (scope.clone(), message.clone());
    Box::pin(async move {
        for (shard, pending) in telling {
            let mut told = pending.await.result;
            for tries in 0.. {
                let shed =
                    matches!(&told, Err(failure) if failure.kind() == FailureKind::Overloaded);
                if !shed || scope.remaining().is_zero() {
                    break;
                }
                tokio::time::sleep(AGAIN.wait(tries, 0)).await;
                told = shard.ask(&scope, message.clone()).await;
            }
            told?;
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
