//! Children that are added to a supervisor while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use ractor::ActorRef;
use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::spec::ChildSpec;
use crate::supervisor::Order;

/// Time to start a child that is added to a running supervisor.
const ADD_WITHIN: Duration = Duration::from_secs(60);

pub(crate) type RunningRef = Arc<Mutex<Option<ActorRef<Order>>>>;
/// The longest time that any child added while running may take to stop, in milliseconds.
pub(crate) type AddedStopMs = Arc<AtomicU64>;

/// A running supervisor, to add children to it.
#[derive(Clone)]
pub struct SupervisorRef {
    pub(crate) running: RunningRef,
    pub(crate) added_stop_ms: AddedStopMs,
}

impl SupervisorRef {
    /// Starts another child. It is forgotten when the supervisor itself restarts.
    ///
    /// # Errors
    /// The child's start failure; `Stopped` when the supervisor does not run.
    pub async fn start_child(&self, child: ChildSpec) -> Result<(), Failure> {
        let stop_ms = u64::try_from(child.stop_time().as_millis()).unwrap_or(u64::MAX);
        self.added_stop_ms.fetch_max(stop_ms, Ordering::Relaxed);
        let (done, started) = oneshot::channel();
        let supervisor = self.running.lock().clone();
        let sent = supervisor.map(|supervisor| supervisor.cast(Order::Add(child, done)));
        if !matches!(sent, Some(Ok(()))) {
            return Err(Failure::stopped("the supervisor"));
        }
        match tokio::time::timeout(ADD_WITHIN, started).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Failure::stopped("the supervisor")),
            Err(_) => Err(Failure::expired()),
        }
    }
}
