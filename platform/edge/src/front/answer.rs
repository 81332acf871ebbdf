//! Answers a request: sends it through the gates to its service and waits for what comes back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode, header};
use hyper::body::Body;
use troupe_actors::{Deadline, Origin, Scope};
use troupe_kernel::{Failure, FailureKind, HttpRequest, HttpResponse, Problem};

use super::routing::{Parameters, PathEntry, Spot};
use super::{Answered, Exchange, Front, Outcome, body};
use crate::gates::{Passage, Station};
use crate::http::{consistency, forwarded, idempotency};
use crate::table::Entry;

impl Front {
    pub(super) async fn answer(
        &self,
        (spot, parameters): (&Spot, Option<Parameters>),
        exchange: &Exchange,
        parts: Parts,
        body: impl Body<Data = Bytes> + Unpin,
    ) -> Answered {
        match spot {
            Spot::Path(path) => self.at_path((path, parameters), exchange, parts, body).await,
            Spot::Own(operation) => match parts.method {
                Method::GET | Method::HEAD => {
                    let relayed = forwarded::is_relayed(&parts.headers);
                    Answered::new(self.operations.answer(*operation, exchange, relayed))
                }
                _ => method_not_allowed("GET, HEAD", exchange),
            },
            Spot::Nowhere => {
                let failure = Failure::not_found(
                    "edge.path.unknown",
                    "there is nothing at this path; /docs lists what there is",
                );
                Answered::failed(&failure, exchange)
            }
        }
    }

    async fn at_path(
        &self,
        (path, parameters): (&PathEntry, Option<Parameters>),
        exchange: &Exchange,
        parts: Parts,
        body: impl Body<Data = Bytes> + Unpin,
    ) -> Answered {
        if parts.method == Method::OPTIONS {
            let preflight = self.cors.preflight(&parts.method, &parts.headers, &path.allow);
            return Answered::new(preflight.unwrap_or_else(|| {
                HttpResponse::new(StatusCode::NO_CONTENT).header(header::ALLOW, &path.allow)
            }));
        }
        let Some(number) = path.route(&parts.method) else {
            return method_not_allowed(&path.allow, exchange);
        };
        let entry = self.table.get(number);
        let mut answered = match parameters {
            Some(parameters) => {
                let asked = self.ask((number, entry), parameters, exchange, parts, body).await;
                match asked {
                    Ok(answered) | Err(answered) => answered,
                }
            }
            None => Answered::failed(&malformed_path(), exchange),
        };
        answered.outcome.route = Some(number);
        answered
    }

    /// Reads the request, opens a reply slot for its route and sends it to the first gate.
    async fn ask(
        &self,
        (number, entry): (u32, &Entry),
        parameters: Parameters,
        exchange: &Exchange,
        parts: Parts,
        body: impl Body<Data = Bytes> + Unpin,
    ) -> Result<Answered, Answered> {
        let refuse = |failure: Failure| Answered::failed(&failure, exchange);
        let key = idempotency::read(&parts.method, &parts.headers).map_err(refuse)?;
        let seen = consistency::read(&parts.headers).map_err(refuse)?;
        let mut request = HttpRequest {
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            method: parts.method,
            parameters,
            headers: parts.headers,
            body: Bytes::new(),
            peer: exchange.caller,
            scope: Scope::bare(Duration::ZERO),
        };
        if let Some(check) = entry.route.before_body() {
            check(&request).await.map_err(refuse)?;
        }
        let held = body::read(body, &request.headers, entry, &self.bodies, exchange).await?;
        request.body = held.bytes.clone();

        let mut origin = Origin::new(exchange.request);
        origin.trace = exchange.trace.trace;
        origin.span = exchange.trace.span;
        origin.sampled = exchange.trace.sampled;
        origin.address = Some(exchange.caller);
        origin.seen = seen;
        origin.idempotency = key.map(|key| {
            let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
            idempotency::fingerprint(key, &request.method, target, &held.bytes)
        });
        let scope = Scope::until(Deadline::counted_from(exchange.began, entry.timeout), origin)
            .with_priority(entry.route.priority());

        let (port, response) = entry.route.target().open(&scope);
        let passage = Passage { route: number, request: Box::new(request) };
        self.gates.send(Station::Address, &scope, passage, port);
        drop(scope);
        let delivered = response.await;

        let mut answered = match delivered.response {
            Ok(response) => Answered::new(response),
            Err(failure) => Answered::failed(&failure, exchange),
        };
        if let Some(origin) = delivered.origin {
            note_origin(&origin, &mut answered);
        }
        Ok(answered)
    }
}

/// Takes over what the stations left: the principal for the log, the trailers for the caller.
fn note_origin(origin: &Arc<Origin>, answered: &mut Answered) {
    let Outcome { subject, tenant, .. } = &mut answered.outcome;
    if let Some(principal) = &origin.principal {
        *subject = Some(principal.subject);
        *tenant = principal.tenant;
    }
    if let Some(rate) = &origin.trailers.rate {
        crate::http::limits::report(rate, &mut answered.response.headers);
    }
    consistency::report(origin.written.place(), &mut answered.response.headers);
    if origin.trailers.replayed {
        answered.response.headers.insert(
            header::HeaderName::from_static("idempotency-replayed"),
            header::HeaderValue::from_static("true"),
        );
    }
}

fn malformed_path() -> Failure {
    Failure::new(
        FailureKind::Malformed,
        "edge.path.malformed",
        "the path is not percent-encoded UTF-8 without NUL characters",
    )
}

fn method_not_allowed(allow: &str, exchange: &Exchange) -> Answered {
    let problem = Problem::new(
        405,
        "edge.method.not_allowed",
        format!("this path takes {allow}; see the Allow field"),
    );
    let mut answered = Answered::problem(problem, exchange);
    answered.response = answered.response.header(header::ALLOW, allow);
    answered
}
