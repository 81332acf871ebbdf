//! The contenders, each as its users would write it.

pub mod kameo;
pub mod ractor;
pub mod tokio;
pub mod troupe;

use std::time::Duration;

use crate::Scenario;

/// The deadline of an ask; none passes.
const DEADLINE: Duration = Duration::from_secs(60);
/// Callers that ask at the same time in the concurrent scenarios.
const CALLERS: u64 = 64;
/// Senders of the fan-in.
const SENDERS: u64 = 4;
/// Messages a sender sends before it lets others run.
const BURST: u64 = 256;
/// Words that a message carries besides its number.
const PAYLOAD_WORDS: usize = if cfg!(feature = "wide") { 15 } else { 0 };
/// What a message carries besides its number.
type Payload = [u64; PAYLOAD_WORDS];
const PAYLOAD: Payload = [7; PAYLOAD_WORDS];
/// Actors of the chain.
const HOPS: usize = 4;

/// Bytes of data in a message.
#[must_use]
pub const fn message_bytes() -> usize {
    8 + size_of::<Payload>()
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// This project's kit.
    Troupe,
    /// ractor as it is.
    Ractor,
    /// ractor with a deadline for each call, as the kit has.
    RactorDeadline,
    /// A task with a bounded `mpsc` channel, drained by `recv_many`.
    Tokio,
    /// kameo with a bounded mailbox.
    Kameo,
}

impl Contender {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Troupe, Self::Ractor, Self::RactorDeadline, Self::Tokio, Self::Kameo];

    /// A name for tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Troupe => "troupe",
            Self::Ractor => "ractor",
            Self::RactorDeadline => "ractor+60s",
            Self::Tokio => "tokio mpsc",
            Self::Kameo => "kameo",
        }
    }

    /// Whether it differs from the others in this scenario.
    #[must_use]
    pub fn takes_part(self, scenario: Scenario) -> bool {
        let calls = matches!(scenario, Scenario::CallOne | Scenario::CallMany | Scenario::Chain);
        calls || self != Self::RactorDeadline
    }

    /// Does one round of `operations`.
    ///
    /// # Errors
    /// When an actor does not start or an answer does not come.
    pub async fn run(self, scenario: Scenario, operations: u64) -> anyhow::Result<()> {
        match self {
            Self::Troupe => troupe::run(scenario, operations).await,
            Self::Ractor => ractor::run(scenario, operations, None).await,
            Self::RactorDeadline => ractor::run(scenario, operations, Some(DEADLINE)).await,
            Self::Tokio => tokio::run(scenario, operations).await,
            Self::Kameo => kameo::run(scenario, operations).await,
        }
    }

    /// Starts `count` idle actors and says how many bytes each takes.
    ///
    /// # Errors
    /// When an actor does not start or memory cannot be read.
    pub async fn bytes_per_actor(self, count: u64) -> anyhow::Result<u64> {
        let before = crate::resident_bytes()?;
        let grown = match self {
            Self::Troupe => troupe::grow(count).await?,
            Self::Ractor | Self::RactorDeadline => ractor::grow(count).await?,
            Self::Tokio => tokio::grow(count),
            Self::Kameo => kameo::grow(count).await?,
        };
        let after = crate::resident_bytes()?;
        drop(grown);
        Ok(after.saturating_sub(before) / count)
    }
}

/// Keeps started actors alive until memory has been read.
type Alive = Box<dyn std::any::Any>;
