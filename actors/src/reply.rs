//! One-shot reply slots: the asker holds the typed end, the envelope carries the erased one.
//!
//! Erasure lets an envelope pass through actors that know nothing of the reply's type; the actor
//! that answers names its request and gets the type back. A port that is dropped unanswered fails
//! its asker at once. Slots that are waited for are listed in a table that fails them when their
//! deadline passes, which costs a fraction of a timer for each call.

use std::any::{Any, TypeId};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;
use crate::message::through_wire;
use crate::scope::Origin;
use crate::time::{Deadline, Moment};

/// An answer with what the stations on the way added to it.
#[derive(Debug)]
pub struct Answer<R> {
    /// The reply, or why there is none.
    pub result: Result<R, Failure>,
    /// The origin as the answering actor left it; its trailers are for the asker.
    pub origin: Option<Arc<Origin>>,
}

enum State<R> {
    Waiting(Option<Waker>),
    Answered(Answer<R>),
    Taken,
}

struct Slot<R> {
    state: Mutex<State<R>>,
    wire: bool,
}

impl<R> Slot<R> {
    fn fill(&self, answer: Answer<R>) {
        let mut state = self.state.lock();
        if let State::Waiting(waker) = &mut *state {
            let waker = waker.take();
            *state = State::Answered(answer);
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

trait AnySlot: Any + Send + Sync {
    fn fail(&self, failure: Failure, origin: Option<Arc<Origin>>);
}

impl<R: Send + 'static> AnySlot for Slot<R> {
    #[inline]
    fn fail(&self, failure: Failure, origin: Option<Arc<Origin>>) {
        self.fill(Answer { result: Err(failure), origin });
    }
}

/// The erased end of a reply slot. Dropping it unanswered fails the asker.
pub struct ReplyPort {
    slot: Option<Arc<dyn AnySlot>>,
}

impl ReplyPort {
    /// Fails the asker.
    #[inline]
    pub fn fail(mut self, failure: Failure, origin: Option<Arc<Origin>>) {
        if let Some(slot) = self.slot.take() {
            slot.fail(failure, origin);
        }
    }

    /// The typed end for an answer of type `R`.
    ///
    /// A port of another type fails its asker: the actor answered a request that it was not asked.
    #[must_use]
    pub fn typed<R: Serialize + DeserializeOwned + Send + 'static>(mut self) -> Reply<R> {
        let Some(slot) = self.slot.take() else { return Reply { slot: None, origin: None } };
        if (*slot).type_id() != TypeId::of::<Slot<R>>() {
            slot.fail(mistyped::<R>(), None);
            return Reply { slot: None, origin: None };
        }
        let any: Arc<dyn Any + Send + Sync> = slot;
        Reply { slot: any.downcast().ok(), origin: None }
    }
}

fn mistyped<R>() -> Failure {
    Failure::internal(
        "actors.reply.mistyped",
        format!("the answer has the type {}, which was not asked for", std::any::type_name::<R>()),
    )
}

fn dropped() -> Failure {
    if std::thread::panicking() { Failure::crashed("the handler") } else { Failure::unanswered() }
}

impl Drop for ReplyPort {
    #[inline]
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.fail(dropped(), None);
        }
    }
}

/// The typed end of a reply slot, for an answer that is given later or by somebody else.
pub struct Reply<R: Serialize + DeserializeOwned + Send + 'static> {
    slot: Option<Arc<Slot<R>>>,
    origin: Option<Arc<Origin>>,
}

impl<R: Serialize + DeserializeOwned + Send + 'static> Reply<R> {
    /// A reply nobody waits for, for a request that was told.
    pub(crate) fn to_nobody() -> Self {
        Self { slot: None, origin: None }
    }

    /// Attaches the origin whose trailers go back with the answer.
    #[must_use]
    pub fn with_origin(mut self, origin: Option<Arc<Origin>>) -> Self {
        self.origin = origin;
        self
    }

    /// Whether anybody waits for the answer.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| matches!(*slot.state.lock(), State::Waiting(_)))
    }

    /// Answers.
    pub fn send(mut self, result: Result<R, Failure>) {
        if let Some(slot) = self.slot.take() {
            let result =
                if slot.wire { result.and_then(|reply| through_wire(&reply)) } else { result };
            slot.fill(Answer { result, origin: self.origin.take() });
        }
    }
}

