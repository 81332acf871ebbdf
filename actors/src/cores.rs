//! Cores: threads that each have a runtime of their own, for actors and tasks that stay where they
//! are.
//!
//! A message between two actors of a core wakes no other thread and finds its data in that core's
//! cache. What is not placed on a core runs on the runtime that started the system.

use std::cell::Cell;
use std::sync::{Arc, Weak};
use std::thread;

use parking_lot::Mutex;
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

/// The cores of a system: how many, and their threads while any of its trees runs.
pub(crate) struct Cores {
    count: usize,
    threads: Mutex<Weak<CoreThreads>>,
}

/// The threads of the cores: they end with it.
pub(crate) struct CoreThreads {
    handles: Vec<Handle>,
    _leave: watch::Sender<()>,
}

impl Cores {
    pub(crate) fn new(count: usize) -> Self {
        Self { count, threads: Mutex::default() }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Starts a thread for each core, unless they run for another tree of the system.
    pub(crate) fn start(&self) -> Result<Arc<CoreThreads>, Failure> {
        let mut threads = self.threads.lock();
        if let Some(running) = threads.upgrade() {
            return Ok(running);
        }
        let (leave, left) = watch::channel(());
        let started = (0..self.count).map(|number| start(number, left.clone()));
        let handles = started.collect::<Result<_, _>>().map_err(|error| {
            Failure::unavailable(
                "actors.cores.failed",
                format!("a thread for each of {} cores cannot be started: {error}", self.count),
            )
        })?;
        let running = Arc::new(CoreThreads { handles, _leave: leave });
        *threads = Arc::downgrade(&running);
        Ok(running)
    }

    pub(crate) fn handle(&self, number: usize) -> Option<Handle> {
        self.threads.lock().upgrade()?.handles.get(number).cloned()
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
        tasks.spawn_on(work, &handle);
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
