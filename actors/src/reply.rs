//! One-shot reply slots: the asker holds the typed end, the envelope carries the erased one.
//!
//! Erasure lets an envelope pass through actors that know nothing of the reply's type; the actor
//! that answers names its request and gets the type back. A port that is dropped unanswered fails
//! its asker at once; an asker whose deadline passes is failed by the next tick.
//!
//! Invariants: a slot has one port and one asker, and goes back to the table when both are done
//! with it, so that no end ever sees the next use of its slot. An open ask costs no table entry:
//! the sweep reads the deadlines of all slots, which lie side by side.

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::deadlines::{DeadlineTable, NO_DEADLINE};
use crate::failure::Failure;
use crate::lock::Mutex;
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

/// A place for one answer at a time.
pub(crate) struct Slot {
    table: &'static DeadlineTable,
    /// When the asker is failed; [`NO_DEADLINE`] while nobody waits.
    deadline: &'static AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    answered: bool,
    port_done: bool,
    asker_done: bool,
    waker: Option<Waker>,
    /// An `Option<R>`. The empty box stays for the next answer of the same type.
    reply: Option<Box<dyn Any + Send>>,
    failure: Option<Failure>,
    origin: Option<Arc<Origin>>,
}

impl Inner {
    /// Makes the slot as new. What was in it is returned, to be dropped without the lock.
    fn reset(&mut self) -> Self {
        let spare = if self.answered && self.failure.is_none() { None } else { self.reply.take() };
        std::mem::replace(self, Self { reply: spare, ..Self::default() })
    }
}

impl Slot {
    pub(crate) fn new(table: &'static DeadlineTable, deadline: &'static AtomicU64) -> Self {
        Self { table, deadline, inner: Mutex::new(Inner::default()) }
    }

    #[inline]
    pub(crate) fn table(&self) -> &'static DeadlineTable {
        self.table
    }

    /// Fails the asker if it still waits for what was due before `now`.
    pub(crate) fn expire(&self, now: Moment) {
        let mut inner = self.inner.lock();
        // Since the sweep looked, the slot may have been answered and even taken into use again.
        if inner.answered || self.deadline.load(Ordering::Relaxed) > now.as_nanos() {
            return;
        }
        inner.answered = true;
        inner.failure = Some(Failure::expired());
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What a port does once, at its end. An asker that is gone or was failed before ignores it.
    #[inline]
    fn answer<R: Send + 'static>(
        &'static self,
        result: Result<R, Failure>,
        origin: Option<Arc<Origin>>,
    ) {
        let mut inner = self.inner.lock();
        inner.port_done = true;
        if inner.asker_done {
            let left = inner.reset();
            drop(inner);
            drop(left);
            self.table.recycle(self);
            return;
        }
        if inner.answered {
            return;
        }
        inner.answered = true;
        inner.origin = origin;
        match result {
            Ok(reply) => put(&mut inner.reply, reply),
            Err(failure) => inner.failure = Some(failure),
        }
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn fail(&'static self, failure: Failure, origin: Option<Arc<Origin>>) {
        self.answer::<()>(Err(failure), origin);
    }

    #[inline]
    fn poll<R: 'static>(
        &'static self,
        deadline: Deadline,
        context: &Context<'_>,
    ) -> Poll<Answer<R>> {
        let mut inner = self.inner.lock();
        if !inner.answered {
            let known = inner.waker.as_ref().is_some_and(|own| own.will_wake(context.waker()));
            if !known {
                let before = inner.waker.replace(context.waker().clone());
                self.deadline.store(deadline.as_nanos(), Ordering::Relaxed);
                drop(inner);
                drop(before);
            }
            return Poll::Pending;
        }
        self.deadline.store(NO_DEADLINE, Ordering::Relaxed);
        inner.answered = false;
        let origin = inner.origin.take();
        let (result, mistyped) = match inner.failure.take() {
            Some(failure) => (Err(failure), None),
            None => take(&mut inner.reply),
        };
        let done = inner.port_done;
        inner.asker_done = !done;
        inner.port_done = false;
        drop(inner);
        drop(mistyped);
        if done {
            self.table.recycle(self);
        }
        Poll::Ready(Answer { result, origin })
    }

    /// The asker went away before it had its answer.
    fn abandon(&'static self) {
        let mut inner = self.inner.lock();
        self.deadline.store(NO_DEADLINE, Ordering::Relaxed);
        let done = inner.port_done;
        let left = inner.reset();
        inner.asker_done = !done;
        drop(inner);
        drop(left);
        if done {
            self.table.recycle(self);
        }
    }

    fn is_awaited(&self) -> bool {
        let inner = self.inner.lock();
        !inner.answered && !inner.asker_done
    }
}

