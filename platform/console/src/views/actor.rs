//! Actors: one, the tree, the leaders of a list, and the kinds of their messages.

use serde::{Deserialize, Serialize};
use troupe_actors::{ActorView, KindSummary, Latency, ProtocolSummary, SortKey, TreeNode};
use troupe_kernel::clock::Timestamp;
use utoipa::ToSchema;

use super::message::{CrashSummary, RecordView};
use super::word;

/// The node as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    /// Its name, the root of every path.
    pub name: String,
    /// When this was read.
    pub at: Timestamp,
    /// Actors that live.
    pub actors: u64,
    /// Handlers that ever panicked.
    pub crashes: u64,
    /// Messages that ever became dead letters.
    pub dead_letters: u64,
    /// Taps that are open.
    pub taps: u64,
    /// Whether every message goes through its encoding.
    pub wire_always: bool,
}

/// One actor with its counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActorSummary {
    /// Its id on this node.
    pub id: u64,
    /// Its place in the tree.
    pub path: String,
    /// `supervisor`, `service` or `worker`.
    pub kind: String,
    /// The protocol that it understands; empty for a supervisor.
    pub protocol: String,
    /// `new`, `starting`, `running`, `restarting`, `stopping` or `stopped`.
    pub state: String,
    /// How often it was started.
    pub incarnation: u32,
    /// Age of this incarnation in milliseconds.
    pub age_ms: u64,
    /// How long its handler has been waiting, in milliseconds; zero when it is not.
    pub busy_ms: u64,
    /// Messages accepted.
    pub received: u64,
    /// Messages handled.
    pub handled: u64,
    /// Messages whose handler answered a failure.
    pub failed: u64,
    /// Messages dropped because their deadline had passed.
    pub expired: u64,
    /// Messages refused because the mailbox was full.
    pub shed: u64,
    /// Messages whose handler panicked.
    pub crashes: u64,
    /// Messages that became dead letters.
    pub dead: u64,
    /// Messages that wait.
    pub depth: u64,
    /// Messages that may wait.
    pub capacity: u64,
    /// Age of the oldest waiting message that is timed, in milliseconds.
    pub oldest_ms: u64,
}

impl From<ActorView> for ActorSummary {
    fn from(view: ActorView) -> Self {
        let counts = view.counts;
        Self {
            id: view.id.into(),
            kind: word(&view.kind),
            state: word(&view.state),
            path: view.path,
            protocol: view.protocol,
            incarnation: view.incarnation,
            age_ms: view.age_ms,
            busy_ms: view.busy_ms,
            received: counts.received,
            handled: counts.handled,
            failed: counts.failed,
            expired: counts.expired,
            shed: counts.shed,
            crashes: counts.crashes,
            dead: counts.dead,
            depth: counts.depth,
            capacity: counts.capacity,
            oldest_ms: counts.oldest_ms,
        }
    }
}

/// One actor with those that it supervises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TreeBranch {
    /// The last part of its path.
    pub name: String,
    /// The actor.
    pub actor: ActorSummary,
    /// Those that it supervises; a large group is cut.
    #[schema(no_recursion)]
    pub children: Vec<TreeBranch>,
    /// How many more children there are.
    pub hidden_children: u64,
}

impl From<TreeNode> for TreeBranch {
    fn from(node: TreeNode) -> Self {
        Self {
            name: node.name,
            actor: node.actor.into(),
            children: node.children.into_iter().map(Self::from).collect(),
            hidden_children: node.hidden_children as u64,
        }
    }
}

impl TreeBranch {
    /// Actors on this branch, itself among them.
    pub(crate) fn actors(&self) -> u64 {
        1 + self.children.iter().map(Self::actors).sum::<u64>()
    }
}

/// The supervision tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TreeView {
    /// When it was read.
    pub at: Timestamp,
    /// Actors that live.
    pub total: u64,
    /// Actors that are shown.
    pub shown: u64,
    /// The top of the tree.
    pub roots: Vec<TreeBranch>,
}

