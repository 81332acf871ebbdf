//! The one mapping from a failure to an HTTP status, and the problem document that shows it.
//!
//! Services answer [`Failure`]; no other place in the platform chooses a status for one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use troupe_actors::{Failure, FailureKind, FieldFault};

/// Where problem types live; the failure's code follows.
pub const PROBLEM_BASE: &str = "https://troupe.dev/problems/";

/// The media type of problem documents (RFC 9457).
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// The HTTP status of a kind of failure.
#[must_use]
pub const fn http_status(kind: FailureKind) -> u16 {
    match kind {
        FailureKind::Malformed => 400,
        FailureKind::Unauthenticated => 401,
        FailureKind::Forbidden => 403,
        FailureKind::NotFound => 404,
        FailureKind::Conflict => 409,
        FailureKind::Stale => 412,
        FailureKind::TooLarge => 413,
        FailureKind::UnsupportedMedia => 415,
        FailureKind::Invalid => 422,
        FailureKind::PreconditionRequired => 428,
        FailureKind::RateLimited => 429,
        FailureKind::Crashed | FailureKind::Internal => 500,
        FailureKind::Overloaded | FailureKind::Unavailable | FailureKind::Stopped => 503,
        FailureKind::Expired => 504,
    }
}

/// The short title of a status in a problem document.
#[must_use]
pub const fn title(status: u16) -> &'static str {
    match status {
        400 => "The request cannot be read",
        401 => "Authentication is needed",
        403 => "Not allowed",
        404 => "Not found",
        405 => "The method is not allowed here",
        408 => "The request took too long to arrive",
        409 => "In conflict with the current state",
        412 => "The thing has changed meanwhile",
        413 => "The request is too large",
        415 => "The media type is not supported",
        422 => "The request is not valid",
        428 => "The request must name the version it changes",
        429 => "Too many requests",
        431 => "The header fields are too large",
        503 => "Not available for a moment",
        504 => "The answer took too long",
        _ => "An error on our side",
    }
}

/// One faulty place of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemField {
    /// JSON pointer (RFC 6901) into the body, or the name of a parameter.
    pub pointer: String,
    /// What is wrong with it and what would be right.
    pub detail: String,
}

/// A problem document (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Stable name of the kind of problem; programs match this.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short title of the status.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// One sentence that says what to do.
    pub detail: String,
    /// The request, as `urn:uuid:REQUEST-ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The faulty places, if the request was at fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemField>,
}

impl Problem {
    /// A problem with a status of its own, for the few that are not a [`Failure`] (405, 408, 431).
    #[must_use]
    pub fn new(status: u16, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("{PROBLEM_BASE}{code}"),
            title: title(status).to_owned(),
            status,
            detail: detail.into(),
            instance: None,
            errors: Vec::new(),
        }
    }

    /// Names the request it happened to.
    #[must_use]
    pub fn instance(mut self, request: Uuid) -> Self {
        self.instance = Some(format!("urn:uuid:{request}"));
        self
    }

    /// The failure's code, without the base of its type.
    #[must_use]
    pub fn code(&self) -> &str {
        self.kind.strip_prefix(PROBLEM_BASE).unwrap_or(&self.kind)
    }
}

impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Self {
        let mut problem = Self::new(http_status(failure.kind()), failure.code(), failure.detail());
        problem.errors = failure
            .fields()
            .iter()
            .map(|field| ProblemField {
                pointer: field.pointer.clone(),
                detail: field.detail.clone(),
            })
            .collect();
        problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_becomes_a_problem_with_a_stable_type_and_its_fields() {
        let failure = Failure::invalid("blog.title.empty", "give the post a title")
            .field("/title", "must not be empty");
        let problem = Problem::from(&failure).instance(Uuid::nil());
        assert_eq!(
            serde_json::to_value(problem).unwrap(),
            serde_json::json!({
                "type": "https://troupe.dev/problems/blog.title.empty",
                "title": "The request is not valid",
                "status": 422,
                "detail": "give the post a title",
                "instance": "urn:uuid:00000000-0000-0000-0000-000000000000",
                "errors": [{"pointer": "/title", "detail": "must not be empty"}],
            })
        );
    }

    #[test]
    fn kinds_that_may_pass_later_are_not_blamed_on_the_caller_for_good() {
        for kind in [FailureKind::Overloaded, FailureKind::Unavailable, FailureKind::Stopped] {
            assert!(kind.is_transient());
            assert_eq!(http_status(kind), 503);
        }
        assert_eq!(http_status(FailureKind::Crashed), 500);
        assert_eq!(http_status(FailureKind::Expired), 504);
    }
}
