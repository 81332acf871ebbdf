//! Cores: threads that each have a runtime of their own, for actors and tasks that stay where they
//! are.
//!
//! A message between two actors of a core wakes no other thread and finds its data in that core's
//! cache. What is not placed on a core runs on the runtime that started the system.

use std::cell::Cell;
use std::sync::OnceLock;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::failure::Failure;

thread_local! {
    static HERE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The number of the core whose thread this is; none on any other thread.
#[inline]
pub(crate) fn here() -> Option<usize> {
    HERE.get()
}

/// The cores of a system: how many, and the way to them once they run.
pub(crate) struct Cores {
    count: usize,
    handles: OnceLock<Vec<Handle>>,
}

/// Keeps the threads of the cores running while it lives.
pub(crate) struct CoreThreads {
    _leave: watch::Sender<()>,
}

impl Cores {
    pub(crate) fn new(count: usize) -> Self {
        Self { count, handles: OnceLock::new() }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Starts a thread for each core.
    pub(crate) fn start(&self) -> Result<CoreThreads, Failure> {
        let (leave, left) = watch::channel(());
        if self.count == 0 {
            return Ok(CoreThreads { _leave: leave });
        }
        let started = (0..self.count).map(|number| start(number, left.clone()));
        let handles = started.collect::<Result<Vec<_>, _>>().map_err(|error| {
            Failure::unavailable(
                "actors.cores.failed",
                format!("a thread for each of {} cores cannot be started: {error}", self.count),
            )
        })?;
        self.handles.set(handles).map_err(|_| {
            Failure::internal("actors.cores.started", "a system with cores starts only once")
        })?;
        Ok(CoreThreads { _leave: leave })
    }

    pub(crate) fn handle(&self, number: usize) -> Option<&Handle> {
        self.handles.get()?.get(number)
    }

    /// Does `work` on a core; without a number, or without that core, here.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        number: Option<usize>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        let Some(handle) = number.and_then(|number| self.handle(number)) else {
            return Ok(work.await);
        };
        let mut tasks = JoinSet::new();
        tasks.spawn_on(work, handle);
        match tasks.join_next().await {
            Some(Ok(done)) => Ok(done),
            _ => Err(Failure::unavailable("actors.cores.ended", "the core's thread has ended")),
        }
    }
}

fn start(number: usize, mut left: watch::Receiver<()>) -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name(format!("core-{}", number + 1)).spawn(move || {
        HERE.set(Some(number));
        // The sender says nothing: it goes when the system ends.
        while runtime.block_on(left.changed()).is_ok() {}
    })?;
    Ok(handle)
}
