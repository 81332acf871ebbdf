//! What an actor is: state that handles one message at a time.

use std::collections::VecDeque;
use std::future::Future;
use std::ops::{Deref, DerefMut};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::failure::Failure;
use crate::mailbox::Envelope;
use crate::message::{Message, Request};
use crate::reply::{Reply, ReplyPort};
use crate::scope::Scope;

/// How handling a message ended. An `Err` answers the asker, or is counted and logged for a
/// message that was told.
pub type Handled = Result<(), Failure>;

/// An actor's behaviour. Implement the functions with `async fn`.
///
/// A handler gets its message on loan, so that the message that kills it can be shown. It must not
/// wait long unless the service has several workers: while it waits, the mailbox waits with it.
pub trait Service: Send + Sized + 'static {
    /// What it understands.
    type Message: Message;

    /// Whether [`handle_batch`](Self::handle_batch) is called with all that waits.
    const BATCHES: bool = false;

    /// Runs before the first message of each incarnation. A failure counts as a crash.
    fn start(&mut self, ctx: &mut Context<Self::Message>) -> impl Future<Output = Handled> + Send {
        let _ = ctx;
        async { Ok(()) }
    }

    /// Handles one message.
    fn handle(
        &mut self,
        message: &mut Lent<Self::Message>,
        ctx: &mut Context<Self::Message>,
    ) -> impl Future<Output = Handled> + Send;

    /// Handles all waiting messages at once; only called if [`BATCHES`](Self::BATCHES) is true.
    ///
    /// What is left in the batch when it returns or panics is delivered again.
    fn handle_batch(
        &mut self,
        batch: &mut Batch<'_, Self::Message>,
        ctx: &mut Context<Self::Message>,
    ) -> impl Future<Output = Handled> + Send {
        let _ = (batch, ctx);
        async { Ok(()) }
    }

    /// Runs when the service stops in order; not after a crash.
    fn stop(&mut self, ctx: &mut Context<Self::Message>) -> impl Future<Output = ()> + Send {
        let _ = ctx;
        async {}
    }
}

/// A message on loan to its handler.
pub struct Lent<M> {
    message: Option<M>,
}

impl<M> Lent<M> {
    /// A place for messages, with none yet.
    pub(crate) const fn empty() -> Self {
        Self { message: None }
    }

    #[inline]
    pub(crate) fn lend(&mut self, message: M) -> &mut Self {
        self.message = Some(message);
        self
    }

    /// Drops the message if the handler left it.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.message = None;
    }

    /// Takes the message to pass it on. A crash afterwards can show its header only.
    ///
    /// # Panics
    /// When it was taken before.
    #[inline]
    pub fn take(&mut self) -> M {
        self.message.take().expect("a lent message is taken once")
    }

    pub(crate) fn peek(&self) -> Option<&M> {
        self.message.as_ref()
    }
}

impl<M> Deref for Lent<M> {
    type Target = M;

    #[inline]
    fn deref(&self) -> &M {
        self.message.as_ref().expect("a lent message is not read after it was taken")
    }
}

impl<M> DerefMut for Lent<M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut M {
        self.message.as_mut().expect("a lent message is not changed after it was taken")
    }
}

/// All messages that waited, for a handler that treats them together.
pub struct Batch<'a, M> {
    pub(crate) hands: &'a mut VecDeque<Envelope<M>>,
}

impl<M: Message> Batch<'_, M> {
    /// The next message, now the handler's own.
    #[expect(clippy::should_implement_trait, reason = "a batch lends itself to the handler")]
    pub fn next(&mut self) -> Option<Mail<M>> {
        let envelope = self.hands.pop_front()?;
        let scope = envelope.scope();
        Some(Mail { message: envelope.message, scope, port: envelope.port })
    }

    /// Messages left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hands.len()
    }

    /// Whether none is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hands.is_empty()
    }
}

/// A message of a batch with its circumstances.
pub struct Mail<M> {
    /// The message.
    pub message: M,
    /// Its circumstances.
    pub scope: Scope,
    port: Option<ReplyPort>,
}

impl<M: Message> Mail<M> {
    /// The message, its scope and the typed reply for the request `Q`.
    #[must_use]
    pub fn into_parts<Q: Request<Protocol = M>>(self) -> (M, Scope, Reply<Q::Reply>) {
        let reply = typed(self.port, &self.scope);
        (self.message, self.scope, reply)
    }
}

#[inline]
pub(crate) fn typed<R>(port: Option<ReplyPort>, scope: &Scope) -> Reply<R>
where
    R: Serialize + DeserializeOwned + Send + 'static,
{
    match port {
        Some(port) => port.typed::<R>().with_origin(scope.origin.clone()),
        None => Reply::to_nobody(),
    }
}
