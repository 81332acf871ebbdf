//! Monotonic moments and deadlines in nanoseconds, small enough to travel in every envelope.
//!
//! They follow tokio's clock, so that a test with paused time controls them. They are meaningful
//! in one process only: between nodes a deadline travels as the time that remains.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// A point on this process's monotonic clock, in nanoseconds since the first use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The current moment.
    #[must_use]
    pub fn now() -> Self {
        static FIRST_USE: OnceLock<Instant> = OnceLock::new();
        let first = *FIRST_USE.get_or_init(Instant::now);
        // One is added so that zero can mean "not taken".
        Self(nanos(Instant::now().saturating_duration_since(first)).saturating_add(1))
    }

    #[inline]
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds on the process's clock.
    #[must_use]
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    #[inline]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The moment by which a message must have been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

impl Deadline {
    /// `wait` from now.
    #[must_use]
    pub fn after(wait: Duration) -> Self {
        Self(Moment::now().0.saturating_add(nanos(wait)))
    }

    /// `wait` from `moment` on.
    #[must_use]
    #[inline]
    pub fn counted_from(moment: Moment, wait: Duration) -> Self {
        Self(moment.0.saturating_add(nanos(wait)))
    }

    /// Whether it has passed at `now`.
    #[must_use]
    #[inline]
    pub const fn has_passed(self, now: Moment) -> bool {
        self.0 <= now.0
    }

    /// Time left at `now`.
    #[must_use]
    #[inline]
    pub const fn remaining(self, now: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(now.0))
    }

    #[inline]
    pub(crate) const fn as_nanos(self) -> u64 {
        self.0
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
