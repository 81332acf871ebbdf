//! Spans of what traced work does in the database. They name no statement and no value.

use std::borrow::Cow;

use troupe_actors::{OpenSpan, SpanKind, SpanValue, child_span};
use troupe_kernel::Failure;

use crate::connection::Dialect;

/// Work in the database; nothing is kept of it unless it is traced.
pub(crate) struct Traced(Option<OpenSpan>);

impl Traced {
    /// From the wait for a connection on.
    pub(crate) fn begin(name: &'static str, dialect: Dialect) -> Self {
        let system = match dialect {
            Dialect::Postgres => "postgresql",
            Dialect::Sqlite => "sqlite",
        };
        let span = child_span(name, SpanKind::Client);
        let system = SpanValue::Text(Cow::Borrowed(system));
        Self(span.map(|span| span.with("db.system.name", system)))
    }

    /// Passes its result on.
    pub(crate) fn end<R>(self, result: Result<R, Failure>) -> Result<R, Failure> {
        if let Some(span) = self.0 {
            span.end(result.as_ref().err().map(Failure::code));
        }
        result
    }
}
