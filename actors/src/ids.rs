//! Ids of traces and spans, drawn from the thread's generator: a system call for each would cost more than
//! the message that they are for.

use rand::Rng as _;
use uuid::{Builder, Uuid};

/// The id of a new trace (W3C Trace Context, level 2: its last seven bytes are random).
pub(crate) fn trace_id() -> Uuid {
    Builder::from_random_bytes(rand::rng().random()).into_uuid()
}

/// The id of a new span: no other one of its trace has it, and it is never zero.
pub(crate) fn span_id() -> u64 {
    rand::rng().random_range(1..=u64::MAX)
}
