//! What an actor system shows of itself, read passively: no inspected actor is ever messaged.

mod crash;
mod dead_letter;
mod kinds;
mod node;
mod record;
mod redaction;
mod span;
mod tap;
mod tree;

pub use crash::{Crash, CrashDecision, MessageHeader};
pub use dead_letter::{DeadLetter, DeadReason};
pub use kinds::{KindSummary, Latency};
pub use node::{ActorKind, ActorState, Counts};
pub use record::{MessageRecord, Outcome};
pub use redaction::redacted;
pub use span::{
    OpenSpan, Span, SpanKind, SpanValue, Spans, child_span, collect_spans, record_span,
};
pub use tap::{TapId, TapLimits, TapSelector};
pub use tree::{ActorView, ProtocolSummary, SortKey, TreeNode};

pub(crate) use crash::{LastHeaders, PanicReport, guard, guarded, install_panic_hook};
pub(crate) use kinds::KindTable;
pub(crate) use node::{ActorNode, LaneView};
pub(crate) use record::Ring;
pub(crate) use redaction::preview as redaction_preview;
pub(crate) use tap::{Admission, Taps};
pub(crate) use tree::Registry;
