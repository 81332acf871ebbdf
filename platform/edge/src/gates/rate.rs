//! The rate gates: one actor kind for the limit per address and the limit per principal.
//!
//! All gates of a limit count in the same place, so that a quota is one quota on however many cores.
//! With a ledger, what is counted is settled with the other nodes beside the requests ([`settle`]).
//!
//! Mailbox: `edge.mailbox`. Restart: permanent. A crash forgets no count.

use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foldhash::quality::RandomState;
use parking_lot::Mutex;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use troupe_actors::{
    Context, Failure, FailureKind, Handled, Lent, Message, Moment, Scope, Service,
};
use troupe_kernel::Uuid;

use super::gcra::{Limiter, Policy, Unsettled, Verdict};
use super::passage::{self, Passage, Stage};
use crate::config::RateConfig;
use crate::http::limits;

/// Places that a limit's keys are divided among: two cores seldom want the same one.
const PARTS: usize = 64;
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

/// Wakes who settles.
#[derive(Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    notify: Notify,
}

impl Bell {
    /// There is something that should not wait.
    pub(super) fn ring(&self) {
        if !self.rung.swap(true, Ordering::Relaxed) {
            self.notify.notify_one();
        }
    }

    /// Waits until it rings.
    pub(super) async fn heard(&self) {
        self.notify.notified().await;
    }

    /// From here on it can ring again.
    pub(super) fn hush(&self) {
        self.rung.store(false, Ordering::Relaxed);
    }
}

/// A limit with the counts of all its keys, shared by its gates.
#[derive(Clone)]
pub(crate) struct Limit {
    name: &'static str,
    /// Begins the names of its callers in the ledger: limits that differ count apart.
    ledger_name: Arc<str>,
    /// None without a ledger.
    bell: Option<Arc<Bell>>,
    /// None for a limit that is switched off.
    parts: Arc<[Mutex<Limiter<RateKey>>]>,
    hasher: RandomState,
}

impl Limit {
    /// A limit; with a bell, one whose counts are settled with other nodes.
    pub(crate) fn new(name: &'static str, limit: RateConfig, bell: Option<Arc<Bell>>) -> Self {
        let policy = Policy { name, quota: limit.quota, window: limit.window };
        let part = |_| {
            let limiter = Limiter::new(policy.clone(), super::RATE_KEYS_MAX / PARTS);
            Mutex::new(if bell.is_some() { limiter.shared() } else { limiter })
        };
        let parts = if limit.quota > 0 { PARTS } else { 0 };
        // Counts from zero: the increase of a counter that begins with its first event is not seen.
        metrics::counter!("troupe_http_rate_limited_total", "policy" => name).increment(0);
        Self {
            name,
            ledger_name: format!("{name}/{}/{}", limit.quota, limit.window.as_millis()).into(),
            parts: (0..parts).map(part).collect(),
            hasher: RandomState::default(),
            bell,
        }
    }

    /// Counts a request; none without a limit.
    pub(super) fn check(&self, key: RateKey) -> Option<Verdict> {
        let verdict = self.part(key)?.lock().check(key, Moment::now().as_nanos());
        if verdict.urgent
            && let Some(bell) = &self.bell
        {
            bell.ring();
        }
        Some(verdict)
    }

    fn part(&self, key: RateKey) -> Option<&Mutex<Limiter<RateKey>>> {
        let count = u64::try_from(self.parts.len()).ok()?;
        let part = self.hasher.hash_one(key).checked_rem(count)?;
        self.parts.get(usize::try_from(part).ok()?)
    }

    /// What the ledger should hear of, at most `keys_max` keys of each part.
    pub(super) fn take_unsettled(&self, now: u64, keys_max: usize) -> Vec<Unsettled<RateKey>> {
        self.parts.iter().flat_map(|part| part.lock().take_unsettled(now, keys_max)).collect()
    }

    /// A caller's name in the ledger.
    pub(super) fn caller(&self, key: RateKey) -> String {
        match key {
            RateKey::Address(address) => format!("{}/{address}", self.ledger_name),
            RateKey::Subject(subject) => format!("{}/{subject}", self.ledger_name),
        }
    }

    pub(super) fn settle(&self, key: RateKey, asked: u64, ahead: Duration) {
        if let Some(part) = self.part(key) {
            part.lock().settle(key, asked, ahead);
        }
    }

    pub(super) fn put_back(&self, unsettled: &Unsettled<RateKey>) {
        if let Some(part) = self.part(unsettled.key) {
            part.lock().put_back(unsettled);
        }
    }

    fn sweep(&self) {
        for part in &*self.parts {
            part.lock().sweep(Moment::now().as_nanos());
        }
    }
}

pub(crate) struct RateGate<N: Message> {
    limit: Limit,
    key_of: KeyOf,
    next: Stage<N>,
}

impl<N: Message> RateGate<N> {
    pub(crate) fn new(limit: Limit, key_of: KeyOf, next: Stage<N>) -> Self {
        Self { limit, key_of, next }
    }

    fn count(&mut self, passage: &Passage, ctx: &mut Context<RateMessage>) -> Handled {
        let Some(key) = (self.key_of)(passage, ctx.scope()) else { return Ok(()) };
        let Some(verdict) = self.limit.check(key) else { return Ok(()) };
        let name = self.limit.name;
        let Err(wait) = verdict.allowed else {
            ctx.amend(|origin| {
                let known = origin.trailers.rate.take();
                origin.trailers.rate = Some(limits::tighter(known, verdict.state));
            });
            return Ok(());
        };
        ctx.amend(|origin| origin.trailers.rate = Some(verdict.state));
        metrics::counter!("troupe_http_rate_limited_total", "policy" => name).increment(1);
        Err(Failure::new(
            FailureKind::RateLimited,
            "edge.rate.exceeded",
            format!("too many requests for this {name}; wait as long as Retry-After says"),
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
                self.limit.sweep();
                return Ok(());
            }
            RateMessage::Passage(passage) => self.count(passage, ctx)?,
        }
        let RateMessage::Passage(passage) = message.take() else { return Ok(()) };
        let next = self.next.of(&passage, ctx.scope()).clone();
        ctx.forward(&next, passage)
    }
}
