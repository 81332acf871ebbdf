//! What both axum contenders check and add, as functions: they differ in where they call them.
//!
//! One map with a lock for each kind of state, which is what a careful author of a single service
//! writes; the checks themselves are those of the platform.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use http::header;
use metrics::{Counter, Histogram};
use parking_lot::Mutex;
use troupe_auth::keys::KeySet;
use troupe_auth::token::{Expectation, verify};
use troupe_edge::http::trace::TraceParent;
use troupe_kernel::clock::{Clock as _, SystemClock};
use troupe_kernel::{Problem, new_id};
use uuid::Uuid;

use super::{TOKEN_TTL, TOKENS_MAX, WINDOW};
use crate::fixture::{Fixture, ISSUER};

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The subject of the token.
    pub subject: Uuid,
    /// Its tenant.
    pub tenant: Uuid,
}

/// Ids of a request.
#[derive(Debug, Clone, Copy)]
pub struct Ids {
    /// Its own.
    pub request: Uuid,
    /// Its trace.
    pub trace: TraceParent,
}

/// How much a key has left.
#[derive(Debug, Clone, Copy)]
pub struct Left {
    remaining: u64,
    reset_secs: u64,
    name: &'static str,
}

/// The state that all requests share.
pub struct Checks {
    keys: KeySet,
    permissions: HashMap<Uuid, Vec<String>>,
    tokens: Mutex<HashMap<Box<str>, (Caller, Instant)>>,
    addresses: Limiter<IpAddr>,
    subjects: Limiter<Uuid>,
    /// Handles of the metrics, by route.
    pub meters: Meters,
}

/// The handles of one route's metrics.
pub struct Meters {
    seconds: Histogram,
    statuses: Mutex<Vec<(u16, Counter)>>,
}

impl Meters {
    fn new() -> Self {
        Self {
            seconds: metrics::histogram!("bench_seconds", "route" => "items"),
            statuses: Mutex::default(),
        }
    }

    /// Counts an answer.
    pub fn count(&self, status: StatusCode, took: Duration) {
        let mut statuses = self.statuses.lock();
        let status = status.as_u16();
        let known = statuses.iter().position(|(known, _)| *known == status);
        let index = known.unwrap_or_else(|| {
            let counter = metrics::counter!("bench_total", "status" => status.to_string());
            statuses.push((status, counter));
            statuses.len() - 1
        });
        statuses[index].1.increment(1);
        drop(statuses);
        self.seconds.record(took.as_secs_f64());
    }
}

/// A refusal as an answer.
pub fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let problem = Problem::new(status.as_u16(), code, detail);
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}

impl Checks {
    /// Reads the fixture.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(fixture: Fixture, quota: u32) -> Self {
        Self {
            keys: fixture.keys,
            permissions: fixture.permissions.into_iter().collect(),
            tokens: Mutex::default(),
            addresses: Limiter::new("address", quota),
            subjects: Limiter::new("principal", quota),
            meters: Meters::new(),
        }
    }

    /// Reads the fixture of a directory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(directory: &Path, quota: u32) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self::new(Fixture::read(directory)?, quota)))
    }

    /// Limits an address.
    ///
    /// # Errors
    /// The refusal.
    #[expect(clippy::result_large_err, reason = "a refusal is a response, as axum has it")]
    pub fn address(&self, address: IpAddr) -> Result<Left, Response> {
        self.addresses.check(address)
    }

    /// Limits a subject.
    ///
    /// # Errors
    /// The refusal.
    #[expect(clippy::result_large_err, reason = "a refusal is a response, as axum has it")]
    pub fn subject(&self, subject: Uuid) -> Result<Left, Response> {
        self.subjects.check(subject)
    }

    /// Says who asks.
    ///
    /// # Errors
    /// The refusal.
    #[expect(clippy::result_large_err, reason = "a refusal is a response, as axum has it")]
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Response> {
        let refuse = |detail| problem(StatusCode::UNAUTHORIZED, "bench.token.refused", detail);
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|field| field.strip_prefix("Bearer "))
            .ok_or_else(|| refuse("send Authorization: Bearer TOKEN"))?;
        let now = Instant::now();
        if let Some((caller, until)) = self.tokens.lock().get(token)
            && now < *until
        {
            return Ok(*caller);
        }
        let expected = Expectation { issuer: ISSUER, now: SystemClock.now(), skew: Duration::ZERO };
        let claims = verify(token, &self.keys, &expected)
            .map_err(|_| refuse("the token is not good (any more)"))?;
        let caller = Caller { subject: claims.sub, tenant: claims.tid.unwrap_or_default() };
        let left = u64::try_from(claims.exp - expected.now.as_secs()).unwrap_or_default();
        let until = now + TOKEN_TTL.min(Duration::from_secs(left));
        let mut tokens = self.tokens.lock();
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        tokens.insert(token.into(), (caller, until));
        Ok(caller)
    }

    /// Says whether the caller may.
    ///
    /// # Errors
    /// The refusal.
    #[expect(clippy::result_large_err, reason = "a refusal is a response, as axum has it")]
    pub fn authorize(&self, caller: Caller, permission: &str) -> Result<(), Response> {
        let held = self.permissions.get(&caller.subject);
        if held.is_some_and(|held| held.iter().any(|each| each == permission)) {
            return Ok(());
        }
        Err(problem(StatusCode::FORBIDDEN, "bench.forbidden", "you lack the permission"))
    }
}

