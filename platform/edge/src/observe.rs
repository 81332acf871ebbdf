//! The log line, the metrics and the span of each request.
//!
//! Metric handles are kept: looking one up by its labels for each request costs more than counting.

use http::{Method, Uri};
use metrics::{Counter, Gauge, Histogram};
use parking_lot::RwLock;
use troupe_actors::{Moment, Span, SpanKind, SpanValue, record_span};
use troupe_telemetry::Sampling;

use crate::front::{Answered, Exchange};
use crate::front::{Operation, Spot};
use crate::table::Table;

/// What was asked.
pub(crate) struct Seen<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) spot: &'a Spot,
    pub(crate) exchange: &'a Exchange,
}

/// The handles of one route.
struct Meters {
    seconds: Histogram,
    statuses: RwLock<Vec<(u16, Counter)>>,
    method: String,
    route: String,
}

impl Meters {
    fn new(method: &str, route: &str) -> Self {
        let (method, route) = (method.to_owned(), route.to_owned());
        Self {
            seconds: metrics::histogram!(
                "troupe_http_request_seconds", "method" => method.clone(), "route" => route.clone()
            ),
            statuses: RwLock::new(Vec::new()),
            method,
            route,
        }
    }

    fn count(&self, status: u16) {
        if let Some((_, counter)) = self.statuses.read().iter().find(|(known, _)| *known == status)
        {
            counter.increment(1);
            return;
        }
        self.register(status).increment(1);
    }

    fn register(&self, status: u16) -> Counter {
        let counter = metrics::counter!(
            "troupe_http_requests_total",
            "method" => self.method.clone(),
            "route" => self.route.clone(),
            "status" => status.to_string(),
        );
        self.statuses.write().push((status, counter.clone()));
        counter
    }
}

/// Counts and logs requests.
pub(crate) struct Observer {
    routes: Vec<Meters>,
    own: Meters,
    nowhere: Meters,
    in_flight: Gauge,
    sampling: Sampling,
}

/// While it lives, a request is being answered.
pub(crate) struct InFlight<'a>(&'a Observer);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.decrement(1.0);
    }
}

impl Observer {
    pub(crate) fn new(table: &Table, sampling: Sampling) -> Self {
        let meters = |entry: &crate::table::Entry| {
            Meters::new(entry.route.method().as_str(), entry.route.path())
        };
        Self {
            routes: table.iter().map(|(_, entry)| meters(entry)).collect(),
            own: Meters::new("GET", "operations"),
            nowhere: Meters::new("ANY", "unmatched"),
            in_flight: metrics::gauge!("troupe_http_in_flight"),
            sampling,
        }
    }

    pub(crate) fn enter(&self) -> InFlight<'_> {
        self.in_flight.increment(1.0);
        InFlight(self)
    }

    pub(crate) fn observe(&self, table: &Table, seen: &Seen<'_>, answered: &Answered) {
        let took = Moment::now().since(seen.exchange.began);
        let status = answered.response.status.as_u16();
        let route = answered.outcome.route;
        let index = route.and_then(|number| usize::try_from(number).ok());
        let meters = match (index.and_then(|index| self.routes.get(index)), seen.spot) {
            (Some(meters), _) => meters,
            (None, Spot::Own(_)) => &self.own,
            (None, _) => &self.nowhere,
        };
        meters.count(status);
        meters.seconds.record(took.as_secs_f64());
        if let Spot::Own(operation) = seen.spot
            && *operation != Operation::Docs
        {
            return;
        }
        let failed = status >= 500;
        if seen.exchange.trace.sampled || (failed && self.sampling.takes_failures()) {
            record_span(span(table, seen, answered));
        }
        if status == 500 {
            lament(table, seen, answered);
        }
        self.log(table, seen, answered, took.as_secs_f64() * 1000.0);
    }

    fn log(&self, table: &Table, seen: &Seen<'_>, answered: &Answered, duration_ms: f64) {
        if !tracing::enabled!(target: "troupe::access", tracing::Level::INFO) {
            return;
        }
        let outcome = &answered.outcome;
        let route = outcome.route.map(|number| table.get(number).route.path());
        tracing::info!(
            target: "troupe::access",
            method = %seen.method,
            path = seen.spot.loggable(seen.uri.path()),
            route,
            status = answered.response.status.as_u16(),
            duration_ms = (duration_ms * 1000.0).round() / 1000.0,
            bytes = answered.response.body.len(),
            code = outcome.code.as_deref(),
            request_id = %seen.exchange.request,
            trace_id = format_args!("{:032x}", seen.exchange.trace.trace),
            tenant_id = outcome.tenant.map(tracing::field::display),
            subject = outcome.subject.map(tracing::field::display),
            address = %seen.exchange.caller,
            "request"
        );
    }
}

/// What a crash is answered with; the crash itself is in the log.
const CRASHED: [&str; 2] = ["actors.handler.crashed", "edge.answer.crashed"];

/// Says once, where it ends, that a request failed by our own fault.
#[cold]
fn lament(table: &Table, seen: &Seen<'_>, answered: &Answered) {
    let outcome = &answered.outcome;
    let code = outcome.code.as_deref().unwrap_or("unknown");
    if CRASHED.contains(&code) {
        return;
    }
    tracing::error!(
        code,
        method = %seen.method,
        route = outcome.route.map(|number| table.get(number).route.path()),
        request = %seen.exchange.request,
        trace = format_args!("{:032x}", seen.exchange.trace.trace),
        tenant = outcome.tenant.map(tracing::field::display),
        "a request failed on our side"
    );
}

/// The span of a request, with the names of OpenTelemetry's conventions for HTTP.
#[cold]
fn span(table: &Table, seen: &Seen<'_>, answered: &Answered) -> Span {
    let Seen { method, uri, spot, exchange } = seen;
    let text = |text: String| SpanValue::Text(text.into());
    let status = answered.response.status.as_u16();
    let outcome = &answered.outcome;
    let route = outcome.route.map(|number| table.get(number).route.path());
    let mut attributes = vec![
        ("http.request.method", text(method.to_string())),
        ("url.path", text(spot.loggable(uri.path()))),
        ("http.response.status_code", SpanValue::Number(status.into())),
        ("troupe.request", text(exchange.request.to_string())),
    ];
    attributes.extend(route.map(|route| ("http.route", text(route.to_owned()))));
    attributes.extend(outcome.tenant.map(|tenant| ("troupe.tenant", text(tenant.to_string()))));
    attributes.extend(outcome.code.clone().map(|code| ("error.type", text(code))));
    if !exchange.trace.sampled {
        attributes.push(("troupe.sampled", SpanValue::Text("failure".into())));
    }
    let name = route.map_or_else(|| method.to_string(), |route| format!("{method} {route}"));
    let failure = outcome.code.clone().filter(|_| status >= 500);
    Span {
        trace: exchange.trace.trace,
        id: exchange.trace.span,
        parent: exchange.parent,
        name: name.into(),
        kind: SpanKind::Server,
        began: exchange.began,
        ended: Moment::now(),
        failure: failure.map(Into::into),
        attributes,
    }
}
