//! What the inspection API answers. The views of the actor kit may change; these are its API.

mod actor;
mod message;

use std::time::Duration;

use troupe_actors::Moment;
use troupe_kernel::clock::{Clock, Timestamp};

pub use actor::{
    ActorPage, ActorSummary, ActorsView, KindView, LatencyView, NodeView, ProtocolView, SortBy,
    TreeBranch, TreeView,
};
pub use message::{
    CrashSummary, CrashView, DeadLetterView, HeaderView, RecordView, TapRecords, TapView,
};

/// Turns moments of the process's clock into times of day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    now: Timestamp,
    now_nanos: u64,
}

impl Times {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self { now: clock.now(), now_nanos: Moment::now().as_nanos() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn at(&self, nanos: u64) -> Timestamp {
        self.now.minus(Duration::from_nanos(self.now_nanos.saturating_sub(nanos)))
    }
}

/// A value of the kit's as the text that it is on the wire.
pub(crate) fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}
