//! Spans: pieces of traced work with their cause, for whoever exports them.
//!
//! Work is traced when its origin says so ([`Origin::sampled`](crate::Origin)). Each message of it
//! that a service handles one at a time is a span, whose cause is the span that sent the message; a
//! handler's own work adds more by [`child_span`]. Spans wait in one bounded place of the process and
//! never hold up who makes them: what does not fit is counted. Nothing is kept before
//! [`collect_spans`], and untraced work costs one look at its origin.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::current::current_origin;
use crate::ids::span_id;
use crate::scope::Origin;
use crate::time::Moment;

static SPANS: OnceLock<Spans> = OnceLock::new();

/// Whose work a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Work of this process for itself.
    Internal,
    /// A request from outside.
    Server,
    /// A request to a server.
    Client,
}

/// What is noted of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanValue {
    /// A text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

/// A piece of work that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Trace id (W3C trace context, 16 bytes).
    pub trace: u128,
    /// Its own id (W3C trace context, 8 bytes).
    pub id: u64,
    /// The span that caused it; zero for the first of a trace.
    pub parent: u64,
    /// What kind of work it was, of few values.
    pub name: Cow<'static, str>,
    /// Whose work it was.
    pub kind: SpanKind,
    /// When it began.
    pub began: Moment,
    /// When it ended.
    pub ended: Moment,
    /// The code of the failure that it ended with.
    pub failure: Option<Cow<'static, str>>,
    /// What else is known of it, by name.
    pub attributes: Vec<(&'static str, SpanValue)>,
}

/// Ended spans that wait to be taken.
pub struct Spans {
    waiting: Mutex<Vec<Span>>,
    waiting_max: usize,
    dropped: AtomicU64,
}

impl Spans {
    /// At most `count` spans, oldest first.
    #[must_use]
    pub fn take(&self, count: usize) -> Vec<Span> {
        let mut waiting = self.waiting.lock();
        let count = count.min(waiting.len());
        waiting.drain(..count).collect()
    }

    /// How many there was no room for so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn add(&self, span: Span) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < self.waiting_max {
            waiting.push(span);
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Keeps spans from here on, at most `waiting_max` at once. The first call of a process decides.
pub fn collect_spans(waiting_max: usize) -> &'static Spans {
    SPANS.get_or_init(|| Spans {
        waiting: Mutex::default(),
        waiting_max,
        dropped: AtomicU64::new(0),
    })
}

/// Hands a span over to whoever collects them; without a collector it is gone.
pub fn record_span(span: Span) {
    if let Some(spans) = SPANS.get() {
        spans.add(span);
    }
}

/// Work that goes on. It is recorded when it ends or is dropped, which counts as given up.
#[derive(Debug)]
pub struct OpenSpan {
    span: Option<Box<Span>>,
}

/// A span of what the current work of this thread does now; none unless that work is traced.
#[must_use]
pub fn child_span(name: &'static str, kind: SpanKind) -> Option<OpenSpan> {
    let (trace, parent) =
        current_origin(|origin| origin.sampled.then_some((origin.trace, origin.span)))??;
    Some(OpenSpan::begin(trace, parent, name.into(), kind))
}

impl OpenSpan {
    fn begin(trace: u128, parent: u64, name: Cow<'static, str>, kind: SpanKind) -> Self {
        let began = Moment::now();
        let id = span_id();
        let span = Span {
            trace,
            id,
            parent,
            name,
            kind,
            began,
            ended: began,
            failure: None,
            attributes: Vec::new(),
        };
        Self { span: Some(Box::new(span)) }
    }

    /// The span of a message: from here on its origin names it as the cause of what follows.
    #[cold]
    pub(crate) fn of_message(
        origin: &mut Arc<Origin>,
        (protocol, kind): (&str, &str),
        actor: &str,
    ) -> Self {
        let name = Cow::Owned(format!("{protocol} {kind}"));
        let open = Self::begin(origin.trace, origin.span, name, SpanKind::Internal);
        Arc::make_mut(origin).span = open.span.as_ref().map_or(0, |span| span.id);
        open.with("troupe.actor", SpanValue::Text(Cow::Owned(actor.to_owned())))
    }

    /// Notes something of it.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: SpanValue) -> Self {
        if let Some(span) = &mut self.span {
            span.attributes.push((name, value));
        }
        self
    }

    /// Ends it, with the code of a failure if there was one.
    pub fn end(mut self, failure: Option<&str>) {
        self.finish(failure.map(|code| Cow::Owned(code.to_owned())));
    }

    fn finish(&mut self, failure: Option<Cow<'static, str>>) {
        if let Some(mut span) = self.span.take() {
            span.ended = Moment::now();
            span.failure = failure;
            record_span(*span);
        }
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        self.finish(Some(Cow::Borrowed("given_up")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: u64) -> Span {
        let began = Moment::now();
        Span {
            trace: 1,
            id,
            parent: 0,
            name: "work".into(),
            kind: SpanKind::Internal,
            began,
            ended: began,
            failure: None,
            attributes: Vec::new(),
        }
    }

    #[test]
    fn what_does_not_fit_is_counted_and_what_waits_is_taken_in_order() {
        let spans = Spans { waiting: Mutex::default(), waiting_max: 2, dropped: AtomicU64::new(0) };
        (1..=5).for_each(|id| spans.add(span(id)));
        let ids = |taken: Vec<Span>| taken.into_iter().map(|span| span.id).collect::<Vec<_>>();
        assert_eq!(spans.dropped(), 3);
        assert_eq!(ids(spans.take(1)), [1]);
        assert_eq!(ids(spans.take(9)), [2]);
        assert!(spans.take(9).is_empty());
    }

    #[test]
    fn work_without_an_origin_has_no_span() {
        assert!(child_span("work", SpanKind::Client).is_none());
    }
}
