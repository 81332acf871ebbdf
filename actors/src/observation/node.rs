//! One actor as the inspector sees it: identity, state and counters, kept across restarts.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::time::Moment;

/// What kind of actor it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// Starts, restarts and stops others.
    Supervisor,
    /// Handles messages from a mailbox.
    Service,
    /// One of several workers that share a mailbox.
    Worker,
}

/// Where an actor is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum ActorState {
    /// Not started yet.
    New = 0,
    /// Its start function runs.
    Starting = 1,
    /// It handles messages.
    Running = 2,
    /// It crashed and waits for its restart.
    Restarting = 3,
    /// It finishes what waits.
    Stopping = 4,
    /// It has ended.
    Stopped = 5,
}

impl ActorState {
    fn from_number(number: u8) -> Self {
        match number {
            0 => Self::New,
            1 => Self::Starting,
            2 => Self::Running,
            3 => Self::Restarting,
            4 => Self::Stopping,
            _ => Self::Stopped,
        }
    }
}

/// The counters of an actor. Writers are few: relaxed order is enough.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    handled: AtomicU64,
    failed: AtomicU64,
    expired: AtomicU64,
    shed: AtomicU64,
    crashes: AtomicU64,
    dead: AtomicU64,
}

macro_rules! counters {
    ($($method:ident => $field:ident),* $(,)?) => {
        $(pub(crate) fn $method(&self) {
            self.$field.fetch_add(1, Ordering::Relaxed);
        })*
    };
}

impl Counters {
    counters! {
        count_failed => failed, count_expired => expired, count_shed => shed,
        count_crash => crashes, count_dead => dead,
    }

    #[inline]
    pub(crate) fn add_handled(&self, count: u64) {
        self.handled.fetch_add(count, Ordering::Relaxed);
    }
}

/// A reading of the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Messages accepted into the mailbox.
    pub received: u64,
    /// Messages handled, with success or failure.
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
    /// Messages that wait now.
    pub depth: u64,
    /// The most messages that may wait.
    pub capacity: u64,
    /// Age of the oldest waiting message that is timed, in milliseconds.
    pub oldest_ms: u64,
}

impl Counts {
    /// Adds another reading; of the two ages of the oldest message, the greater stays.
    pub(crate) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.handled += other.handled;
        self.failed += other.failed;
        self.expired += other.expired;
        self.shed += other.shed;
        self.crashes += other.crashes;
        self.dead += other.dead;
        self.depth += other.depth;
        self.capacity += other.capacity;
        self.oldest_ms = self.oldest_ms.max(other.oldest_ms);
    }
}

/// The readable side of a lane, whatever its message type.
pub(crate) trait LaneView: Send + Sync {
    fn depth(&self) -> usize;
    fn capacity(&self) -> usize;
    fn received(&self) -> u64;
    fn oldest_nanos(&self) -> Option<u64>;
    fn set_tapped(&self, tapped: bool);
}

/// One actor in the tree.
pub(crate) struct ActorNode {
    pub(crate) id: u32,
    name: String,
    path: OnceLock<Arc<str>>,
    pub(crate) kind: ActorKind,
    pub(crate) protocol: &'static str,
    pub(crate) counters: Counters,
    parent: AtomicU32,
    state: AtomicU8,
    incarnation: AtomicU32,
    started_nanos: AtomicU64,
    in_handler: AtomicBool,
    /// When the running handler first waited; zero while it does not.
    busy_since_nanos: AtomicU64,
    lane: RwLock<Option<Weak<dyn LaneView>>>,
}

impl ActorNode {
    pub(crate) fn new(id: u32, name: String, kind: ActorKind, protocol: &'static str) -> Self {
        Self {
            id,
            name,
            path: OnceLock::new(),
            kind,
            protocol,
            counters: Counters::default(),
            parent: AtomicU32::new(0),
            state: AtomicU8::new(ActorState::New as u8),
            incarnation: AtomicU32::new(0),
            started_nanos: AtomicU64::new(0),
            in_handler: AtomicBool::new(false),
            busy_since_nanos: AtomicU64::new(0),
            lane: RwLock::new(None),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The path in the tree, or the name alone before the actor has a place.
    pub(crate) fn path(&self) -> Arc<str> {
        self.path.get().cloned().unwrap_or_else(|| Arc::from(self.name.as_str()))
    }

    /// Gives the actor its place; the first place stays.
    pub(crate) fn place_under(&self, parent: u32, parent_path: &str) {
        self.parent.store(parent, Ordering::Relaxed);
        let path = self.path.get_or_init(|| Arc::from(format!("{parent_path}/{}", self.name)));
        debug_assert!(path.starts_with(parent_path), "an actor has one place for life");
    }

    pub(crate) fn parent(&self) -> u32 {
        self.parent.load(Ordering::Relaxed)
    }

    pub(crate) fn state(&self) -> ActorState {
        ActorState::from_number(self.state.load(Ordering::Relaxed))
    }

    pub(crate) fn set_state(&self, state: ActorState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    pub(crate) fn begin_incarnation(&self) {
        self.incarnation.fetch_add(1, Ordering::Relaxed);
        self.started_nanos.store(Moment::now().as_nanos(), Ordering::Relaxed);
        self.set_state(ActorState::Starting);
    }

    /// Marks what this incarnation reports to itself; never zero.
    #[inline]
    pub(crate) fn report_mark(&self) -> u16 {
        u16::try_from(self.incarnation() % u32::from(u16::MAX)).unwrap_or(0) + 1
    }

    #[inline]
    pub(crate) fn incarnation(&self) -> u32 {
        self.incarnation.load(Ordering::Relaxed)
    }

    pub(crate) fn started_nanos(&self) -> u64 {
        self.started_nanos.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn enter_handler(&self) {
        self.in_handler.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn leave_handler(&self) {
        self.in_handler.store(false, Ordering::Relaxed);
        if self.busy_since_nanos() != 0 {
            self.busy_since_nanos.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_in_handler(&self) -> bool {
        self.in_handler.load(Ordering::Relaxed)
    }

    /// The actor yielded to others: inside a handler, it waits from now on.
    #[inline]
    pub(crate) fn note_waiting(&self) {
        if self.in_handler.load(Ordering::Relaxed) && self.busy_since_nanos() == 0 {
            self.busy_since_nanos.store(Moment::now().as_nanos(), Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn busy_since_nanos(&self) -> u64 {
        self.busy_since_nanos.load(Ordering::Relaxed)
    }

    pub(crate) fn show_lane(&self, lane: Weak<dyn LaneView>) {
        *self.lane.write() = Some(lane);
    }

    pub(crate) fn lane(&self) -> Option<Arc<dyn LaneView>> {
        self.lane.read().as_ref().and_then(Weak::upgrade)
    }

    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut counts = Counts {
            handled: read(&self.counters.handled),
            failed: read(&self.counters.failed),
            expired: read(&self.counters.expired),
            shed: read(&self.counters.shed),
            crashes: read(&self.counters.crashes),
            dead: read(&self.counters.dead),
            ..Counts::default()
        };
        if let Some(lane) = self.lane() {
            counts.received = lane.received();
            counts.depth = lane.depth() as u64;
            counts.capacity = lane.capacity() as u64;
            counts.oldest_ms = lane
                .oldest_nanos()
                .map_or(0, |sent| Moment::now().as_nanos().saturating_sub(sent) / 1_000_000);
        }
        counts
    }
}
