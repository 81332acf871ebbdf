//! A thread that belongs to one SQLite connection and runs its statements one after the other.
//!
//! tokio's blocking pool costs half of the throughput, and dropping its future on a current-thread
//! runtime panics. Here a dropped future leaves its statement running; the pool sees that the thread is
//! busy and gives the connection up instead of waiting.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use diesel_async::sync_connection_wrapper::SpawnBlocking;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

type Task = Box<dyn FnOnce() + Send>;

/// Statements of one connection that may wait; a connection is used by one task at a time, and a
/// cancelled one may leave one behind.
const WAITING_MAX: usize = 8;

/// A handle of the thread; the thread ends when the last task is done and the last handle dropped.
#[derive(Debug, Clone)]
pub struct OwnThread {
    tasks: SyncSender<Task>,
    /// Statements that are not finished yet.
    running: Arc<AtomicUsize>,
}

impl OwnThread {
    pub(super) fn start() -> Self {
        let (tasks, waiting) = sync_channel::<Task>(WAITING_MAX);
        std::thread::Builder::new()
            .name("troupe-sqlite".to_owned())
            .spawn(move || work(&waiting))
            .expect("the system can start a thread");
        Self { tasks, running: Arc::default() }
    }

    /// Whether no statement runs or waits. After one panicked this stays false.
    pub(super) fn is_idle(&self) -> bool {
        self.running.load(Ordering::Acquire) == 0
    }

    /// Does something after the statements that were given before; it is dropped when too much waits.
    pub(super) fn then(&self, task: impl FnOnce() + Send + 'static) {
        drop(self.tasks.try_send(Box::new(task)));
    }
}

fn work(waiting: &Receiver<Task>) {
    while let Ok(task) = waiting.recv() {
        // What panicked counts as running for ever; the thread goes on, because what comes after a
        // statement hands the connection's place to the next in line.
        drop(catch_unwind(AssertUnwindSafe(task)));
    }
}

impl SpawnBlocking for OwnThread {
    fn spawn_blocking<'a, R>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'a, Result<R, Box<dyn Error + Send + Sync + 'static>>>
    where
        R: Send + 'static,
    {
        let (done, answer) = oneshot::channel();
        let running = self.running.clone();
        running.fetch_add(1, Ordering::AcqRel);
        let sent = self.tasks.try_send(Box::new(move || {
            let result = task();
            running.fetch_sub(1, Ordering::AcqRel);
            // Nobody waits when the query's future was dropped.
            drop(done.send(result));
        }));
        async move {
            sent.map_err(|_| "the SQLite connection's thread has ended")?;
            Ok(answer.await.map_err(|_| "the SQLite connection's thread has ended")?)
        }
        .boxed()
    }

    fn get_runtime() -> Self {
        Self::start()
    }
}
