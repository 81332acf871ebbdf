//! The log line and the metrics of each request.
//!
//! Metric handles are kept: looking one up by its labels for each request costs more than counting.

use http::{Method, Uri};
use metrics::{Counter, Gauge, Histogram};
use parking_lot::RwLock;
use troupe_actors::Moment;

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
}

/// While it lives, a request is being answered.
pub(crate) struct InFlight<'a>(&'a Observer);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.decrement(1.0);
    }
}

impl Observer {
    pub(crate) fn new(table: &Table) -> Self {
        let meters = |entry: &crate::table::Entry| {
            Meters::new(entry.route.method().as_str(), entry.route.path())
        };
        Self {
            routes: table.iter().map(|(_, entry)| meters(entry)).collect(),
            own: Meters::new("GET", "operations"),
            nowhere: Meters::new("ANY", "unmatched"),
            in_flight: metrics::gauge!("troupe_http_in_flight"),
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
