//! A thread that belongs to one SQLite connection and runs its statements one after the other.
//!
//! tokio's blocking pool costs half of the throughput, and dropping its future on a current-thread
//! runtime panics. Here a dropped future leaves its statement running; the pool sees that the thread is
//! busy and gives the connection up instead of waiting.

use std::error::Error;
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

/// The handle of the thread; the thread ends when the last task is done and the handle dropped.
#[derive(Debug)]
pub struct OwnThread {
    tasks: SyncSender<Task>,
    running: Running,
}

/// How many tasks of a thread are not finished yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Running(Arc<AtomicUsize>);

impl Running {
    /// Whether nothing runs or waits. After a task panicked this stays false.
    pub(super) fn is_idle(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

impl OwnThread {
    pub(super) fn start() -> Self {
        let (tasks, waiting) = sync_channel::<Task>(WAITING_MAX);
        std::thread::Builder::new()
            .name("troupe-sqlite".to_owned())
            .spawn(move || work(&waiting))
            .expect("the system can start a thread");
        Self { tasks, running: Running::default() }
    }

    pub(super) fn running(&self) -> Running {
        self.running.clone()
    }
}

fn work(waiting: &Receiver<Task>) {
    while let Ok(task) = waiting.recv() {
        task();
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
        running.0.fetch_add(1, Ordering::AcqRel);
        let sent = self.tasks.try_send(Box::new(move || {
            let result = task();
            running.0.fetch_sub(1, Ordering::AcqRel);
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
