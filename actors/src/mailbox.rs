//! The lane: a typed, bounded queue that belongs to a service rather than to one incarnation of it.
//!
//! Workers drain a lane in place and sleep on it when it is empty; a sender that finds one asleep
//! wakes it. A busy service costs no more than a lock and a push for each message. Several workers
//! on one lane make a bulkhead: the lane gives each one message at a time.
//!
//! Invariants: a message is in the queue, in the hands of one worker, or accounted for (handled,
//! expired, returned to its sender, or a dead letter). What a worker had taken and not begun counts
//! as waiting, and goes back to the front when the worker dies.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use crate::lock::Mutex;
use tokio::sync::Notify;

use crate::failure::Failure;
use crate::message::{Message, through_wire};
use crate::observation::{ActorNode, DeadReason};
use crate::reply::ReplyPort;
use crate::scope::{Origin, Priority, Scope};
use crate::system::System;
use crate::time::{Deadline, Moment};

/// The rate is measured over this many messages.
const RATE_WINDOW: u64 = 1024;

/// A message in a lane. It is kept small: lanes are long and envelopes are moved.
pub(crate) struct Envelope<M> {
    pub(crate) message: M,
    pub(crate) port: Option<ReplyPort>,
    pub(crate) origin: Option<Arc<Origin>>,
    pub(crate) deadline: Deadline,
    /// When it was put into the lane, if this message is timed; zero otherwise.
    pub(crate) sent_nanos: u64,
    pub(crate) sender: u32,
    /// The mark of the incarnation that reports to itself; zero for any other message.
    pub(crate) report: u16,
    pub(crate) priority: Priority,
}

impl<M> Envelope<M> {
    pub(crate) fn scope(&self) -> Scope {
        Scope { deadline: self.deadline, priority: self.priority, origin: self.origin.clone() }
    }
}

/// Why the lane did not take a message, with its reply port and its origin.
pub(crate) type Refused = (Failure, Option<ReplyPort>, Option<Arc<Origin>>);

/// What a worker shall do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Messages are in its hands.
    Work,
    /// It shall end.
    Stop,
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

/// A worker's place at the lane.
#[derive(Default)]
struct Seat {
    present: bool,
    /// Set while the worker sleeps on the lane.
    asleep: Option<Waker>,
    stop: bool,
}

struct State<M> {
    queue: VecDeque<Envelope<M>>,
    seats: Vec<Seat>,
    asleep: usize,
    phase: Phase,
    received: u64,
    sample_mask: u64,
    window_began_nanos: u64,
}

