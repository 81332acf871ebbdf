//! A response as data.

use std::fmt::{self, Display, Write as _};

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use crate::error::{Failure, PROBLEM_MEDIA_TYPE, Problem};

/// Room for the fields of an ordinary answer, those of the edge among them, without growing.
const FIELDS_ROOM: usize = 16;
/// Room that a JSON document begins with.
const BODY_ROOM: usize = 1024;
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An HTTP response whose body is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl HttpResponse {
    /// A response without body.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::with_capacity(FIELDS_ROOM), body: Bytes::new() }
    }

    /// A JSON document with any status.
    #[must_use]
    pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Self {
        let mut body = Vec::with_capacity(BODY_ROOM);
        match serde_json::to_writer(&mut body, value) {
            Ok(()) => Self::new(status).with_media(JSON, body.into()),
            Err(error) => Self::from(&unserialisable(&error)),
        }
    }

    /// 200 with a JSON document.
    #[must_use]
    pub fn ok<T: Serialize>(value: &T) -> Self {
        Self::json(StatusCode::OK, value)
    }

    /// 201 with `Location` and the new thing as JSON.
    #[must_use]
    pub fn created<T: Serialize>(location: impl Display, value: &T) -> Self {
        Self::json(StatusCode::CREATED, value).header(header::LOCATION, location)
    }

    /// 202: it will be done later.
    #[must_use]
    pub fn accepted() -> Self {
        Self::new(StatusCode::ACCEPTED)
    }

    /// 204.
    #[must_use]
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT)
    }

    /// 200 with plain text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::bytes("text/plain; charset=utf-8", text.into().into())
    }

    /// 200 with an HTML page.
    #[must_use]
    pub fn html(page: impl Into<String>) -> Self {
        Self::bytes("text/html; charset=utf-8", page.into().into())
    }

    /// 200 with any content.
    #[must_use]
    pub fn bytes(content_type: &str, body: Bytes) -> Self {
        Self::new(StatusCode::OK).with_body(content_type, body)
    }

    /// A redirect: 301, 302, 303, 307 or 308.
    #[must_use]
    pub fn redirect(status: StatusCode, location: impl Display) -> Self {
        Self::new(status).header(header::LOCATION, location)
    }

    /// A problem document.
    #[must_use]
    pub fn problem(problem: &Problem) -> Self {
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(problem).unwrap_or_default();
        Self::new(status)
            .with_body(PROBLEM_MEDIA_TYPE, body.into())
            .header(header::CACHE_CONTROL, "no-store")
    }

    /// Sets the body and its media type.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: Bytes) -> Self {
        self.body = body;
        self.header(header::CONTENT_TYPE, content_type)
    }

    fn with_media(mut self, content_type: HeaderValue, body: Bytes) -> Self {
        self.body = body;
        self.headers.insert(header::CONTENT_TYPE, content_type);
        self
    }

    /// Sets the strong entity tag to a version or digest.
    #[must_use]
    pub fn etag(self, version: impl Display) -> Self {
        self.header(header::ETAG, format_args!("\"{version}\""))
    }

    /// Sets `Cache-Control`, for example `public, max-age=60`.
    #[must_use]
    pub fn cache(self, directives: &str) -> Self {
        self.header(header::CACHE_CONTROL, directives)
    }

    /// Sets a header field. A value that no header field can hold is left out: characters that
    /// came from a caller must not become a field of their own.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Display) -> Self {
        let mut text = FieldText::default();
        if write!(text, "{value}").is_ok()
            && let Ok(value) = HeaderValue::from_bytes(text.as_bytes())
        {
            self.headers.insert(name, value);
        }
        self
    }
}

pub(super) fn unserialisable(error: &dyn Display) -> Failure {
    Failure::internal(
        "kernel.response.unserialisable",
        format!("the answer could not be written as JSON: {error}"),
    )
}

/// The text of a field as it is written: in place while it is short, as nearly all are.
#[derive(Default)]
struct FieldText {
    short: [u8; 32],
    length: usize,
    long: Vec<u8>,
}

impl FieldText {
    fn as_bytes(&self) -> &[u8] {
        if self.long.is_empty() { &self.short[..self.length] } else { &self.long }
    }
}

impl fmt::Write for FieldText {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = self.length + part.len();
        match self.short.get_mut(self.length..end) {
            Some(room) if self.long.is_empty() => {
                room.copy_from_slice(part.as_bytes());
                self.length = end;
            }
            _ => {
                if self.long.is_empty() {
                    self.long.extend_from_slice(&self.short[..self.length]);
                }
                self.long.extend_from_slice(part.as_bytes());
            }
        }
        Ok(())
    }
}

impl From<&Failure> for HttpResponse {
    fn from(failure: &Failure) -> Self {
        let response = Self::problem(&Problem::from(failure));
        match failure.retry_after_duration() {
            // Rounded up: a caller that comes back on time must not be early.
            Some(wait) => {
                response.header(header::RETRY_AFTER, wait.as_millis().div_ceil(1000).max(1))
            }
            None => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::FailureKind;

    #[test]
    fn a_created_thing_has_its_location_and_tag() {
        let response = HttpResponse::created("/v1/posts/1", &1).etag(3);
        assert_eq!(response.status, StatusCode::CREATED);
        assert_eq!(response.headers[header::LOCATION], "/v1/posts/1");
        assert_eq!(response.headers[header::ETAG], "\"3\"");
        assert_eq!(response.body, "1");
    }

    #[test]
    fn a_field_may_be_short_or_long_and_come_in_parts() {
        for (first, second) in
            [("", ""), ("a", "b"), ("a".repeat(31).as_str(), "bc"), ("", &"z".repeat(500))]
        {
            let response = HttpResponse::no_content()
                .header(header::LOCATION, format_args!("{first}{second}"));
            assert_eq!(response.headers[header::LOCATION], format!("{first}{second}"));
        }
    }

    #[test]
    fn a_value_with_a_line_break_becomes_no_header_field() {
        let response = HttpResponse::no_content().header(header::LOCATION, "/a\r\nSet-Cookie: b");
        assert!(response.headers.is_empty());
    }

    #[test]
    fn a_failure_says_when_to_come_back_rounded_up() {
        let failure = Failure::new(FailureKind::RateLimited, "edge.rate.exceeded", "slow down")
            .retry_after(Duration::from_millis(1200));
        let response = HttpResponse::from(&failure);
        assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers[header::RETRY_AFTER], "2");
        assert_eq!(response.headers[header::CONTENT_TYPE], PROBLEM_MEDIA_TYPE);
    }
}
