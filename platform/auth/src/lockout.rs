//! How long an account or an address waits after failed attempts. Pure arithmetic.
//!
//! The first few failures are free; each further one doubles the wait, up to a cap. A quiet
//! window forgets. The wait is counted for accounts that do not exist as for those that do, so
//! that it tells nothing. What it is not: a rate limit; that is the edge's. The counts are kept by
//! `repository::failures`.

use std::time::Duration;

use troupe_kernel::clock::Timestamp;

/// The rule for one kind of party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockoutRule {
    /// Failures without a wait.
    pub free_failures: u32,
    /// Wait after the first failure that is not free; doubles with each further one.
    pub base: Duration,
    /// Longest wait.
    pub cap: Duration,
    /// Time without a failure after which the count starts again.
    pub window: Duration,
}

impl LockoutRule {
    /// How long the party waits after its `count`-th failure in a row.
    #[must_use]
    pub fn wait_after(&self, count: u32) -> Duration {
        if count <= self.free_failures {
            return Duration::ZERO;
        }
        let doublings = count - self.free_failures - 1;
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// Failures before this time are forgotten.
    #[must_use]
    pub fn remembered_since(&self, now: Timestamp) -> Timestamp {
        now.minus(self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(free_failures: u32) -> LockoutRule {
        LockoutRule {
            free_failures,
            base: Duration::from_secs(2),
            cap: Duration::from_secs(20),
            window: Duration::from_secs(60),
        }
    }

    #[test]
    fn the_wait_doubles_after_the_free_failures_up_to_the_cap() {
        let waits: Vec<_> = (1..=8).map(|count| rule(3).wait_after(count).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 2, 4, 8, 16, 20]);
    }

    #[test]
    fn a_very_long_series_stays_at_the_cap() {
        for count in [32, 33, 34, 200, u32::MAX] {
            assert_eq!(rule(0).wait_after(count), Duration::from_secs(20), "{count}");
        }
    }

    #[test]
    fn a_rule_that_frees_everything_never_waits() {
        assert_eq!(rule(u32::MAX).wait_after(u32::MAX), Duration::ZERO);
    }
}
