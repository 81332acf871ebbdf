//! Messages: records of handled ones, those that killed an actor, those that nobody handled.

use serde::{Deserialize, Serialize};
use troupe_actors::{Crash, CrashDecision, DeadLetter, MessageHeader, MessageRecord};
use troupe_kernel::clock::Timestamp;
use utoipa::ToSchema;

use super::{Times, word};

/// One handled message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordView {
    /// Number of the record on this node, rising.
    pub number: u64,
    /// When it entered the mailbox; none when it was not timed.
    pub sent: Option<Timestamp>,
    /// When its handling began.
    pub began: Timestamp,
    /// Time in the mailbox in nanoseconds; none when it was not timed.
    pub wait_nanos: Option<u64>,
    /// Time in the handler in nanoseconds.
    pub handling_nanos: u64,
    /// The actor that handled it.
    pub to: String,
    /// Its incarnation.
    pub incarnation: u32,
    /// Id of the sending actor; zero for a sender outside the system.
    pub from: u64,
    /// The protocol.
    pub protocol: String,
    /// The kind.
    pub kind: String,
    /// The trace that it belongs to.
    pub trace: Option<String>,
    /// Whether the sender waited for an answer.
    pub asked: bool,
    /// `done`, `failed`, `crashed` or `expired`.
    pub outcome: String,
    /// The message as redacted JSON; only in a tap that shows messages.
    pub payload: Option<String>,
    /// Whether the payload was cut.
    pub truncated: bool,
}

impl RecordView {
    pub(crate) fn new(record: MessageRecord, times: &Times) -> Self {
        let timed = record.sent_nanos != 0;
        Self {
            number: record.number,
            sent: timed.then(|| times.at(record.sent_nanos)),
            began: times.at(record.began_nanos),
            wait_nanos: timed.then(|| record.began_nanos.saturating_sub(record.sent_nanos)),
            handling_nanos: record.ended_nanos.saturating_sub(record.began_nanos),
            to: record.to.to_string(),
            incarnation: record.incarnation,
            from: record.from.into(),
            protocol: record.protocol.into_owned(),
            kind: record.kind.into_owned(),
            trace: record.trace.map(|trace| format!("{trace:032x}")),
            asked: record.asked,
            outcome: word(&record.outcome),
            payload: record.payload,
            truncated: record.truncated,
        }
    }
}

/// One crash in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CrashSummary {
    /// Its number on this node, rising.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// The actor.
    pub actor: String,
    /// The incarnation that died.
    pub incarnation: u32,
    /// What it panicked with.
    pub reason: String,
    /// File, line and column of the panic.
    pub location: Option<String>,
    /// The kind of message that killed it; none when it died outside a handler.
    pub killer_kind: Option<String>,
    /// The trace of that message.
    pub trace: Option<String>,
    /// What its supervisor decided: `pending`, `restart after N ms`, `left_stopped`, `escalated`,
    /// `task_only`.
    pub decision: String,
}

impl CrashSummary {
    pub(crate) fn new(crash: &Crash, times: &Times) -> Self {
        Self {
            number: crash.number,
            at: times.at(crash.at_nanos),
            actor: crash.actor.to_string(),
            incarnation: crash.incarnation,
            reason: crash.reason.clone(),
            location: crash.location.clone(),
            killer_kind: crash.killer_kind.clone(),
            trace: crash.trace.clone(),
            decision: match &crash.decision {
                CrashDecision::Restart { after_ms } => format!("restart after {after_ms} ms"),
                other => word(other),
            },
        }
    }
}

/// The header of a message that was handled before a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeaderView {
    /// Place in the order of the mailbox.
    pub sequence: u64,
    /// The kind.
    pub kind: String,
    /// Id of the sending actor; zero for a sender outside the system.
    pub from: u64,
}

impl From<MessageHeader> for HeaderView {
    fn from(header: MessageHeader) -> Self {
        Self { sequence: header.sequence, kind: header.kind, from: header.from.into() }
    }
}

/// One crash in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CrashView {
    /// What the list shows.
    pub crash: CrashSummary,
    /// The backtrace.
    pub backtrace: Option<String>,
    /// The message that killed it as redacted JSON; only when it was asked for.
    pub killer: Option<String>,
    /// The messages before it, newest first.
    pub before: Vec<HeaderView>,
}

impl CrashView {
    pub(crate) fn new(crash: Crash, payload: bool, times: &Times) -> Self {
        Self {
            crash: CrashSummary::new(&crash, times),
            backtrace: crash.backtrace,
            killer: crash.killer.filter(|_| payload),
            before: crash.before.into_iter().map(HeaderView::from).collect(),
        }
    }
}

/// One message that nobody handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterView {
    /// Its number on this node, rising.
    pub number: u64,
    /// When it was given up.
    pub at: Timestamp,
    /// The actor that it was for.
    pub to: String,
    /// The protocol.
    pub protocol: String,
    /// The kind.
    pub kind: String,
    /// `stopped` or `expired`.
    pub reason: String,
    /// Whether somebody waited for an answer, and got a failure.
    pub asked: bool,
    /// The trace that it belongs to.
    pub trace: Option<String>,
    /// The message as redacted JSON; only when it was asked for.
    pub payload: Option<String>,
}

impl DeadLetterView {
    pub(crate) fn new(letter: DeadLetter, payload: bool, times: &Times) -> Self {
        Self {
            number: letter.number,
            at: times.at(letter.at_nanos),
            to: letter.to.to_string(),
            protocol: letter.protocol,
            kind: letter.kind,
            reason: word(&letter.reason),
            asked: letter.asked,
            trace: letter.trace,
            payload: Some(letter.payload).filter(|_| payload),
        }
    }
}

/// One open tap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TapView {
    /// Its id.
    pub id: u64,
    /// Actors whose path begins with this.
    pub path: Option<String>,
    /// Messages of this protocol.
    pub protocol: Option<String>,
    /// Messages of this kind.
    pub kind: Option<String>,
    /// Whether it shows messages.
    pub payload: bool,
    /// When it began.
    pub began: Timestamp,
    /// When it ends at the latest.
    pub ends: Timestamp,
    /// Records after which it ends.
    pub records_max: u32,
    /// A tap that is not read for this long ends, in milliseconds.
    pub lease_ms: u64,
}

/// What a tap has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TapRecords {
    /// Its records after the one that was named, oldest first.
    pub records: Vec<RecordView>,
    /// Records that were left out so far, because too many came in a second.
    pub suppressed: u64,
    /// Whether more may come.
    pub open: bool,
}
