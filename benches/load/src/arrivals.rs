//! The moments at which requests of an open loop are due: a Poisson process.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::scenario::{Mode, Scenario};

/// The moments of one run, one after the other.
pub(crate) struct Arrivals {
    draws: StdRng,
    /// Mean time between two of them in nanoseconds; none in a closed loop.
    pause_ns: Option<f64>,
    /// When the next request is due, in nanoseconds since the start.
    pub(crate) next: u64,
}

impl Arrivals {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let pause_ns = match scenario.mode {
            Mode::Open { rate_per_second } => Some(1e9 / rate_per_second),
            Mode::Closed => None,
        };
        // Not the draws of the plan: the moments must not depend on what is sent.
        let draws = StdRng::seed_from_u64(scenario.seed ^ 0xa5a5_a5a5);
        let mut arrivals = Self { draws, pause_ns, next: 0 };
        arrivals.go_on();
        arrivals
    }

    /// Draws the next moment.
    pub(crate) fn go_on(&mut self) {
        self.next = match self.pause_ns {
            Some(pause) => {
                let drawn: f64 = self.draws.random();
                self.next + nanoseconds(-(1.0 - drawn).ln() * pause)
            }
            None => u64::MAX,
        };
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from a float saturates"
)]
fn nanoseconds(value: f64) -> u64 {
    value as u64
}
