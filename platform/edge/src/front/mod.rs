//! The front: what happens to a request between its head and the gates, and to the answer between
//! the service and the socket.
//!
//! One pass does it all (ids, trace, CORS, routing, limits, problem documents, log line, metrics):
//! layers that wrap each other cost more than the work.

mod answer;
mod answered;
mod body;
mod finish;
mod operations;
mod routing;

use std::future::{Future as _, poll_fn};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Body;
use troupe_actors::Moment;
use troupe_kernel::clock::SharedClock;
use troupe_kernel::{Failure, HeaderMap, Uuid, new_id};
use troupe_telemetry::Sampling;

use crate::gates::Gates;
use crate::http::cors::Cors;
use crate::http::forwarded::{self, Network};
use crate::http::trace::TraceParent;
use crate::observe::{Observer, Seen};
use crate::table::Table;

pub(crate) use answered::{Answered, Outcome};
pub(crate) use body::BodyBudget;
pub use operations::RenderMetrics;
pub(crate) use operations::{Document, Operation, Operations};
pub(crate) use routing::{Paths, Spot};

/// What every request needs.
pub(crate) struct Front {
    pub(crate) table: Arc<Table>,
    pub(crate) paths: Paths,
    pub(crate) gates: Gates,
    pub(crate) clock: SharedClock,
    pub(crate) cors: Cors,
    pub(crate) proxies: Vec<Network>,
    pub(crate) hsts: Option<http::HeaderValue>,
    pub(crate) operations: Operations,
    pub(crate) bodies: BodyBudget,
    pub(crate) observer: Observer,
    pub(crate) sampling: Sampling,
    /// The node is stopping: connections are not kept.
    pub(crate) draining: AtomicBool,
}

/// A request at the front: who asks, under which ids, since when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange {
    pub(crate) request: Uuid,
    /// The trace and our own span in it.
    pub(crate) trace: TraceParent,
    /// The caller's span; zero without one.
    pub(crate) parent: u64,
    pub(crate) caller: IpAddr,
    pub(crate) began: Moment,
}

impl Front {
    /// Answers one request. It never panics: what goes wrong becomes a problem document.
    pub(crate) async fn serve(
        &self,
        peer: IpAddr,
        request: Request<impl Body<Data = Bytes> + Unpin>,
    ) -> Response<Full<Bytes>> {
        let _in_flight = self.observer.enter();
        let (parts, body) = request.into_parts();
        let exchange = self.exchange(peer, &parts);
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let asked = finish::asked(&parts.headers);
        let (spot, parameters) = self.paths.find(uri.path());
        let mut answering = pin!(self.answer((spot, parameters), &exchange, parts, body));
        // Polled in place: a wrapper would copy the future, which is large.
        let mut answered = poll_fn(|context| {
            let polling = AssertUnwindSafe(|| answering.as_mut().poll(context));
            catch_unwind(polling).unwrap_or_else(|_| {
                let path = spot.loggable(uri.path());
                tracing::error!(request_id = %exchange.request, path, "answering a request panicked");
                Poll::Ready(Answered::failed(&crashed(), &exchange))
            })
        })
        .await;
        finish::finish(self, &method, &asked, &exchange, &mut answered);
        let seen = Seen { method: &method, uri: &uri, spot, exchange: &exchange };
        self.observer.observe(&self.table, &seen, &answered);
        finish::into_response(&method, answered.response)
    }

    fn exchange(&self, peer: IpAddr, parts: &http::request::Parts) -> Exchange {
        let brought = request_id(&parts.headers);
        let request = brought.unwrap_or_else(|| new_id(&*self.clock));
        // An id of our own making serves as trace and span too; one that the caller made may come
        // again. The random half is never zero, which no span may be.
        let random = brought.map_or(request, |_| new_id(&*self.clock));
        let span = random.as_u64_pair().1;
        let given = parts.headers.get(finish::TRACEPARENT).and_then(|value| value.to_str().ok());
        let given = given.and_then(TraceParent::parse);
        let trace = given.map_or(random.as_u128(), |parent| parent.trace);
        let sampled = self.sampling.decide(trace, given.map(|parent| parent.sampled));
        Exchange {
            request,
            trace: TraceParent { trace, span, sampled },
            parent: given.map_or(0, |parent| parent.span),
            caller: forwarded::caller(peer, &parts.headers, &self.proxies),
            began: Moment::now(),
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// The id that the caller gave the request, if it is one.
fn request_id(headers: &HeaderMap) -> Option<Uuid> {
    let text = headers.get(finish::REQUEST_ID)?.to_str().ok()?;
    troupe_kernel::ids::parse(text).ok().filter(|id| !id.is_nil())
}

fn crashed() -> Failure {
    Failure::internal(
        "edge.answer.crashed",
        "an error on our side; send us the request id and we can find it",
    )
}
