//! The one error that travels on a reply port, between actors and between nodes.
//!
//! A failure says what kind it is (which decides the status an edge answers with), a stable code
//! that programs may match, and a sentence for people that says what to do. It never carries its
//! cause's internals: those are logged where they happen.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What went wrong, in the terms a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The request cannot be read: broken JSON, a parameter of the wrong type.
    Malformed,
    /// The request contradicts its contract; the same request will fail again.
    Invalid,
    /// No valid credential came with the request.
    Unauthenticated,
    /// The principal may not do this.
    Forbidden,
    /// The thing is not there, or not visible to this principal.
    NotFound,
    /// The state of the thing does not allow this.
    Conflict,
    /// The version the caller based the change on is not the current one.
    Stale,
    /// The change needs a version (`If-Match`) and came without.
    PreconditionRequired,
    /// The payload is larger than allowed.
    TooLarge,
    /// The payload has a media type this operation does not take.
    UnsupportedMedia,
    /// The caller exceeded its rate.
    RateLimited,
    /// A mailbox on the way is full.
    Overloaded,
    /// Something this operation needs is away; trying later may help.
    Unavailable,
    /// The deadline passed before an answer was there.
    Expired,
    /// The actor is stopped or stopping.
    Stopped,
    /// The handler panicked on this message.
    Crashed,
    /// A defect on our side.
    Internal,
}

impl FailureKind {
    /// Whether the same request may succeed later without a change.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Overloaded
                | Self::Unavailable
                | Self::Expired
                | Self::Stopped
                | Self::Crashed
        )
    }
}

/// One field of a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldFault {
    /// JSON pointer (RFC 6901) into the request body, or the name of a parameter.
    pub pointer: String,
    /// What is wrong with it and what would be right.
    pub detail: String,
}

/// A failure as a value: small, serialisable, safe to show to the caller.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Failure(Box<Parts>);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Parts {
    kind: FailureKind,
    code: Cow<'static, str>,
    detail: String,
    fields: Vec<FieldFault>,
    retry_after: Option<Duration>,
}

impl Failure {
    /// A failure of `kind` with a stable `code` (`owner.thing.reason`) and a sentence for people.
    pub fn new(
        kind: FailureKind,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Parts {
            kind,
            code: code.into(),
            detail: detail.into(),
            fields: Vec::new(),
            retry_after: None,
        }))
    }

    /// [`FailureKind::Invalid`].
    pub fn invalid(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FailureKind::Invalid, code, detail)
    }

    /// [`FailureKind::Unauthenticated`].
    pub fn unauthenticated(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FailureKind::Unauthenticated, code, detail)
    }

    /// [`FailureKind::Forbidden`].
    pub fn forbidden(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FailureKind::Forbidden, code, detail)
    }

    /// [`FailureKind::NotFound`].
    pub fn not_found(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FailureKind::NotFound, code, detail)
    }

    /// [`FailureKind::Conflict`].
    pub fn conflict(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FailureKind::Conflict, code, detail)
    }

    /// [`FailureKind::Stale`].
    pub fn stale(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FailureKind::Stale, code, detail)
    }

    /// [`FailureKind::Unavailable`].
    pub fn unavailable(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FailureKind::Unavailable, code, detail)
    }

    /// [`FailureKind::Internal`].
    pub fn internal(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FailureKind::Internal, code, detail)
    }

    /// Adds a fault of one field.
    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.fields.push(FieldFault { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// Says after which time another try makes sense.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    /// The stable code, `owner.thing.reason`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The sentence for people.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The faulty fields, if the request was invalid.
    #[must_use]
    pub fn fields(&self) -> &[FieldFault] {
        &self.0.fields
    }

    /// The advised wait before another try.
    #[must_use]
    pub fn retry_after_duration(&self) -> Option<Duration> {
        self.0.retry_after
    }

    pub(crate) fn overloaded(path: &str) -> Self {
        Self::new(
            FailureKind::Overloaded,
            "actors.mailbox.full",
            format!("the mailbox of {path} is full; try again shortly"),
        )
        .retry_after(Duration::from_secs(1))
    }

    pub(crate) fn stopped(path: &str) -> Self {
        Self::new(
            FailureKind::Stopped,
            "actors.service.stopped",
            format!("{path} is stopped and takes no messages"),
        )
        .retry_after(Duration::from_secs(1))
    }

    pub(crate) fn crashed(path: &str) -> Self {
        Self::new(
            FailureKind::Crashed,
            "actors.handler.crashed",
            format!("{path} crashed on this message and was restarted; the crash is recorded"),
        )
    }

    pub(crate) fn expired() -> Self {
        Self::new(
            FailureKind::Expired,
            "actors.deadline.expired",
            "the deadline passed before the answer was there; try again with more time",
        )
    }

    pub(crate) fn unanswered() -> Self {
        Self::new(
            FailureKind::Internal,
            "actors.reply.dropped",
            "the message was dropped without an answer",
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code(), self.detail())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Failure")
            .field("kind", &self.kind())
            .field("code", &self.code())
            .field("detail", &self.detail())
            .field("fields", &self.fields())
            .finish()
    }
}

impl std::error::Error for Failure {}
