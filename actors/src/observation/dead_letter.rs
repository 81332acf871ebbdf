//! Messages that nobody handled, kept for a while with the reason.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a message was not handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadReason {
    /// Its service was stopped before the message's turn.
    Stopped,
    /// Its deadline passed while it waited and nobody waits for an answer.
    Expired,
}

/// A message that nobody handled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Number of the letter, rising.
    pub number: u64,
    /// When it was buried, in nanoseconds of the process's clock.
    pub at_nanos: u64,
    /// The actor it was for.
    pub to: Arc<str>,
    /// The protocol and variant.
    pub protocol: String,
    /// The variant.
    pub kind: String,
    /// Why.
    pub reason: DeadReason,
    /// Whether somebody waited for an answer (and got a failure).
    pub asked: bool,
    /// The trace it belongs to.
    pub trace: Option<String>,
    /// The message as redacted JSON, cut to 8 KiB.
    pub payload: String,
}