type Place = Option<Box<dyn Any + Send>>;

#[inline]
fn put<R: Send + 'static>(place: &mut Place, reply: R) {
    match place.as_mut().and_then(|place| place.downcast_mut::<Option<R>>()) {
        Some(place) => *place = Some(reply),
        None => *place = Some(Box::new(Some(reply))),
    }
}

/// The reply; or, with a failure, a reply of another type.
#[inline]
fn take<R: 'static>(place: &mut Place) -> (Result<R, Failure>, Place) {
    match place.as_mut().and_then(|place| place.downcast_mut::<Option<R>>()?.take()) {
        Some(reply) => (Ok(reply), None),
        None => (Err(mistyped::<R>()), place.take()),
    }
}

/// The erased end of a reply slot. Dropping it unanswered fails the asker.
pub struct ReplyPort {
    slot: &'static Slot,
}

impl ReplyPort {
    /// Fails the asker.
    pub fn fail(self, failure: Failure, origin: Option<Arc<Origin>>) {
        self.into_slot().fail(failure, origin);
    }

    /// The typed end for an answer of type `R`.
    ///
    /// An answer of another type than the one that was asked for fails the asker.
    #[must_use]
    #[inline]
    pub fn typed<R: Serialize + DeserializeOwned + Send + 'static>(self) -> Reply<R> {
        Reply { slot: Some(self.into_slot()), origin: None, reply: PhantomData }
    }

    /// The slot, without an answer from the port's end.
    #[inline]
    fn into_slot(self) -> &'static Slot {
        let slot = self.slot;
        std::mem::forget(self);
        slot
    }
}

fn mistyped<R>() -> Failure {
    Failure::internal(
        "actors.reply.mistyped",
        format!("the answer does not have the type {}", std::any::type_name::<R>()),
    )
}

fn dropped() -> Failure {
    if std::thread::panicking() { Failure::crashed("the handler") } else { Failure::unanswered() }
}

impl Drop for ReplyPort {
    fn drop(&mut self) {
        self.slot.fail(dropped(), None);
    }
}

/// The typed end of a reply slot, for an answer that is given later or by somebody else.
pub struct Reply<R: Serialize + DeserializeOwned + Send + 'static> {
    slot: Option<&'static Slot>,
    origin: Option<Arc<Origin>>,
    reply: PhantomData<fn(R)>,
}

impl<R: Serialize + DeserializeOwned + Send + 'static> Reply<R> {
    /// A reply nobody waits for, for a request that was told.
    pub(crate) fn to_nobody() -> Self {
        Self { slot: None, origin: None, reply: PhantomData }
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
        self.slot.is_some_and(Slot::is_awaited)
    }

    /// Answers.
    #[inline]
    pub fn send(mut self, result: Result<R, Failure>) {
        let Some(slot) = self.slot else { return };
        // Encoded while the port still holds the slot: a panic in it fails the asker.
        let result = if slot.table.wire_always() {
            result.and_then(|reply| through_wire(&reply))
        } else {
            result
        };
        self.slot = None;
        slot.answer(result, self.origin.take());
    }
}

impl<R: Serialize + DeserializeOwned + Send + 'static> Drop for Reply<R> {
    #[inline]
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.fail(dropped(), self.origin.take());
        }
    }
}

/// The asker's end: a future of the answer.
///
/// It always ends: with the answer, with the failure of a dropped port, or with
/// [`FailureKind::Expired`](crate::FailureKind::Expired) within one tick after the deadline.
pub struct Pending<R> {
    slot: Option<&'static Slot>,
    deadline: Deadline,
    reply: PhantomData<fn() -> R>,
}

