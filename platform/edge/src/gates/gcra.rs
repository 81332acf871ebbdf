//! The generic cell rate algorithm: a rate limit with one timestamp per key.
//!
//! A key's *theoretical arrival time* is the moment at which its quota is whole again. A request
//! moves it by `window / quota`; it is refused when that would move it more than a window ahead of
//! now. So a key may spend its quota at once and then gets it back evenly. State is bounded: keys
//! whose quota is whole are forgotten, and when the table is full newcomers share one overflow key.
//!
//! A limiter that shares its counts notes what the ledger of all nodes does not know yet, and moves
//! a key on when the ledger says that others spent of its quota. It never waits for that.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use foldhash::quality::RandomState;
use troupe_actors::RateState;

/// A limit and its name in the header fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Name of the policy: `address`.
    pub(crate) name: &'static str,
    /// Requests in a window.
    pub(crate) quota: u32,
    /// The window.
    pub(crate) window: Duration,
}

/// What the algorithm says to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether it may pass; if not, after which time it may.
    pub(crate) allowed: Result<(), Duration>,
    /// The state to report.
    pub(crate) state: RateState,
    /// Whether the ledger should soon hear of this key.
    pub(crate) urgent: bool,
}

/// A key's state.
#[derive(Debug, Clone, Copy)]
struct Account {
    /// When its quota is whole again.
    arrival: u64,
    /// Requests that the ledger does not know of. Such a key stands among the unsettled ones.
    unsettled: u32,
    /// Whether the ledger could not be told of them when they were new.
    late: bool,
}

impl Account {
    const fn new(arrival: u64) -> Self {
        Self { arrival, unsettled: 0, late: false }
    }
}

/// What a key spent since the ledger heard of it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsettled<K> {
    pub(crate) key: K,
    /// The requests.
    pub(crate) count: u32,
    /// The time in which that part of the quota comes back.
    pub(crate) spent: Duration,
}

/// The state of all keys of one policy.
pub(crate) struct Limiter<K> {
    policy: Policy,
    window_nanos: u64,
    cost_nanos: u64,
    keys: HashMap<K, Account, RandomState>,
    keys_max: usize,
    overflow: Account,
    swept: u64,
    /// Requests of a key that are urgent news for the ledger; zero without a ledger.
    urgent_from: u32,
    /// Keys that the ledger should hear of, each once.
    unsettled: Vec<K>,
}

/// A key may spend this part of its quota before the ledger is told without delay.
const URGENT_PART: u32 = 64;

impl<K: Eq + Hash + Copy> Limiter<K> {
    /// A limiter that remembers at most `keys_max` keys.
    ///
    /// # Panics
    /// With a quota of zero.
    pub(crate) fn new(policy: Policy, keys_max: usize) -> Self {
        assert!(policy.quota > 0, "a limit of zero is no limit and has no limiter");
        let window_nanos = u64::try_from(policy.window.as_nanos()).unwrap_or(u64::MAX / 4);
        Self {
            window_nanos,
            cost_nanos: (window_nanos / u64::from(policy.quota)).max(1),
            policy,
            keys: HashMap::default(),
            keys_max,
            overflow: Account::new(0),
            swept: 0,
            urgent_from: 0,
            unsettled: Vec::new(),
        }
    }

    /// The same limiter noting what a ledger should hear of.
    pub(crate) fn shared(mut self) -> Self {
        self.urgent_from = (self.policy.quota / URGENT_PART).max(1);
        self
    }

    /// Counts a request of `key` at `now`, in nanoseconds of a monotonic clock.
    pub(crate) fn check(&mut self, key: K, now: u64) -> Verdict {
        if self.keys.len() >= self.keys_max && !self.keys.contains_key(&key) {
            self.sweep_at(now);
        }
        let room = self.keys.len() < self.keys_max;
        let (account, known) = match self.keys.get_mut(&key) {
            Some(account) => (account, true),
            None if room => (self.keys.entry(key).or_insert(Account::new(now)), true),
            None => (&mut self.overflow, false),
        };
        let moved = account.arrival.max(now).saturating_add(self.cost_nanos);
        let allowed = moved.saturating_sub(now) <= self.window_nanos;
        let mut urgent = false;
        if allowed {
            account.arrival = moved;
            if known && self.urgent_from > 0 {
                if account.unsettled == 0 {
                    self.unsettled.push(key);
                }
                account.unsettled = account.unsettled.saturating_add(1);
                urgent = account.unsettled >= self.urgent_from;
            }
        }
        let ahead = account.arrival.saturating_sub(now);
        let wait =
            Duration::from_nanos(moved.saturating_sub(now).saturating_sub(self.window_nanos));
        let allowed = if allowed { Ok(()) } else { Err(wait) };
        Verdict { allowed, state: self.state(ahead), urgent }
    }

