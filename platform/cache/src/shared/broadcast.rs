//! Passes what this node revokes to the other nodes.
//!
//! A revocation is answered when Redis has taken it; while Redis is away, when it is noted to be told
//! first of all afterwards: a revocation is true in the database already, and must not fail because
//! the others cannot be reached.
//!
//! Mailbox: the kit's default. Restart: permanent. A crash fails the publisher, who tries again.

use troupe_actors::{Context, Handled, Lent, Request, Service, ServiceRef, Spec, System};
use troupe_kernel::InvalidationMessage;

use super::Redis;
use super::news::News;

pub(super) fn service(
    system: &System,
    redis: Redis,
) -> (ServiceRef<InvalidationMessage>, troupe_actors::ChildSpec) {
    Spec::new(system, "broadcast", move || Broadcast { redis: redis.clone() }).build()
}

struct Broadcast {
    redis: Redis,
}

impl Broadcast {
    fn pass_on<Q>(&self, request: &Q, ctx: &mut Context<InvalidationMessage>) -> Handled
    where
        Q: Request<Protocol = InvalidationMessage, Reply = ()> + Clone,
    {
        let news = News::Invalidation(request.clone().into_protocol());
        let reply = ctx.defer(request);
        let redis = self.redis.clone();
        ctx.run(async move {
            if let Err(error) = redis.tell(news).await {
                metrics::counter!("troupe_redis_late_revocations_total").increment(1);
                let reason = error.told();
                tracing::warn!(reason, "other nodes learn of a revocation when Redis is back");
            }
            reply.send(Ok(()));
            None
        })
    }
}

impl Service for Broadcast {
    type Message = InvalidationMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<InvalidationMessage>,
        ctx: &mut Context<InvalidationMessage>,
    ) -> Handled {
        match &**message {
            InvalidationMessage::RevokeSession(revoke) => self.pass_on(revoke, ctx),
            InvalidationMessage::RevokeSubject(revoke) => self.pass_on(revoke, ctx),
            InvalidationMessage::RevokeEverybody(revoke) => self.pass_on(revoke, ctx),
            InvalidationMessage::PermissionsChanged(change) => self.pass_on(change, ctx),
        }
    }
}