/// What a list of actors is sorted by, largest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SortBy {
    /// Messages that wait.
    #[default]
    Depth,
    /// Age of the oldest waiting message.
    Oldest,
    /// Messages received.
    Received,
    /// Messages refused.
    Shed,
    /// Crashes.
    Crashes,
    /// Time that the running handler has been waiting.
    Busy,
}

impl From<SortBy> for SortKey {
    fn from(sort: SortBy) -> Self {
        match sort {
            SortBy::Depth => Self::Depth,
            SortBy::Oldest => Self::Oldest,
            SortBy::Received => Self::Received,
            SortBy::Shed => Self::Shed,
            SortBy::Crashes => Self::Crashes,
            SortBy::Busy => Self::Busy,
        }
    }
}

/// The actors that lead a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActorsView {
    /// When it was read.
    pub at: Timestamp,
    /// What they are sorted by.
    pub sort: SortBy,
    /// Actors that live.
    pub total: u64,
    /// The first of them.
    pub actors: Vec<ActorSummary>,
}

/// One actor with what happened to it lately.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ActorPage {
    /// The actor.
    pub actor: ActorSummary,
    /// Messages that it handled lately, as far as they were recorded; newest first.
    pub records: Vec<RecordView>,
    /// Its last crashes, newest first.
    pub crashes: Vec<CrashSummary>,
}

/// A distribution of durations; quantiles are exact to a factor of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LatencyView {
    /// Messages that were timed.
    pub count: u64,
    /// Half took at most this long, in nanoseconds.
    pub p50_nanos: u64,
    /// All but one in a hundred took at most this long, in nanoseconds.
    pub p99_nanos: u64,
    /// The longest, in nanoseconds.
    pub max_nanos: u64,
}

impl From<Latency> for LatencyView {
    fn from(latency: Latency) -> Self {
        let Latency { count, p50_nanos, p99_nanos, max_nanos } = latency;
        Self { count, p50_nanos, p99_nanos, max_nanos }
    }
}

/// All services of one protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProtocolView {
    /// The protocol.
    pub protocol: String,
    /// Services that live; the workers of a pool count as one.
    pub services: u64,
    /// Messages accepted.
    pub received: u64,
    /// Messages handled.
    pub handled: u64,
    /// Messages whose handler answered a failure.
    pub failed: u64,
    /// Messages dropped because their deadline had passed.
    pub expired: u64,
    /// Messages refused because a mailbox was full.
    pub shed: u64,
    /// Messages whose handler panicked.
    pub crashes: u64,
    /// Messages that became dead letters.
    pub dead: u64,
    /// Messages that wait at all of them.
    pub depth: u64,
    /// Messages that wait at the one where most do.
    pub depth_max: u64,
    /// Age of the oldest waiting message that is timed, in milliseconds.
    pub oldest_ms: u64,
}

impl From<ProtocolSummary> for ProtocolView {
    fn from(summary: ProtocolSummary) -> Self {
        let ProtocolSummary { protocol, services, counts, depth_max } = summary;
        Self {
            protocol,
            services,
            received: counts.received,
            handled: counts.handled,
            failed: counts.failed,
            expired: counts.expired,
            shed: counts.shed,
            crashes: counts.crashes,
            dead: counts.dead,
            depth: counts.depth,
            depth_max,
            oldest_ms: counts.oldest_ms,
        }
    }
}

/// One kind of message with its timings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KindView {
    /// The protocol.
    pub protocol: String,
    /// The kind.
    pub kind: String,
    /// Time in the mailbox.
    pub wait: LatencyView,
    /// Time in the handler.
    pub handling: LatencyView,
}

impl From<KindSummary> for KindView {
    fn from(summary: KindSummary) -> Self {
        Self {
            protocol: summary.protocol,
            kind: summary.kind,
            wait: summary.wait.into(),
            handling: summary.handling.into(),
        }
    }
}
