//! What the console understands.

use serde::{Deserialize, Serialize};

use crate::views::{
    ActorPage, ActorsView, CrashSummary, CrashView, DeadLetterView, KindView, NodeView,
    ProtocolView, RecordView, SortBy, TapRecords, TapView, TreeView,
};

/// The node as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetNode;

/// The supervision tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetTree {
    /// Actors at most, 1 to 500.
    pub nodes: u32,
}

/// The actors that lead a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetTop {
    /// How many, 1 to 200.
    pub k: u32,
    /// What they lead in.
    pub sort: SortBy,
}

/// One actor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetActor {
    /// Its path.
    pub path: String,
}

/// The protocols with their counters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetProtocols;

/// The kinds of messages with their timings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetKinds;

/// The newest crashes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListCrashes {
    /// How many, 1 to 100.
    pub limit: u32,
}

/// One crash in full.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetCrash {
    /// Its number.
    pub number: u64,
    /// Whether to show the message that caused it.
    pub payload: bool,
}

/// The newest dead letters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListDeadLetters {
    /// How many, 1 to 100.
    pub limit: u32,
    /// Whether to show the messages.
    pub payload: bool,
}

/// The newest records of handled messages.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListRecords {
    /// How many, 1 to 200.
    pub limit: u32,
    /// Only those of this trace.
    pub trace: Option<String>,
    /// Only those that this actor handled.
    pub actor: Option<String>,
}

/// Opens a tap. It needs a path, a protocol or a kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartTap {
    /// Actors whose path begins with this.
    pub path: Option<String>,
    /// Messages of this protocol.
    pub protocol: Option<String>,
    /// Messages of this kind.
    pub kind: Option<String>,
    /// It ends after this many records, 1 to 1000.
    pub records: u32,
    /// It ends after this many seconds, 1 to 600.
    pub seconds: u32,
    /// Whether to show the redacted messages.
    pub payload: bool,
}

/// The open taps of everybody.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListTaps;

/// The records of one's own tap. Reading keeps it open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadTap {
    /// Which tap.
    pub id: u64,
    /// The last record that was seen; it and those before are forgotten.
    pub after: u64,
}

/// Closes one's own tap.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StopTap {
    /// Which tap.
    pub id: u64,
}

/// Close the taps that nobody reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SweepTaps;

troupe_actors::protocol! {
    /// What the console understands. Contents of messages pass through it redacted by their own
    /// protocols; they are masked here as well, so that looking at the console shows none.
    pub enum InspectMessage("console", 1) redact ["payload", "killer"] {
        /// Answers the node as a whole.
        GetNode => NodeView,
        /// Answers the supervision tree.
        GetTree => TreeView,
        /// Answers the actors that lead a list.
        GetTop => ActorsView,
        /// Answers one actor.
        GetActor => ActorPage,
        /// Answers the protocols.
        GetProtocols => Vec<ProtocolView>,
        /// Answers the kinds of messages.
        GetKinds => Vec<KindView>,
        /// Answers the newest crashes.
        ListCrashes => Vec<CrashSummary>,
        /// Answers one crash in full.
        GetCrash => CrashView,
        /// Answers the newest dead letters.
        ListDeadLetters => Vec<DeadLetterView>,
        /// Answers the newest records of handled messages.
        ListRecords => Vec<RecordView>,
        /// Opens a tap.
        StartTap => TapView,
        /// Answers the open taps.
        ListTaps => Vec<TapView>,
        /// Answers the records of a tap.
        ReadTap => TapRecords,
        /// Closes a tap.
        StopTap => (),
        /// Closes the taps that nobody reads.
        SweepTaps,
    }
}