pub(crate) struct Lane<M: Message> {
    state: Mutex<State<M>>,
    /// Messages that a sole worker has taken and not begun.
    in_hands: AtomicUsize,
    capacity: usize,
    wire_always: bool,
    tapped: AtomicBool,
    stop_asked: AtomicBool,
    emptied: Notify,
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
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                seats: (0..workers).map(|_| Seat::default()).collect(),
                asleep: 0,
                phase: Phase::Open,
                received: 0,
                sample_mask: system.sample_mask(u64::MAX),
                window_began_nanos: 0,
            }),
            in_hands: AtomicUsize::new(0),
            capacity,
            wire_always: system.wire_always(),
            tapped: AtomicBool::new(false),
            stop_asked: AtomicBool::new(false),
            emptied: Notify::new(),
            node,
            system,
        }
    }

    /// Puts a message into the lane and wakes a sleeping worker.
    #[inline]
    pub(crate) fn push(
        &self,
        message: M,
        scope: Scope,
        port: Option<ReplyPort>,
        sender: u32,
    ) -> Result<(), Refused> {
        self.push_marked(message, scope, port, (sender, 0), false)
    }

    /// Like [`push`](Self::push), for a report of an incarnation to itself: the next one drops it.
    /// The result of a task is taken `beyond_bound`, which the number of tasks bounds: refused, the
    /// work that waits for it would wait for ever.
    #[inline]
    pub(crate) fn push_marked(
        &self,
        mut message: M,
        scope: Scope,
        port: Option<ReplyPort>,
        (sender, report): (u32, u16),
        beyond_bound: bool,
    ) -> Result<(), Refused> {
        if self.wire_always {
            match through_wire(&message) {
                Ok(decoded) => message = decoded,
                Err(failure) => return Err((failure, port, scope.origin)),
            }
        }
        let Scope { deadline, priority, origin } = scope;
        // Laid out before the lock, whose acquisition waits for the stores: made under it, the
        // copy into the queue would wait for them once more.
        let envelope =
            Envelope { message, port, origin, deadline, sent_nanos: 0, sender, report, priority };
        let mut state = self.state.lock();
        let waiting = state.queue.len() + self.in_hands.load(Ordering::Relaxed);
        let full = !beyond_bound && waiting >= room(self.capacity, priority);
        if state.phase != Phase::Open || full {
            let open = state.phase == Phase::Open;
            drop(state);
            return Err((self.refuse(open), envelope.port, envelope.origin));
        }
        state.received += 1;
        state.queue.push_back(envelope);
        if state.received & state.sample_mask == 0 {
            state.time_last(&self.system);
        }
        if state.asleep > 0 {
            let waker = state.take_sleeper();
            drop(state);
            wake(waker);
        }
        Ok(())
    }

    #[cold]
    fn refuse(&self, open: bool) -> Failure {
        if open {
            self.node.counters.count_shed();
            Failure::overloaded(&self.node.path())
        } else {
            Failure::stopped(&self.node.path())
        }
    }

    /// Seats an incarnation of worker `index`.
    pub(crate) fn attach(&self, index: usize) {
        // It may have been asked to stop already: only `detach` clears that.
        self.state.lock().seats[index].present = true;
    }

    /// Frees the seat of worker `index` and puts back what it had taken and not begun.
    pub(crate) fn detach(&self, index: usize, unbegun: &mut VecDeque<Envelope<M>>) {
        let mut state = self.state.lock();
        if state.seats[index].asleep.take().is_some() {
            state.asleep -= 1;
        }
        state.seats[index] = Seat::default();
        self.note_stop(&state);
        unbegun.append(&mut state.queue);
        std::mem::swap(unbegun, &mut state.queue);
        self.in_hands.store(0, Ordering::Relaxed);
        let closed = state.phase == Phase::Closed;
        let left = if closed { std::mem::take(&mut state.queue) } else { VecDeque::new() };
        let waker = if state.queue.is_empty() { None } else { state.take_sleeper() };
        drop(state);
        wake(waker);
        self.bury(left);
    }

    /// Moves waiting messages to a worker's hands: all of them to a sole worker, one to each of
    /// several. With none waiting, the worker sleeps.
    pub(crate) fn poll_take(
        &self,
        index: usize,
        hands: &mut VecDeque<Envelope<M>>,
        context: &Context<'_>,
    ) -> Poll<Next> {
        let mut state = self.state.lock();
        if state.seats[index].asleep.take().is_some() {
            state.asleep -= 1;
        }
        if state.seats[index].stop {
            return Poll::Ready(Next::Stop);
        }
        if state.queue.is_empty() {
            state.seats[index].asleep = Some(context.waker().clone());
            state.asleep += 1;
            let drained = state.phase != Phase::Open && state.is_quiet();
            drop(state);
            if drained {
                self.emptied.notify_waiters();
            }
            return Poll::Pending;
        }
        if state.seats.len() == 1 {
            std::mem::swap(hands, &mut state.queue);
            self.in_hands.store(hands.len(), Ordering::Relaxed);
        } else if let Some(envelope) = state.queue.pop_front() {
            hands.push_back(envelope);
        }
        Poll::Ready(Next::Work)
    }

    /// Says how many messages a sole worker still has in its hands.
    pub(crate) fn set_in_hands(&self, count: usize) {
        self.in_hands.store(count, Ordering::Relaxed);
    }

    /// Asks worker `index` to end after the message it handles.
    pub(crate) fn ask_to_stop(&self, index: usize) {
        let mut state = self.state.lock();
        state.seats[index].stop = true;
        self.note_stop(&state);
        let waker = state.seats[index].asleep.clone();
        drop(state);
        wake(waker);
    }

    /// Forgets a stop that was asked of an incarnation that had just ended by itself.
    pub(crate) fn forget_stop(&self, index: usize) {
        let mut state = self.state.lock();
        state.seats[index].stop = false;
        self.note_stop(&state);
    }

    /// Whether worker `index` shall end; cheap while nobody is asked to.
    pub(crate) fn shall_stop(&self, index: usize) -> bool {
        self.stop_asked.load(Ordering::Relaxed) && self.state.lock().seats[index].stop
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
            if self.state.lock().is_quiet() {
                return;
            }
            emptied.await;
        }
    }

    /// Refuses new messages and makes what waits dead letters.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Closed;
        let left = std::mem::take(&mut state.queue);
        drop(state);
        self.bury(left);
    }

    /// Messages that wait.
    pub(crate) fn depth(&self) -> usize {
        self.state.lock().queue.len() + self.in_hands.load(Ordering::Relaxed)
    }

    /// Messages that were ever accepted.
    pub(crate) fn received(&self) -> u64 {
        self.state.lock().received
    }

    /// When the oldest waiting message that is timed was sent.
    pub(crate) fn oldest_nanos(&self) -> Option<u64> {
        let state = self.state.lock();
        let timed = state.queue.iter().map(|envelope| envelope.sent_nanos);
        timed.take(2 * RATE_WINDOW as usize).find(|sent| *sent != 0)
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

    fn note_stop(&self, state: &State<M>) {
        let asked = state.seats.iter().any(|seat| seat.stop);
        self.stop_asked.store(asked, Ordering::Relaxed);
    }

    /// Not under the lock: it writes out each message and wakes askers.
    fn bury(&self, left: VecDeque<Envelope<M>>) {
        for envelope in left {
            self.system.bury(&self.node, envelope, DeadReason::Stopped);
        }
    }
}

impl<M: Message> Drop for Lane<M> {
    fn drop(&mut self) {
        let left = std::mem::take(&mut self.state.get_mut().queue);
        self.bury(left);
    }
}

impl<M> State<M> {
    fn take_sleeper(&mut self) -> Option<Waker> {
        let waker = self.seats.iter_mut().find_map(|seat| seat.asleep.take());
        self.asleep -= usize::from(waker.is_some());
        waker
    }

    fn is_quiet(&self) -> bool {
        self.queue.is_empty()
            && self.seats.iter().all(|seat| seat.asleep.is_some() || !seat.present)
    }

    /// Notes when the last message was sent; now and then it also measures the rate.
    #[cold]
    fn time_last(&mut self, system: &System) {
        let now = Moment::now().as_nanos();
        if let Some(last) = self.queue.back_mut() {
            last.sent_nanos = now;
        }
        if self.received & (RATE_WINDOW - 1) == 0 {
            let elapsed = now.saturating_sub(self.window_began_nanos);
            self.window_began_nanos = now;
            self.sample_mask = system.sample_mask(elapsed / RATE_WINDOW);
        }
    }
}

/// The depth at which a message of this priority is shed.
#[inline]
fn room(capacity: usize, priority: Priority) -> usize {
    match priority {
        Priority::Low => capacity.div_ceil(2),
        Priority::Normal => capacity.saturating_sub(capacity / 10),
        Priority::High => capacity,
    }
}

#[inline]
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
