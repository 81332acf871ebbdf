//! The lane: a typed, bounded queue that belongs to a service rather than to one incarnation of it.
//!
//! Workers drain a lane in place. ractor carries only a wake token, cast when a message meets an
//! idle worker, so a busy service costs no more than a lock and a push for each message. Several
//! workers on one lane make a bulkhead: the lane gives each one message at a time.
//!
//! Invariants: a message is in the queue, in the hands of one worker, or accounted for (handled,
//! expired, returned to its sender, or a dead letter). What a worker had taken and not begun goes
//! back to the front when the worker dies.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::failure::Failure;
use crate::message::{Message, through_wire};
use crate::observation::{ActorNode, DeadReason};
use crate::reply::ReplyPort;
use crate::scope::{Priority, Scope};
use crate::system::System;
use crate::time::Moment;

/// Rates below one message per this many nanoseconds (1,000 a second) are timed in full.
const FULL_TIMING_NANOS: u64 = 1_000_000;
/// One message in this many is timed at higher rates.
const SAMPLE_EVERY: u64 = 64;
/// The rate is measured over this many messages.
const RATE_WINDOW: u64 = 1024;

/// What a worker waits for on ractor's own queue.
pub(crate) enum Wake {
    Ring,
}

pub(crate) type Bell = ractor::ActorRef<Wake>;

pub(crate) struct Envelope<M> {
    pub(crate) message: M,
    pub(crate) scope: Scope,
    pub(crate) port: Option<ReplyPort>,
    pub(crate) sender: u64,
    pub(crate) sequence: u64,
    /// When it was put into the lane, if this message is timed; zero otherwise.
    pub(crate) sent_nanos: u64,
}

/// A message that the lane did not take, with the reason.
pub(crate) struct Refused<M> {
    pub(crate) envelope: Envelope<M>,
    pub(crate) failure: Failure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Takes messages; the workers may be down for a moment.
    Open,
    /// Takes no more; what waits is still handled.
    Draining,
    /// Takes no more; what waited became dead letters.
    Closed,
}

struct Worker {
    bell: Option<Bell>,
    idle: bool,
}

struct State<M> {
    queue: VecDeque<Envelope<M>>,
    workers: Vec<Worker>,
    phase: Phase,
    received: u64,
    sample_mask: u64,
    window_began_nanos: u64,
}

pub(crate) struct Lane<M: Message> {
    state: Mutex<State<M>>,
    capacity: usize,
    emptied: Notify,
    tapped: AtomicBool,
    pub(crate) node: Arc<ActorNode>,
    pub(crate) system: System,
}