/// The ids of a request.
pub fn ids(headers: &HeaderMap) -> Ids {
    let request = new_id(&SystemClock);
    let span = request.as_u64_pair().1;
    let given = headers.get("traceparent").and_then(|value| value.to_str().ok());
    let trace = match given.and_then(TraceParent::parse) {
        Some(parent) => TraceParent { span, ..parent },
        None => TraceParent { trace: request.as_u128(), span, sampled: true },
    };
    Ids { request, trace }
}

/// The fields that every answer has.
pub fn mark(headers: &mut HeaderMap, ids: Ids, left: Option<Left>, quota: u32) {
    const FIXED: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let mut put = |name: &'static str, text: String| {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    };
    put("x-request-id", ids.request.to_string());
    put("traceparent", ids.trace.to_string());
    if let Some(Left { remaining, reset_secs, name }) = left {
        put("ratelimit-policy", format!("\"{name}\";q={quota};w={}", WINDOW.as_secs()));
        put("ratelimit", format!("\"{name}\";r={remaining};t={reset_secs}"));
    }
}

/// The generic cell rate algorithm over a map with a lock.
struct Limiter<K> {
    name: &'static str,
    quota: u32,
    began: Instant,
    cost_nanos: u64,
    keys: Mutex<HashMap<K, u64>>,
}

impl<K: std::hash::Hash + Eq> Limiter<K> {
    fn new(name: &'static str, quota: u32) -> Self {
        let window = u64::try_from(WINDOW.as_nanos()).unwrap_or(u64::MAX);
        let cost_nanos = (window / u64::from(quota.max(1))).max(1);
        Self { name, quota, began: Instant::now(), cost_nanos, keys: Mutex::default() }
    }

    #[expect(clippy::result_large_err, reason = "a refusal is a response, as axum has it")]
    fn check(&self, key: K) -> Result<Left, Response> {
        let window = u64::try_from(WINDOW.as_nanos()).unwrap_or(u64::MAX);
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut keys = self.keys.lock();
        if keys.len() >= TOKENS_MAX {
            keys.retain(|_, arrival| *arrival > now);
        }
        let arrival = keys.entry(key).or_insert(now);
        let moved = (*arrival).max(now) + self.cost_nanos;
        if moved - now > window {
            let mut refused =
                problem(StatusCode::TOO_MANY_REQUESTS, "bench.limited", "too many requests");
            let wait = (moved - now - window).div_ceil(1_000_000_000).max(1);
            refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
            return Err(refused);
        }
        *arrival = moved;
        let ahead = moved - now;
        let remaining = ((window - ahead) / self.cost_nanos).min(u64::from(self.quota));
        Ok(Left { remaining, reset_secs: ahead.div_ceil(1_000_000_000), name: self.name })
    }
}
