//! Benchmarks of the actor kit beside the plain alternatives.
//!
//! Every contender does the same work on one current-thread runtime. Rounds are interleaved and
//! their order changes; what is compared is the process's CPU time for an operation, so that other
//! work on the machine disturbs little. Each ratio comes with a bootstrap interval over rounds.

#[cfg(feature = "comparison")]
pub mod contenders;
pub mod fixture;
pub mod http;
#[cfg(feature = "infra")]
pub mod infra;
pub mod micro;
pub mod statistics;
pub mod suite;

use std::time::Duration;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Four senders tell one actor.
    FanIn,
    /// One caller asks one actor, one ask after the other.
    CallOne,
    /// Sixty-four callers ask one actor at the same time.
    CallMany,
    /// Sixty-four callers send through four actors; the last answers.
    Chain,
    /// Actors are started under a supervisor, as far as the contender has one.
    Spawn,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::FanIn, Self::CallOne, Self::CallMany, Self::Chain, Self::Spawn];

    /// A name for tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FanIn => "fan-in",
            Self::CallOne => "call x1",
            Self::CallMany => "call x64",
            Self::Chain => "4-hop chain",
            Self::Spawn => "spawn",
        }
    }

    /// Operations in one round.
    #[must_use]
    pub const fn operations(self) -> u64 {
        match self {
            Self::FanIn => 4_000_000,
            Self::CallOne => 200_000,
            Self::CallMany => 320_000,
            Self::Chain => 128_000,
            Self::Spawn => 10_000,
        }
    }
}

/// CPU time that this process has used.
#[must_use]
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Resident memory of this process in bytes.
///
/// # Errors
/// When /proc cannot be read.
pub fn resident_bytes() -> anyhow::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split_whitespace().nth(1).unwrap_or("0").parse()?;
    Ok(pages * 4096)
}
