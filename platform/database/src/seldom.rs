//! A line of the log that many have to say, said now and then.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lets one through in a while and counts the others.
pub(crate) struct Seldom {
    apart: Duration,
    state: Mutex<State>,
}

struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl Seldom {
    pub(crate) const fn every(apart: Duration) -> Self {
        Self { apart, state: Mutex::new(State { last: None, left_out: 0 }) }
    }

    /// How many were left out since the last one, when it may be said now.
    pub(crate) fn next(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < self.apart) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_said_in_a_while_and_tells_how_many_were_not() {
        let seldom = Seldom::every(Duration::from_secs(5));
        let began = Instant::now();
        let said =
            [0, 1, 4, 5, 6, 20].map(|second| seldom.next(began + Duration::from_secs(second)));
        assert_eq!(said, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
