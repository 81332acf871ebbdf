//! How the process ends: one message that says what to do, and a stable exit code.

use std::fmt;

use troupe_kernel::error::{Failure, FailureKind};

/// Why the process ends. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Something else went wrong.
    Failed = 1,
    /// The configuration cannot be used.
    Configuration = 3,
    /// The database or the data directory cannot be used.
    Data = 4,
    /// The address cannot be listened on.
    Listen = 5,
    /// The audit trail was changed.
    Tampered = 6,
    /// The running node was not reached, or does not let this caller in.
    Remote = 7,
    /// The running node refused what it was given.
    Refused = 8,
}

/// The end of a command that did not succeed.
#[derive(Debug)]
pub struct Stop {
    pub exit: Exit,
    pub message: String,
}

impl Stop {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Stop {}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        let exit = match failure.code() {
            code if code.starts_with("database.") => Exit::Data,
            code if code.starts_with("edge.listen.") => Exit::Listen,
            _ => Exit::Failed,
        };
        let mut message = failure.detail().to_owned();
        for field in failure.fields() {
            message.push_str(&format!("\n  - {}: {}", field.pointer, field.detail));
        }
        if failure.kind() == FailureKind::Internal {
            message = format!("{message} ({})", failure.code());
        }
        Self::new(exit, message)
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, format!("{error:#}"))
    }
}