impl<M: Message> Lane<M> {
    pub(crate) fn new(
        system: System,
        node: Arc<ActorNode>,
        capacity: usize,
        workers: usize,
    ) -> Self {
        let workers = (0..workers).map(|_| Worker { bell: None, idle: false }).collect();
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                workers,
                phase: Phase::Open,
                received: 0,
                sample_mask: 0,
                window_began_nanos: 0,
            }),
            capacity,
            emptied: Notify::new(),
            tapped: AtomicBool::new(false),
            node,
            system,
        }
    }

    /// Puts a message into the lane and wakes an idle worker.
    pub(crate) fn push(&self, mut envelope: Envelope<M>) -> Result<(), Refused<M>> {
        if self.system.wire_always() {
            match through_wire(&envelope.message) {
                Ok(message) => envelope.message = message,
                Err(failure) => return Err(Refused { envelope, failure }),
            }
        }
        let bell = {
            let mut state = self.state.lock();
            if state.phase != Phase::Open {
                let failure = Failure::stopped(&self.node.path());
                return Err(Refused { envelope, failure });
            }
            if state.queue.len() >= room(self.capacity, envelope.scope.priority) {
                self.node.counters.count_shed();
                let failure = Failure::overloaded(&self.node.path());
                return Err(Refused { envelope, failure });
            }
            state.received += 1;
            envelope.sequence = state.received;
            if state.received & state.sample_mask == 0 {
                envelope.sent_nanos = Moment::now().as_nanos();
            }
            if state.received.is_multiple_of(RATE_WINDOW) {
                state.measure_rate();
            }
            state.queue.push_back(envelope);
            state.ready_bell()
        };
        if let Some(bell) = bell {
            ring(&bell);
        }
        Ok(())
    }

    /// Connects an incarnation of worker `index`; it takes up what waits.
    pub(crate) fn attach(&self, index: usize, bell: Bell) {
        let bell = {
            let mut state = self.state.lock();
            state.workers[index] = Worker { bell: Some(bell), idle: true };
            if state.queue.is_empty() { None } else { state.ready_bell() }
        };
        if let Some(bell) = bell {
            ring(&bell);
        }
    }

    /// Disconnects worker `index` and puts back what it had taken and not begun.
    pub(crate) fn detach(&self, index: usize, unbegun: &mut VecDeque<Envelope<M>>) {
        let bell = {
            let mut state = self.state.lock();
            state.workers[index] = Worker { bell: None, idle: false };
            while let Some(envelope) = unbegun.pop_back() {
                state.queue.push_front(envelope);
            }
            if state.phase == Phase::Closed {
                self.bury(&mut state.queue);
            }
            if state.queue.is_empty() { None } else { state.ready_bell() }
        };
        if let Some(bell) = bell {
            ring(&bell);
        }
    }

    /// Moves at most `appetite` waiting messages to a sole worker's hands, one to each of several.
    /// False says that nothing waits and the worker is idle now.
    pub(crate) fn take(
        &self,
        index: usize,
        appetite: usize,
        hands: &mut VecDeque<Envelope<M>>,
    ) -> bool {
        let mut state = self.state.lock();
        if state.queue.is_empty() {
            state.workers[index].idle = true;
            let all_idle = state.workers.iter().all(|worker| worker.idle || worker.bell.is_none());
            if state.phase != Phase::Open && all_idle {
                self.emptied.notify_waiters();
            }
            return false;
        }
        state.workers[index].idle = false;
        let several = state.workers.len() > 1;
        if !several && appetite >= state.queue.len() {
            std::mem::swap(hands, &mut state.queue);
        } else {
            let count = if several { 1 } else { appetite };
            hands.extend(state.queue.drain(..count));
        }
        true
    }

    /// Puts back what a worker has taken and not begun, because its handler waits: the depth and
    /// the bound of the lane stay true.
    pub(crate) fn put_back(&self, hands: &mut VecDeque<Envelope<M>>) {
        if !hands.is_empty() {
            let mut state = self.state.lock();
            while let Some(envelope) = hands.pop_back() {
                state.queue.push_front(envelope);
            }
        }
    }

    /// Refuses new messages; what waits is still handled.
    pub(crate) fn begin_drain(&self) {
        let mut state = self.state.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Draining;
        }
    }

    /// Takes messages again, for a service that is started anew.
    pub(crate) fn reopen(&self) {
        self.state.lock().phase = Phase::Open;
    }

    /// Resolves when nothing waits and no worker is busy.
    pub(crate) async fn drained(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.is_quiet() {
                return;
            }
            emptied.await;
        }
    }

    /// Refuses new messages and makes what waits dead letters.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Closed;
        self.bury(&mut state.queue);
    }

    /// Messages that wait in the lane.
    pub(crate) fn depth(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// Messages that were ever accepted.
    pub(crate) fn received(&self) -> u64 {
        self.state.lock().received
    }

    /// When the oldest waiting message that is timed was sent.
    pub(crate) fn oldest_nanos(&self) -> Option<u64> {
        let state = self.state.lock();
        state.queue.iter().take(SAMPLE_EVERY as usize).map(|e| e.sent_nanos).find(|sent| *sent != 0)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn is_tapped(&self) -> bool {
        self.tapped.load(Ordering::Relaxed)
    }

    pub(crate) fn set_tapped(&self, tapped: bool) {
        self.tapped.store(tapped, Ordering::Relaxed);
    }

    fn is_quiet(&self) -> bool {
        let state = self.state.lock();
        state.queue.is_empty()
            && state.workers.iter().all(|worker| worker.idle || worker.bell.is_none())
    }

    fn bury(&self, queue: &mut VecDeque<Envelope<M>>) {
        for envelope in queue.drain(..) {
            self.system.bury(&self.node, envelope, DeadReason::Stopped);
        }
    }
}

impl<M: Message> Drop for Lane<M> {
    fn drop(&mut self) {
        let mut queue = std::mem::take(&mut self.state.get_mut().queue);
        self.bury(&mut queue);
    }
}

impl<M> State<M> {
    fn ready_bell(&mut self) -> Option<Bell> {
        let worker = self.workers.iter_mut().find(|worker| worker.idle && worker.bell.is_some())?;
        worker.idle = false;
        worker.bell.clone()
    }

    fn measure_rate(&mut self) {
        let now = Moment::now().as_nanos();
        let elapsed = now.saturating_sub(self.window_began_nanos);
        self.window_began_nanos = now;
        let slow = elapsed / RATE_WINDOW > FULL_TIMING_NANOS;
        self.sample_mask = if slow { 0 } else { SAMPLE_EVERY - 1 };
    }
}

/// The depth at which a message of this priority is shed.
fn room(capacity: usize, priority: Priority) -> usize {
    match priority {
        Priority::Low => capacity.div_ceil(2),
        Priority::Normal => capacity.saturating_sub(capacity / 10),
        Priority::High => capacity,
    }
}

fn ring(bell: &Bell) {
    // A worker that is gone has detached or will; its successor finds the message.
    drop(bell.cast(Wake::Ring));
}
