//! The parts of HTTP that the edge reads and writes itself, each pure.

pub(crate) mod conditional;
pub mod consistency;
pub(crate) mod cors;
pub mod forwarded;
pub mod idempotency;
pub(crate) mod limits;
pub mod trace;
