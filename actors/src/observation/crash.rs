//! Crash records: where a handler panicked, on which message, and what its supervisor decided.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Once};
use std::task::Poll;

use serde::{Deserialize, Serialize};

/// Message headers kept before a crash.
const HEADERS: usize = 32;
/// A backtrace is cut to this many bytes.
const BACKTRACE_BYTES_MAX: usize = 16 * 1024;

/// What a supervisor decided after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrashDecision {
    /// Not decided yet.
    Pending,
    /// Restarted after a wait.
    Restart {
        /// The wait in milliseconds.
        after_ms: u64,
    },
    /// Left stopped, as its child specification says.
    LeftStopped,
    /// Too many restarts: the supervisor failed in turn.
    Escalated,
    /// The panic was in a task of the actor; the actor goes on.
    TaskOnly,
}

/// The header of a message that was handled before a crash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MessageHeader {
    /// Place in the order in which the incarnation handled messages.
    pub sequence: u64,
    /// The variant.
    pub kind: String,
    /// Id of the sending actor; zero for a sender outside the system.
    pub from: u32,
}

/// A handler's panic.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Crash {
    /// Number of the crash on this node, rising.
    pub number: u64,
    /// When, in nanoseconds of the process's clock.
    pub at_nanos: u64,
    /// The actor.
    pub actor: Arc<str>,
    /// Its id.
    pub actor_id: u32,
    /// The incarnation that died.
    pub incarnation: u32,
    /// What it panicked with.
    pub reason: String,
    /// File, line and column of the panic.
    pub location: Option<String>,
    /// The backtrace, cut to 16 KiB.
    pub backtrace: Option<String>,
    /// The variant of the message that killed it; none when it died outside a handler.
    pub killer_kind: Option<String>,
    /// The message that killed it as redacted JSON; none when the handler had passed it on.
    pub killer: Option<String>,
    /// The trace of that message.
    pub trace: Option<String>,
    /// The messages before it, newest first.
    pub before: Vec<MessageHeader>,
    /// What the supervisor decided.
    pub decision: CrashDecision,
}

/// What the panic hook saw.
#[derive(Debug, Default)]
pub(crate) struct PanicReport {
    pub(crate) reason: String,
    pub(crate) location: Option<String>,
    pub(crate) backtrace: Option<String>,
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<Option<PanicReport>> = const { RefCell::new(None) };
}

/// Polls a future to its end and catches a panic in any of its polls.
pub(crate) async fn guarded<F: Future>(future: F) -> Result<F::Output, PanicReport> {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| guard(|| future.as_mut().poll(context))).await
}

/// Makes one poll and catches a panic in it.
pub(crate) fn guard<T>(poll: impl FnOnce() -> Poll<T>) -> Poll<Result<T, PanicReport>> {
    let outer = GUARDED.replace(true);
    let polled = catch_unwind(AssertUnwindSafe(poll));
    GUARDED.set(outer);
    match polled {
        Ok(poll) => poll.map(Ok),
        Err(payload) => Poll::Ready(Err(report(payload.as_ref()))),
    }
}

fn report(payload: &(dyn Any + Send)) -> PanicReport {
    LAST_PANIC
        .take()
        .unwrap_or_else(|| PanicReport { reason: reason_of(payload), ..PanicReport::default() })
}

fn reason_of(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Installs the hook that notes location and backtrace of a guarded panic; others go to the hook
/// that was there before.
pub(crate) fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info);
                return;
            }
            let mut backtrace = Backtrace::force_capture().to_string();
            let mut end = backtrace.len().min(BACKTRACE_BYTES_MAX);
            while !backtrace.is_char_boundary(end) {
                end -= 1;
            }
            backtrace.truncate(end);
            LAST_PANIC.set(Some(PanicReport {
                reason: reason_of(info.payload()),
                location: info.location().map(ToString::to_string),
                backtrace: Some(backtrace),
            }));
        }));
    });
}

type Headers = [(u64, &'static str, u32); HEADERS];

/// The headers of the last messages of one worker. An idle one takes no memory.
pub(crate) struct LastHeaders {
    headers: Option<Box<Headers>>,
    next: usize,
}

impl LastHeaders {
    pub(crate) const fn new() -> Self {
        Self { headers: None, next: 0 }
    }

    #[inline]
    pub(crate) fn add(&mut self, sequence: u64, kind: &'static str, from: u32) {
        let place = self.next % HEADERS;
        self.next = place + 1;
        let headers = self.headers.get_or_insert_with(no_headers);
        headers[place] = (sequence, kind, from);
    }

    /// The headers, newest first.
    pub(crate) fn newest_first(&self) -> Vec<MessageHeader> {
        let Some(headers) = &self.headers else { return Vec::new() };
        let (newer, older) = headers.split_at(self.next);
        newer
            .iter()
            .rev()
            .chain(older.iter().rev())
            .filter(|(sequence, ..)| *sequence != 0)
            .map(|(sequence, kind, from)| MessageHeader {
                sequence: *sequence,
                kind: (*kind).to_owned(),
                from: *from,
            })
            .collect()
    }
}

#[cold]
fn no_headers() -> Box<Headers> {
    Box::new([(0, "", 0); HEADERS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_headers_are_kept_newest_first() {
        let mut last = LastHeaders::new();
        for sequence in 1..=40 {
            last.add(sequence, "Kind", 0);
        }
        let sequences: Vec<_> = last.newest_first().iter().map(|header| header.sequence).collect();
        assert_eq!(sequences, (9..=40).rev().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_guarded_panic_names_its_place() {
        install_panic_hook();
        let report = guarded(async { panic!("boom {}", 7) }).await.expect_err("it panicked");
        assert_eq!(report.reason, "boom 7");
        assert!(report.location.is_some_and(|place| place.contains("crash.rs")));
    }
}
