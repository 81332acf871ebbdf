//! When the next attempt is made: the configured waits, each moved by some chance so that messages
//! that failed together do not come together again.

use std::time::Duration;

use troupe_kernel::Uuid;

/// The longest wait that an answer may ask for with `Retry-After`.
const ASKED_MAX: Duration = Duration::from_secs(24 * 3_600);

/// The waits between the attempts of one round.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// After each failed attempt but the last.
    pub(crate) waits: Vec<Duration>,
    /// How much of a wait may be added or taken away, in percent.
    pub(crate) jitter_percent: u32,
}

/// A failed attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed {
    pub(crate) delivery: Uuid,
    /// Which attempt of its round, from 1.
    pub(crate) number: usize,
    /// The wait that the answer asked for.
    pub(crate) asked: Option<Duration>,
}

impl Schedule {
    /// The wait after a failed attempt; none when it was the last.
    pub(crate) fn after(&self, failed: &Failed) -> Option<Duration> {
        let wait = *self.waits.get(failed.number.checked_sub(1)?)?;
        let span = wait.as_secs_f64() * f64::from(self.jitter_percent) / 100.0;
        let seed = failed.delivery.as_u64_pair().1 ^ u64::try_from(failed.number).unwrap_or(0);
        let moved = wait.as_secs_f64() + span * (2.0 * fraction(seed) - 1.0);
        let asked = failed.asked.unwrap_or_default().min(ASKED_MAX);
        Some(Duration::from_secs_f64(moved.max(0.0)).max(asked))
    }
}

/// A number from 0 to 1 that looks random and is the same for the same seed (SplitMix64).
fn fraction(seed: u64) -> f64 {
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let top = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0);
    f64::from(top) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn schedule() -> Schedule {
        Schedule { waits: vec![MINUTE, 10 * MINUTE], jitter_percent: 20 }
    }

    fn failed(delivery: u128, number: usize) -> Failed {
        Failed { delivery: Uuid::from_u128(delivery), number, asked: None }
    }

    #[test]
    fn waits_grow_differ_between_deliveries_and_end() {
        let mut seen = std::collections::BTreeSet::new();
        for delivery in 0..50 {
            let first = schedule().after(&failed(delivery, 1)).unwrap();
            assert!((48 * MINUTE / 60..=72 * MINUTE / 60).contains(&first), "{first:?}");
            let second = schedule().after(&failed(delivery, 2)).unwrap();
            assert!((8 * MINUTE..=12 * MINUTE).contains(&second), "{second:?}");
            seen.insert(first);
        }
        assert!(seen.len() > 40, "they come together again: {seen:?}");
        assert_eq!(schedule().after(&failed(1, 3)), None);
    }

    #[test]
    fn an_answer_may_ask_for_a_longer_wait_within_a_day() {
        let asked = |wait| {
            let failed = Failed { asked: Some(wait), ..failed(1, 1) };
            schedule().after(&failed).unwrap()
        };
        assert_eq!(asked(60 * MINUTE), 60 * MINUTE);
        assert!(asked(MINUTE / 60) >= 48 * MINUTE / 60);
        assert_eq!(asked(Duration::MAX), 24 * 60 * MINUTE);
    }
}
