//! References to services: stable across restarts, cheap to clone.

use std::sync::Arc;

use crate::failure::Failure;
use crate::mailbox::{Lane, Refused};
use crate::message::{Message, Request};
use crate::reply::{Answer, Pending, ReplyPort};
use crate::scope::Scope;

/// Who sends a message, for the records; [`Context::sender`](crate::Context::sender) gives an actor's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender(pub(crate) u32);

impl Sender {
    /// Somebody who is no actor: a connection, a test.
    pub const OUTSIDE: Self = Self(0);
}

/// A service that understands `M`. It stays good while the service restarts.
pub struct ServiceRef<M: Message> {
    pub(crate) lane: Arc<Lane<M>>,
}

impl<M: Message> Clone for ServiceRef<M> {
    fn clone(&self) -> Self {
        Self { lane: self.lane.clone() }
    }
}

impl<M: Message> ServiceRef<M> {
    /// Sends a message that nobody answers. Never waits.
    ///
    /// # Errors
    /// `Overloaded` when the mailbox is full, `Stopped` when the service takes no messages.
    pub fn tell(&self, scope: &Scope, message: impl Into<M>) -> Result<(), Failure> {
        self.put(message.into(), scope.clone(), None, 0).map_err(|(failure, ..)| failure)
    }

    /// Sends a request and waits for its reply, at most until the scope's deadline.
    ///
    /// # Errors
    /// What the service answered; `Overloaded`, `Stopped`, `Expired` or `Crashed` from the kit.
    pub async fn ask<Q>(&self, scope: &Scope, request: Q) -> Result<Q::Reply, Failure>
    where
        Q: Request<Protocol = M>,
    {
        self.ask_answer(scope, request).await.result
    }

    /// Like [`ask`](Self::ask), with what the stations on the way added.
    pub async fn ask_answer<Q>(&self, scope: &Scope, request: Q) -> Answer<Q::Reply>
    where
        Q: Request<Protocol = M>,
    {
        let (port, pending) = self.open::<Q::Reply>(scope);
        self.send(scope, request.into_protocol(), port);
        pending.await
    }

    /// Opens a reply slot without sending yet, for a message that reaches its service through others.
    #[must_use]
    pub fn open<R>(&self, scope: &Scope) -> (ReplyPort, Pending<R>)
    where
        R: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
    {
        Pending::new(self.lane.system.shared.deadlines, scope.deadline)
    }

    /// Sends a message with a port that was opened before. A refusal fails the port.
    pub fn send(&self, scope: &Scope, message: M, port: ReplyPort) {
        self.send_as(Sender::OUTSIDE, scope, message, port);
    }

    /// Like [`send`](Self::send), on behalf of the actor that passes the message on.
    pub fn send_as(&self, sender: Sender, scope: &Scope, message: M, port: ReplyPort) {
        if let Err((failure, Some(port), origin)) =
            self.put(message, scope.clone(), Some(port), sender.0)
        {
            port.fail(failure, origin);
        }
    }

    /// Where the service is in the tree.
    #[must_use]
    pub fn path(&self) -> Arc<str> {
        self.lane.node.path()
    }

    /// Number of messages that wait.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.lane.depth()
    }

    #[inline]
    pub(crate) fn put(
        &self,
        message: M,
        scope: Scope,
        port: Option<ReplyPort>,
        sender: u32,
    ) -> Result<(), Refused> {
        self.lane.push(message, scope, port, sender)
    }
}
