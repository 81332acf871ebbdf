//! The erased way from a route to its service and back.
//!
//! The edge knows no message types. It opens a reply slot of the route's type, sends the erased
//! port through the gates on an envelope of its own, and the last gate delivers: it translates the
//! request and sends it to the service with that port. The reply returns straight to the slot.

use std::sync::Arc;

use troupe_actors::{Failure, Origin, Pending, ReplyPort, Request, Scope, Sender, Shards};

use crate::http::{HttpRequest, HttpResponse};
use crate::ports::BoxFuture;

/// What came back for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The response made of the reply, or why there is none.
    pub response: Result<HttpResponse, Failure>,
    /// The origin as the last station left it: its principal, and the trailers for the caller.
    /// None when the request was lost in a crash or at its deadline.
    pub origin: Option<Arc<Origin>>,
}

/// A route's service with its types erased.
pub trait Target: Send + Sync {
    /// Opens a reply slot: the port travels with the request, the future becomes the response.
    /// It always ends, at the latest shortly after the scope's deadline.
    fn open(&self, scope: &Scope) -> (ReplyPort, BoxFuture<'_, Delivered>);

    /// Translates the request and sends it to the service in the request's scope. Whatever goes
    /// wrong fails the port. The records show `sender` as the actor it came from.
    fn deliver_as(&self, sender: Sender, request: &HttpRequest, port: ReplyPort);

    /// Like [`deliver_as`](Self::deliver_as), from outside of any actor.
    fn deliver(&self, request: &HttpRequest, port: ReplyPort) {
        self.deliver_as(Sender::OUTSIDE, request, port);
    }

    /// Where the service is in the tree.
    fn service(&self) -> Arc<str>;
}

pub(super) struct Asking<Q: Request, F, G> {
    pub(super) service: Shards<Q::Protocol>,
    pub(super) translate: F,
    pub(super) respond: G,
}

impl<Q, F, G> Target for Asking<Q, F, G>
where
    Q: Request,
    F: Fn(&HttpRequest) -> Result<Q, Failure> + Send + Sync + 'static,
    G: Fn(Q::Reply) -> Result<HttpResponse, Failure> + Send + Sync + 'static,
{
    fn open(&self, scope: &Scope) -> (ReplyPort, BoxFuture<'_, Delivered>) {
        let (port, pending): (_, Pending<Q::Reply>) = self.service.near().open(scope);
        let response = Box::pin(async move {
            let answer = pending.await;
            Delivered { response: answer.result.and_then(&self.respond), origin: answer.origin }
        });
        (port, response)
    }

    fn deliver_as(&self, sender: Sender, request: &HttpRequest, port: ReplyPort) {
        match (self.translate)(request) {
            Ok(message) => {
                self.service.near().send_as(sender, &request.scope, message.into(), port);
            }
            Err(failure) => port.fail(failure, request.scope.shared_origin()),
        }
    }

    fn service(&self) -> Arc<str> {
        self.service.near().path()
    }
}
