//! The rate gates: one actor kind for the limit per address and the limit per principal.
//!
//! Mailbox: `edge.mailbox`. Restart: permanent. A crash forgets the counts of its keys: they start
//! with a whole quota.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::{
    Context, Failure, FailureKind, Handled, Lent, Message, Moment, Scope, Service,
};
use troupe_kernel::Uuid;

use super::gcra::{Limiter, Policy};
use super::passage::{self, Passage, Stage};
use crate::config::RateConfig;
use crate::http::limits;

/// Whole quotas are forgotten this often.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Time to forget keys whose quota is whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sweep;

troupe_actors::protocol! {
    /// What a rate gate understands.
    pub enum RateMessage("edge.rate", 1) redact ["headers", "body", "query"] {
        /// Counts a request and lets it pass or refuses it.
        Passage,
        /// Forgets what need not be remembered.
        Sweep,
    }
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RateKey {
    Address(IpAddr),
    Subject(Uuid),
}

pub(crate) type KeyOf = fn(&Passage, &Scope) -> Option<RateKey>;

pub(crate) fn address_key(passage: &Passage, _scope: &Scope) -> Option<RateKey> {
    Some(RateKey::Address(passage::address(passage)))
}

/// Nobody's requests are counted by address only.
pub(crate) fn subject_key(_passage: &Passage, scope: &Scope) -> Option<RateKey> {
    scope.subject().map(RateKey::Subject)
}

pub(crate) struct RateGate<N: Message> {
    name: &'static str,
    limiter: Option<Limiter<RateKey>>,
    key_of: KeyOf,
    next: Stage<N>,
}

impl<N: Message> RateGate<N> {
    pub(crate) fn new(
        name: &'static str,
        limit: RateConfig,
        key_of: KeyOf,
        next: Stage<N>,
    ) -> Self {
        let policy = Policy { name, quota: limit.quota, window: limit.window };
        let limiter = (limit.quota > 0).then(|| Limiter::new(policy, super::RATE_KEYS_MAX));
        Self { name, limiter, key_of, next }
    }

    fn count(&mut self, passage: &Passage, ctx: &mut Context<RateMessage>) -> Handled {
        let Some(limiter) = &mut self.limiter else { return Ok(()) };
        let Some(key) = (self.key_of)(passage, ctx.scope()) else { return Ok(()) };
        let verdict = limiter.check(key, Moment::now().as_nanos());
        let Err(wait) = verdict.allowed else {
            ctx.amend(|origin| {
                let known = origin.trailers.rate.take();
                origin.trailers.rate = Some(limits::tighter(known, verdict.state));
            });
            return Ok(());
        };
        ctx.amend(|origin| origin.trailers.rate = Some(verdict.state));
        metrics::counter!("troupe_http_rate_limited_total", "policy" => self.name).increment(1);
        Err(Failure::new(
            FailureKind::RateLimited,
            "edge.rate.exceeded",
            format!("too many requests for this {}; wait as long as Retry-After says", self.name),
        )
        .retry_after(wait))
    }
}

impl<N: Message + From<Passage>> Service for RateGate<N> {
    type Message = RateMessage;

    async fn start(&mut self, ctx: &mut Context<RateMessage>) -> Handled {
        ctx.every(SWEEP_EVERY, || Sweep.into())
    }

    async fn handle(
        &mut self,
        message: &mut Lent<RateMessage>,
        ctx: &mut Context<RateMessage>,
    ) -> Handled {
        match &**message {
            RateMessage::Sweep(_) => {
                if let Some(limiter) = &mut self.limiter {
                    limiter.sweep(Moment::now().as_nanos());
                }
                return Ok(());
            }
            RateMessage::Passage(passage) => self.count(passage, ctx)?,
        }
        let RateMessage::Passage(passage) = message.take() else { return Ok(()) };
        let next = self.next.of(&passage, ctx.scope()).clone();
        ctx.forward(&next, passage)
    }
}