    /// What the ledger should hear of, at most `keys_max` keys, those that wait longest; from here on it
    /// counts as told. Of what it hears late, the part that has come back meanwhile is left out.
    pub(crate) fn take_unsettled(&mut self, now: u64, keys_max: usize) -> Vec<Unsettled<K>> {
        let keys = keys_max.min(self.unsettled.len());
        let mut taken = Vec::with_capacity(keys);
        for key in self.unsettled.drain(..keys) {
            let Some(account) = self.keys.get_mut(&key) else { continue };
            let count = std::mem::take(&mut account.unsettled);
            let mut spent = u64::from(count).saturating_mul(self.cost_nanos);
            if std::mem::take(&mut account.late) {
                spent = spent.min(account.arrival.saturating_sub(now));
            }
            if spent > 0 {
                taken.push(Unsettled { key, count, spent: Duration::from_nanos(spent) });
            }
        }
        taken
    }

    /// Moves a key to where the ledger has it: `ahead` of the moment at which it was asked, and what
    /// was spent here since.
    pub(crate) fn settle(&mut self, key: K, asked: u64, ahead: Duration) {
        let Some(account) = self.keys.get_mut(&key) else { return };
        let ahead = u64::try_from(ahead.as_nanos()).unwrap_or(u64::MAX);
        let since = u64::from(account.unsettled).saturating_mul(self.cost_nanos);
        // Whatever was spent stays spent: a ledger that lost its counts gives nothing back.
        account.arrival = account.arrival.max(asked.saturating_add(ahead).saturating_add(since));
    }

    /// The ledger could not be told: it hears of this key another time.
    pub(crate) fn put_back(&mut self, unsettled: &Unsettled<K>) {
        let Some(account) = self.keys.get_mut(&unsettled.key) else { return };
        if account.unsettled == 0 {
            self.unsettled.push(unsettled.key);
        }
        account.unsettled = account.unsettled.saturating_add(unsettled.count);
        account.late = true;
    }

    /// Forgets keys whose quota is whole again: a new key is the same.
    pub(crate) fn sweep(&mut self, now: u64) {
        self.swept = 0;
        self.sweep_at(now);
    }

    fn sweep_at(&mut self, now: u64) {
        // A full table is swept at most a hundred times in a window: a flood of new keys must not
        // make each of its requests pay for a walk through the table.
        if self.swept != 0 && now.saturating_sub(self.swept) < self.window_nanos / 100 {
            return;
        }
        self.swept = now;
        self.keys.retain(|_, account| account.arrival > now);
        self.unsettled.retain(|key| self.keys.contains_key(key));
    }

