//! What happens to every request: id, trace, limit of the address, deadline, headers, metrics.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    RETRY_AFTER, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::rt::time::timeout;
use actix_web::{HttpResponse, error, web};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};
use uuid::Uuid;

use crate::limits::Limits;
use crate::{problem, trace};

const DEADLINE: Duration = Duration::from_secs(30);
const ADDRESS_QUOTA: u32 = 1_000_000_000;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const FIXED: [(HeaderName, &str); 5] = [
    (CACHE_CONTROL, "private, no-cache"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

pub struct Front {
    pub addresses: Limits<IpAddr>,
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
}

impl Front {
    pub fn new() -> Result<Self, Box<dyn Error>> {
        let requests = IntCounterVec::new(
            Opts::new("http_requests_total", "Answered requests."),
            &["route", "status"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new("http_request_duration_seconds", "Time to answer a request."),
            &["route"],
        )?;
        let registry = Registry::new();
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        Ok(Self { addresses: Limits::new(ADDRESS_QUOTA)?, registry, requests, durations })
    }

    fn count(&self, route: Option<String>, status: StatusCode, duration: Duration) {
        let route = route.as_deref().unwrap_or("none");
        self.requests.with_label_values(&[route, status.as_str()]).inc();
        self.durations.with_label_values(&[route]).observe(duration.as_secs_f64());
    }
}

pub async fn pass(
    front: web::Data<Front>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let started = Instant::now();
    let parent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
    let trace = trace::child_of(parent);
    let address = request.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip());

    let verdict = front.addresses.take(&address);
    let mut response = if let Some(seconds) = verdict.retry_secs {
        let mut refusal = problem(StatusCode::TOO_MANY_REQUESTS);
        refusal.headers_mut().insert(RETRY_AFTER, seconds.into());
        request.into_response(refusal).map_into_right_body()
    } else {
        timeout(DEADLINE, next.call(request))
            .await
            .map_err(|_| error::ErrorGatewayTimeout("the deadline passed"))??
            .map_into_left_body()
    };

    describe(response.headers_mut(), &trace)?;
    front.count(response.request().match_pattern(), response.status(), started.elapsed());
    Ok(response)
}

fn describe(headers: &mut HeaderMap, trace: &str) -> Result<(), actix_web::Error> {
    let value = |text| HeaderValue::from_str(text).map_err(error::ErrorInternalServerError);
    let mut id = Uuid::encode_buffer();
    headers.insert(REQUEST_ID, value(Uuid::now_v7().hyphenated().encode_lower(&mut id))?);
    headers.insert(TRACEPARENT, value(trace)?);
    for (name, text) in FIXED {
        headers.insert(name, HeaderValue::from_static(text));
    }
    Ok(())
}

pub async fn metrics(front: web::Data<Front>) -> Result<HttpResponse, actix_web::Error> {
    let text = TextEncoder::new()
        .encode_to_string(&front.registry.gather())
        .map_err(error::ErrorInternalServerError)?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text))
}