impl<R: Serialize + DeserializeOwned + Send + 'static> Pending<R> {
    #[inline]
    pub(crate) fn new(table: &'static DeadlineTable, deadline: Deadline) -> (ReplyPort, Self) {
        let slot = table.take();
        (ReplyPort { slot }, Self { slot: Some(slot), deadline, reply: PhantomData })
    }
}

impl<R: Send + 'static> Future for Pending<R> {
    type Output = Answer<R>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(slot) = self.slot else { return Poll::Pending };
        let polled = slot.poll(self.deadline, context);
        if polled.is_ready() {
            self.slot = None;
        }
        polled
    }
}

impl<R> Drop for Pending<R> {
    #[inline]
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::failure::FailureKind;

    fn table() -> &'static DeadlineTable {
        DeadlineTable::leaked(false)
    }

    fn poll<R: Send + 'static>(pending: &mut Pending<R>) -> Option<Answer<R>> {
        match Pin::new(pending).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    fn kind<R>(answer: Option<Answer<R>>) -> Option<FailureKind> {
        answer?.result.err().map(|failure| failure.kind())
    }

    #[test]
    fn a_slot_is_used_again_when_both_ends_are_done_with_it() {
        let table = table();
        let (port, mut pending) = Pending::<u64>::new(table, Deadline::after(Duration::MAX));
        let first = port.slot;
        assert!(poll(&mut pending).is_none());
        port.typed::<u64>().send(Ok(7));
        assert_eq!(poll(&mut pending).and_then(|answer| answer.result.ok()), Some(7));
        let (port, mut pending) = Pending::<String>::new(table, Deadline::after(Duration::MAX));
        assert!(std::ptr::eq(first, port.slot));
        assert!(poll(&mut pending).is_none());
        drop(port);
        assert_eq!(kind(poll(&mut pending)), Some(FailureKind::Internal));
    }

    #[test]
    fn a_late_answer_does_not_reach_the_next_ask() {
        let table = table();
        let (late, mut pending) = Pending::<u64>::new(table, Deadline::after(Duration::ZERO));
        assert!(poll(&mut pending).is_none());
        table.sweep(Moment::now());
        assert_eq!(kind(poll(&mut pending)), Some(FailureKind::Expired));
        let (port, mut next) = Pending::<u64>::new(table, Deadline::after(Duration::MAX));
        assert!(!std::ptr::eq(late.slot, port.slot));
        late.typed::<u64>().send(Ok(1));
        assert!(poll(&mut next).is_none());
        table.sweep(Moment::now());
        assert!(poll(&mut next).is_none());
        port.typed::<u64>().send(Ok(2));
        assert_eq!(poll(&mut next).and_then(|answer| answer.result.ok()), Some(2));
    }

    #[test]
    fn an_answer_to_an_asker_that_went_away_is_dropped() {
        let held = Arc::new(());
        for answered_before in [true, false] {
            let table = table();
            let deadline = Deadline::after(Duration::MAX);
            let (port, mut pending) = Pending::<Held>::new(table, deadline);
            let slot = port.slot;
            assert!(poll(&mut pending).is_none());
            let reply = port.typed::<Held>();
            assert!(reply.is_awaited());
            if answered_before {
                reply.send(Ok(Held(Some(held.clone()))));
                drop(pending);
            } else {
                drop(pending);
                assert!(!reply.is_awaited());
                reply.send(Ok(Held(Some(held.clone()))));
            }
            assert_eq!(Arc::strong_count(&held), 1);
            assert!(std::ptr::eq(slot, table.take()));
        }
    }

    #[derive(Serialize, serde::Deserialize)]
    struct Held(#[serde(skip)] Option<Arc<()>>);

    #[test]
    fn an_answer_of_another_type_fails_the_asker() {
        let (port, mut pending) = Pending::<u64>::new(table(), Deadline::after(Duration::MAX));
        port.typed::<String>().send(Ok("seven".to_owned()));
        let answer = poll(&mut pending).and_then(|answer| answer.result.err());
        assert_eq!(
            answer.map(|failure| failure.code().to_owned()).as_deref(),
            Some("actors.reply.mistyped")
        );
    }
}