impl<R: Serialize + DeserializeOwned + Send + 'static> Drop for Reply<R> {
    #[inline]
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.fill(Answer { result: Err(dropped()), origin: self.origin.take() });
        }
    }
}

/// The asker's end: a future of the answer.
///
/// It always ends: with the answer, with the failure of a dropped port, or with
/// [`FailureKind::Expired`](crate::FailureKind::Expired) within one tick after the deadline.
pub struct Pending<R> {
    slot: Arc<Slot<R>>,
    deadline: Deadline,
    table: Arc<DeadlineTable>,
    ticket: Option<Ticket>,
}

impl<R: Serialize + DeserializeOwned + Send + 'static> Pending<R> {
    pub(crate) fn new(
        table: &Arc<DeadlineTable>,
        deadline: Deadline,
        wire: bool,
    ) -> (ReplyPort, Self) {
        let slot = Arc::new(Slot { state: Mutex::new(State::Waiting(None)), wire });
        let port = ReplyPort { slot: Some(slot.clone()) };
        (port, Self { slot, deadline, table: table.clone(), ticket: None })
    }
}

impl<R: Send + 'static> Future for Pending<R> {
    type Output = Answer<R>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let first_wait = {
            let mut state = self.slot.state.lock();
            match &mut *state {
                State::Waiting(Some(waker)) => {
                    waker.clone_from(context.waker());
                    false
                }
                State::Waiting(waker @ None) => {
                    *waker = Some(context.waker().clone());
                    true
                }
                State::Answered(_) => {
                    let State::Answered(answer) = std::mem::replace(&mut *state, State::Taken)
                    else {
                        unreachable!("the state was just matched under the lock")
                    };
                    return Poll::Ready(answer);
                }
                State::Taken => return Poll::Pending,
            }
        };
        if first_wait && self.ticket.is_none() {
            let slot: Arc<dyn AnySlot> = self.slot.clone();
            self.ticket = Some(self.table.list(self.deadline, slot));
        }
        Poll::Pending
    }
}

impl<R> Drop for Pending<R> {
    #[inline]
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.table.strike(ticket);
        }
    }
}

const SHARDS: usize = 8;

struct Ticket {
    shard: usize,
    index: usize,
}

/// The slots that are waited for, by deadline.
pub(crate) struct DeadlineTable {
    shards: [Mutex<Shard>; SHARDS],
}

struct Shard {
    waiting: Vec<Option<(Deadline, Arc<dyn AnySlot>)>>,
    free: Vec<usize>,
    earliest_nanos: u64,
}

impl DeadlineTable {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| {
                Mutex::new(Shard {
                    waiting: Vec::new(),
                    free: Vec::new(),
                    earliest_nanos: u64::MAX,
                })
            }),
        }
    }

    #[inline]
    fn list(&self, deadline: Deadline, slot: Arc<dyn AnySlot>) -> Ticket {
        let number = shard_of_this_thread();
        let mut shard = self.shards[number].lock();
        shard.earliest_nanos = shard.earliest_nanos.min(deadline.as_nanos());
        let entry = Some((deadline, slot));
        let index = if let Some(index) = shard.free.pop() {
            shard.waiting[index] = entry;
            index
        } else {
            shard.waiting.push(entry);
            shard.waiting.len() - 1
        };
        Ticket { shard: number, index }
    }

    #[inline]
    fn strike(&self, ticket: Ticket) {
        let mut shard = self.shards[ticket.shard].lock();
        shard.waiting[ticket.index] = None;
        shard.free.push(ticket.index);
    }

    /// Fails every slot whose deadline has passed; an answered slot ignores it.
    pub(crate) fn sweep(&self, now: Moment) {
        for shard in &self.shards {
            let mut late = Vec::new();
            {
                let mut shard = shard.lock();
                if shard.earliest_nanos > now.as_nanos() {
                    continue;
                }
                let mut earliest_nanos = u64::MAX;
                for (deadline, slot) in shard.waiting.iter().flatten() {
                    if deadline.has_passed(now) {
                        late.push(slot.clone());
                    } else {
                        earliest_nanos = earliest_nanos.min(deadline.as_nanos());
                    }
                }
                shard.earliest_nanos = earliest_nanos;
            }
            for slot in late {
                slot.fail(Failure::expired(), None);
            }
        }
    }
}

#[inline]
fn shard_of_this_thread() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    SHARD.with(|shard| *shard)
}
