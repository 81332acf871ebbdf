//! What can go wrong before or instead of a measurement.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The scenario cannot be run as it is written; all faults are listed.
    #[error("the scenario has {} fault(s):{}", .0.len(), listed(.0))]
    Scenario(Vec<Fault>),
    /// A file of the scenario cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The target lies on another machine and that was not allowed.
    #[error(
        "{0} is not a loopback address: load on a machine of others is an attack; if it is yours, \
         say so with --allow-remote"
    )]
    Remote(SocketAddr),
    /// The target's name has no address.
    #[error("{target} has no address")]
    Unknown {
        /// What was asked for.
        target: String,
        /// Why.
        source: io::Error,
    },
    /// Nothing took a connection.
    #[error("nothing answers at {address}: start the server first")]
    Unreachable {
        /// The target.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The operating system refused something.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl LoadError {
    pub(crate) fn system(what: &'static str, source: rustix::io::Errno) -> Self {
        Self::System { what, source: source.into() }
    }
}

/// One fault of a scenario: where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, for example `requests[0].path`.
    pub key: String,
    /// What is wrong and how it is put right.
    pub advice: String,
}

impl Fault {
    pub(crate) fn new(key: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { key: key.into(), advice: advice.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.key, self.advice)
    }
}

fn listed(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("\n  - {fault}")).collect()
}
