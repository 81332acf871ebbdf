//! The generic cell rate algorithm: a rate limit with one timestamp per key.
//!
//! A key's *theoretical arrival time* is the moment at which its quota is whole again. A request
//! moves it by `window / quota`; it is refused when that would move it more than a window ahead of
//! now. So a key may spend its quota at once and then gets it back evenly. State is bounded: keys
//! whose quota is whole are forgotten, and when the table is full newcomers share one overflow key.

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
}

/// The state of all keys of one policy.
pub(crate) struct Limiter<K> {
    policy: Policy,
    window_nanos: u64,
    cost_nanos: u64,
    keys: HashMap<K, u64, RandomState>,
    keys_max: usize,
    overflow: u64,
    swept: u64,
}

impl<K: Eq + Hash> Limiter<K> {
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
            overflow: 0,
            swept: 0,
        }
    }

    /// Counts a request of `key` at `now`, in nanoseconds of a monotonic clock.
    pub(crate) fn check(&mut self, key: K, now: u64) -> Verdict {
        if self.keys.len() >= self.keys_max && !self.keys.contains_key(&key) {
            self.sweep_at(now);
        }
        let room = self.keys.len() < self.keys_max;
        let arrival = match self.keys.get_mut(&key) {
            Some(arrival) => arrival,
            None if room => self.keys.entry(key).or_insert(now),
            None => &mut self.overflow,
        };
        let moved = (*arrival).max(now).saturating_add(self.cost_nanos);
        let allowed = moved.saturating_sub(now) <= self.window_nanos;
        if allowed {
            *arrival = moved;
        }
        let ahead = (*arrival).saturating_sub(now);
        let wait =
            Duration::from_nanos(moved.saturating_sub(now).saturating_sub(self.window_nanos));
        Verdict { allowed: if allowed { Ok(()) } else { Err(wait) }, state: self.state(ahead) }
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
        self.keys.retain(|_, arrival| *arrival > now);
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
