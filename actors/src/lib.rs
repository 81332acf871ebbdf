//! The actor kit.
//!
//! A [`Service`] handles one typed protocol ([`Message`]). Its mailbox is a bounded lane that
//! outlives it: a restart keeps what waits, and a [`ServiceRef`] stays good. [`Supervisor`]s start,
//! restart and stop services in order. Every message carries a [`Scope`] (deadline, trace,
//! principal) and, when asked, a reply port that travels with it, so that an answer goes straight
//! back to the asker however many actors the message passed.
//!
//! ractor carries the life cycle and the links underneath; none of its types is public here.
//!
//! Guarantees: a message is handled at most once; messages of one sender to one service with one
//! worker are handled in order; every ask ends by its deadline; no message is lost uncounted.

mod adding;
mod backoff;
mod context;
mod cores;
mod current;
mod deadlines;
mod failure;
mod host;
mod ids;
mod lock;
mod mailbox;
mod message;
mod observation;
mod principal;
mod reference;
mod reply;
mod running;
mod scope;
mod service;
mod shards;
mod spec;
mod supervisor;
mod system;
#[cfg(feature = "testing")]
pub mod testing;
mod time;

pub use adding::SupervisorRef;
pub use backoff::Backoff;
pub use context::Context;
pub use current::{current_origin, in_origin};
pub use failure::{Failure, FailureKind, FieldFault};
pub use message::{Message, Request, through_wire};
pub use observation::{
    ActorKind, ActorState, ActorView, Counts, Crash, CrashDecision, DeadLetter, DeadReason,
    KindSummary, Latency, MessageHeader, MessageRecord, OpenSpan, Outcome, ProtocolSummary,
    SortKey, Span, SpanKind, SpanValue, Spans, TapId, TapLimits, TapSelector, TreeNode, child_span,
    collect_spans, record_span, redacted,
};
pub use principal::{PermissionSet, Principal, PrincipalKind};
pub use reference::{Sender, ServiceRef};
pub use reply::{Answer, Pending, Reply, ReplyPort};
pub use running::Running;
pub use scope::{Idempotency, Origin, Priority, RateState, Scope, Trailers, Written};
pub use service::{Batch, Handled, Lent, Mail, Service};
pub use shards::Shards;
pub use spec::{ChildSpec, DEFAULT_CAPACITY, Restart, Spec};
pub use supervisor::{Strategy, Supervisor};
pub use system::{System, SystemConfig};
pub use time::{Deadline, Moment};
