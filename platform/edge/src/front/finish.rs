//! What every answer gets on its way out: conditional reads, ids, security and CORS fields.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use troupe_kernel::HttpResponse;
use uuid::fmt::Hyphenated;

use super::{Answered, Exchange, Front};
use crate::http::conditional;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Fields that every answer has unless its route says otherwise (OWASP secure headers). An API
/// has no page: nothing may be loaded by or framed from what it answers.
const SECURITY: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// The fields of a request that its answer depends on; the others have gone with the request.
pub(super) fn asked(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in [header::ORIGIN, header::IF_NONE_MATCH] {
        for value in headers.get_all(&name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

pub(super) fn finish(
    front: &Front,
    method: &Method,
    asked: &HeaderMap,
    exchange: &Exchange,
    answered: &mut Answered,
) {
    let response = &mut answered.response;
    conditional::apply(method, asked, response);
    let headers = &mut response.headers;
    for (name, value) in SECURITY {
        headers.entry(name).or_insert_with(|| HeaderValue::from_static(value));
    }
    if let Some(hsts) = &front.hsts {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
    // What a route says nothing about may be kept by its reader only, and asked about again.
    let personal = answered.outcome.subject.is_some();
    headers.entry(header::CACHE_CONTROL).or_insert_with(|| {
        HeaderValue::from_static(if personal { "private, no-cache" } else { "no-cache" })
    });
    front.cors.mark(asked, headers);
    let mut id = [0; Hyphenated::LENGTH];
    exchange.request.hyphenated().encode_lower(&mut id);
    put(headers, REQUEST_ID, &id);
    put(headers, TRACEPARENT, &exchange.trace.to_bytes());
    if front.is_draining() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, text: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(text) {
        headers.insert(name, value);
    }
}

/// The response for the socket. `HEAD` gets the fields that `GET` would get, and no body.
pub(super) fn into_response(method: &Method, response: HttpResponse) -> Response<Full<Bytes>> {
    let HttpResponse { status, mut headers, body } = response;
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || status.is_informational();
    if !bodiless {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let body = if bodiless || *method == Method::HEAD { Bytes::new() } else { body };
    let mut sent = Response::new(Full::new(body));
    *sent.status_mut() = status;
    *sent.headers_mut() = headers;
    sent
}
