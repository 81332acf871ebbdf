//! Waits between tries: exponential, bounded, jittered.

use std::time::Duration;

/// How long to wait before each try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait before the first try.
    pub first: Duration,
    /// No wait is longer.
    pub max: Duration,
    /// Part of the wait, in percent, by which it may be shorter.
    pub jitter_percent: u8,
    /// Seed of the jitter; the same seed gives the same waits.
    pub seed: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(10),
            max: Duration::from_secs(10),
            jitter_percent: 25,
            seed: 0x9e37_79b9_7f4a_7c15,
        }
    }
}

impl Backoff {
    /// No wait at all, for tests.
    #[must_use]
    pub const fn none() -> Self {
        Self { first: Duration::ZERO, max: Duration::ZERO, jitter_percent: 0, seed: 0 }
    }

    /// The wait before try number `tries` (from zero) of the party `who`, so that many parties that
    /// failed together do not try again together.
    #[must_use]
    pub fn wait(&self, tries: u32, who: u64) -> Duration {
        let whole = self.first.saturating_mul(1 << tries.min(20)).min(self.max);
        let draw = mix(self.seed ^ who.rotate_left(32) ^ u64::from(tries)) % 1000;
        let shorter = u128::from(self.jitter_percent.min(100)) * u128::from(draw) / 1000;
        let nanos = whole.as_nanos() * (100 - shorter) / 100;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_maximum() {
        let backoff = Backoff { jitter_percent: 0, ..Backoff::default() };
        let waits: Vec<_> = (0..12).map(|tries| backoff.wait(tries, 1).as_millis()).collect();
        assert_eq!(waits[..4], [10, 20, 40, 80]);
        assert_eq!(waits[11], 10_000);
    }

    #[test]
    fn jitter_shortens_within_its_part_and_differs_by_party() {
        let backoff = Backoff::default();
        let waits: Vec<_> = (0..100).map(|who| backoff.wait(5, who)).collect();
        let whole = Duration::from_millis(320);
        assert!(waits.iter().all(|wait| *wait <= whole && *wait >= whole.mul_f64(0.75)));
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