    fn state(&self, ahead_nanos: u64) -> RateState {
        let left = self.window_nanos.saturating_sub(ahead_nanos) / self.cost_nanos;
        let secs = |nanos: u64| u32::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u32::MAX);
        RateState {
            policy: self.policy.name.into(),
            quota: self.policy.quota,
            window_secs: secs(self.window_nanos),
            remaining: u32::try_from(left).unwrap_or(u32::MAX).min(self.policy.quota),
            reset_secs: secs(ahead_nanos),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limiter(quota: u32, secs: u64, keys_max: usize) -> Limiter<u32> {
        let window = Duration::from_secs(secs);
        Limiter::new(Policy { name: "test", quota, window }, keys_max)
    }

    /// An arbitrary moment and the moment `millis` later.
    fn at(millis: u64) -> u64 {
        7_000_000_000 + millis * 1_000_000
    }

    #[test]
    fn a_quota_may_be_spent_at_once_and_comes_back_evenly() {
        let mut limiter = limiter(10, 10, 100);
        for left in (0..10).rev() {
            let verdict = limiter.check(1, at(0));
            assert_eq!(verdict.allowed, Ok(()));
            assert_eq!(verdict.state.remaining, left);
        }
        let refused = limiter.check(1, at(0));
        assert_eq!(refused.allowed, Err(Duration::from_secs(1)));
        assert_eq!((refused.state.remaining, refused.state.reset_secs), (0, 10));
        assert_eq!(limiter.check(1, at(999)).allowed, Err(Duration::from_millis(1)));
        assert_eq!(limiter.check(1, at(1000)).allowed, Ok(()));
        assert!(limiter.check(1, at(1001)).allowed.is_err());
        assert_eq!(limiter.check(2, at(1001)).allowed, Ok(()), "another key is not concerned");
    }

    #[test]
    fn keys_with_a_whole_quota_are_forgotten() {
        let mut limiter = limiter(10, 10, 100);
        for key in 0..50 {
            assert!(limiter.check(key, at(0)).allowed.is_ok());
        }
        assert!(limiter.check(50, at(500)).allowed.is_ok());
        limiter.sweep(at(1000));
        assert_eq!(limiter.keys.len(), 1);
        limiter.sweep(at(1500));
        assert!(limiter.keys.is_empty());
    }

    #[test]
    fn newcomers_share_one_key_when_the_table_is_full() {
        let mut limiter = limiter(2, 10, 3);
        for key in 0..3 {
            assert!(limiter.check(key, at(0)).allowed.is_ok());
        }
        assert!(limiter.check(10, at(1)).allowed.is_ok());
        assert!(limiter.check(11, at(2)).allowed.is_ok());
        assert!(limiter.check(12, at(3)).allowed.is_err(), "the overflow key is spent");
        assert!(limiter.check(0, at(4)).allowed.is_ok(), "known keys keep their own quota");
        assert_eq!(limiter.keys.len(), 3);
    }

    #[test]
    fn the_ledger_hears_of_a_key_once_and_late_only_of_what_has_not_come_back() {
        let mut limiter = limiter(100, 10, 100).shared();
        for _ in 0..20 {
            assert!(limiter.check(1, at(0)).urgent, "it is a large part of the quota");
        }
        assert!(limiter.check(2, at(0)).allowed.is_ok());
        let mut taken = limiter.take_unsettled(at(500), 10);
        taken.sort_by_key(|unsettled| unsettled.key);
        let told =
            |key, count, millis| Unsettled { key, count, spent: Duration::from_millis(millis) };
        assert_eq!(taken, [told(1, 20, 2000), told(2, 1, 100)]);
        assert_eq!(limiter.take_unsettled(at(500), 10), [], "it was told");
        limiter.put_back(&taken[0]);
        limiter.put_back(&taken[1]);
        assert!(limiter.check(1, at(500)).allowed.is_ok());
        assert_eq!(limiter.take_unsettled(at(500), 10), [told(1, 21, 1600)]);
        limiter.put_back(&told(1, 21, 1600));
        limiter.sweep(at(5_000));
        assert_eq!((limiter.keys.len(), limiter.unsettled.len()), (0, 0));
    }

    #[test]
    fn a_settled_key_is_where_the_ledger_has_it_and_never_behind() {
        let mut limiter = limiter(10, 10, 100).shared();
        for _ in 0..2 {
            assert!(limiter.check(1, at(0)).allowed.is_ok());
        }
        assert_eq!(limiter.take_unsettled(at(0), 10).len(), 1);
        assert!(limiter.check(1, at(1)).allowed.is_ok());
        limiter.settle(1, at(0), Duration::from_secs(8));
        assert_eq!(limiter.check(1, at(2)).state.remaining, 0, "8 of the ledger, 1 since, 1 now");
        assert!(limiter.check(1, at(3)).allowed.is_err());
        limiter.settle(1, at(3), Duration::ZERO);
        assert!(limiter.check(1, at(4)).allowed.is_err(), "what was spent stays spent");
        limiter.settle(7, at(4), Duration::from_secs(5));
        assert!(!limiter.keys.contains_key(&7), "a forgotten key stays forgotten");
    }

    #[test]
    fn without_a_ledger_nothing_is_noted_for_one() {
        let mut limiter = limiter(10, 10, 100);
        assert!(!limiter.check(1, at(0)).urgent);
        assert_eq!((limiter.unsettled.len(), limiter.keys[&1].unsettled), (0, 0));
    }

    proptest! {
        #[test]
        fn no_window_ever_lets_more_through_than_two_quotas(
            quota in 1_u32..50,
            steps in prop::collection::vec(0_u64..400, 1..300),
        ) {
            let mut limiter = limiter(quota, 10, 10);
                let mut now = 0;
            let mut passed: Vec<u64> = Vec::new();
            for step in steps {
                now += step;
                let verdict = limiter.check(1, at(now));
                match verdict.allowed {
                    Ok(()) => passed.push(now),
                    Err(wait) => {
                        prop_assert!(wait > Duration::ZERO && wait <= Duration::from_secs(10));
                        let later = now + u64::try_from(wait.as_millis()).unwrap() + 1;
                        let mut probe = Limiter::new(limiter.policy.clone(), 10);
                        probe.keys = limiter.keys.clone();
                        let in_time = probe.check(1, at(later)).allowed;
                        prop_assert!(in_time.is_ok(), "coming back in time is allowed");
                    }
                }
                prop_assert!(verdict.state.remaining <= quota);
                let recent = passed.iter().filter(|time| **time + 10_000 > now).count();
                prop_assert!(recent <= 2 * quota as usize, "{recent} of {quota}");
            }
        }
    }
}
