//! Cross-origin resource sharing as the Fetch standard asks for it.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use troupe_kernel::HttpResponse;

use crate::config::CorsConfig;

const REQUEST_FIELDS: &str = "authorization, consistency-token, content-type, if-match, if-none-match, \
                              idempotency-key, traceparent, x-api-key, x-request-id";
const RESPONSE_FIELDS: &str = "consistency-token, etag, link, location, ratelimit, ratelimit-policy, retry-after, \
                               traceparent, x-request-id, idempotency-replayed";

/// The rules, ready for use.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    config: CorsConfig,
}

impl Cors {
    pub(crate) fn new(config: CorsConfig) -> Self {
        Self { config }
    }

    /// The answer to a preflight, if the request is one: which methods a page may use here.
    pub(crate) fn preflight(
        &self,
        method: &Method,
        headers: &HeaderMap,
        allowed: &str,
    ) -> Option<HttpResponse> {
        let asks = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if *method != Method::OPTIONS || !asks || self.origin(headers).is_none() {
            return None;
        }
        let mut response = HttpResponse::new(StatusCode::NO_CONTENT)
            .header(header::ACCESS_CONTROL_ALLOW_METHODS, allowed)
            .header(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_FIELDS)
            .header(header::ACCESS_CONTROL_MAX_AGE, self.config.max_age.as_secs());
        self.mark(headers, &mut response.headers);
        Some(response)
    }

    /// Lets the page of an allowed origin read the answer.
    pub(crate) fn mark(&self, request: &HeaderMap, response: &mut HeaderMap) {
        if self.config.origins.is_empty() {
            return;
        }
        response.append(header::VARY, HeaderValue::from_static("origin"));
        let Some(origin) = self.origin(request) else { return };
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(RESPONSE_FIELDS),
        );
        if self.config.credentials {
            response
                .insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    /// What to answer as the allowed origin, if the caller's is one.
    fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let is_listed = |listed: &String| listed.as_bytes() == origin.as_bytes();
        if self.config.origins.iter().any(is_listed) {
            return Some(origin.clone());
        }
        let open = self.config.origins.iter().any(|listed| listed == "*");
        open.then(|| HeaderValue::from_static("*"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str], credentials: bool) -> Cors {
        let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
        Cors::new(CorsConfig { origins, credentials, ..CorsConfig::default() })
    }

    fn from(origin: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        headers.insert(header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PUT"));
        headers
    }

    #[test]
    fn an_allowed_origin_is_answered_and_another_is_not() {
        let cors = cors(&["https://a.example"], true);
        let response =
            cors.preflight(&Method::OPTIONS, &from("https://a.example"), "GET, PUT").unwrap();
        assert_eq!(response.headers["access-control-allow-origin"], "https://a.example");
        assert_eq!(response.headers["access-control-allow-methods"], "GET, PUT");
        assert_eq!(response.headers["access-control-allow-credentials"], "true");
        assert!(cors.preflight(&Method::OPTIONS, &from("https://b.example"), "GET").is_none());
        let mut headers = HeaderMap::new();
        cors.mark(&from("https://b.example"), &mut headers);
        assert_eq!(headers.len(), 1, "only Vary");
    }

    #[test]
    fn a_star_allows_all_and_nothing_is_sent_when_it_is_off() {
        let mut headers = HeaderMap::new();
        cors(&["*"], false).mark(&from("https://b.example"), &mut headers);
        assert_eq!(headers["access-control-allow-origin"], "*");
        let mut headers = HeaderMap::new();
        cors(&[], false).mark(&from("https://b.example"), &mut headers);
        assert!(headers.is_empty());
    }
}
