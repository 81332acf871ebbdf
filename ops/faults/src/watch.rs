//! The time of a run: milliseconds since its beginning, the same for the journal and the faults.

use std::time::{Duration, Instant};

/// The clock of a run; copies tell the same time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch(Instant);

impl Watch {
    /// Begins now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since the beginning.
    pub(crate) fn now_ms(self) -> u64 {
        millis(self.0.elapsed())
    }
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Asks again until it holds or the time is over; answers whether it came to hold.
pub(crate) fn until(within: Duration, mut holds: impl FnMut() -> bool) -> bool {
    const POLL: Duration = Duration::from_millis(250);
    let began = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if began.elapsed() >= within {
            return false;
        }
        std::thread::sleep(POLL);
    }
}
