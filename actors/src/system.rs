//! An actor system: what all actors of a node share, and the way to start and stop them.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cores::Cores;
use crate::deadlines::DeadlineTable;
use crate::failure::Failure;
use crate::mailbox::Envelope;
use crate::message::Message;
use crate::observation::{
    ActorKind, ActorNode, ActorView, Crash, CrashDecision, DeadLetter, DeadReason, KindSummary,
    KindTable, MessageRecord, ProtocolSummary, Registry, Ring, SortKey, TapId, TapLimits,
    TapSelector, Taps, TreeNode, install_panic_hook, redacted, redaction_preview,
};
use crate::running::Running;
use crate::spec::ChildSpec;
use crate::time::Moment;

/// The clock that expires messages and asks ticks this often.
const TICK: Duration = Duration::from_millis(10);
/// Payloads in dead letters, crashes and taps are cut to this many bytes.
pub(crate) const PREVIEW_BYTES_MAX: usize = 8 * 1024;

/// Of the messages of a busy service, one in this many is timed.
const SAMPLE_EVERY: u64 = 64;

/// Settings of a system.
#[derive(Debug, Clone)]
pub struct SystemConfig {
    /// The name of the node, the root of every path.
    pub name: String,
    /// Whether every message and reply is encoded and decoded even within the process.
    pub wire_always: bool,
    /// Handled messages whose records are kept.
    pub records_max: usize,
    /// Dead letters that are kept.
    pub dead_letters_max: usize,
    /// Crash records that are kept.
    pub crashes_max: usize,
    /// Services with fewer messages a second have every message timed, others one in 64.
    pub timed_in_full_max: u32,
    /// Threads with a runtime of their own, on which replicated services run; none for zero.
    pub cores: usize,
}

impl Default for SystemConfig {
    fn default() -> Self {
        Self {
            name: "node".to_owned(),
            wire_always: false,
            records_max: 4096,
            dead_letters_max: 1000,
            crashes_max: 200,
            timed_in_full_max: 1000,
            cores: 0,
        }
    }
}

pub(crate) struct Shared {
    config: SystemConfig,
    pub(crate) cores: Cores,
    next_id: AtomicU32,
    coarse_nanos: AtomicU64,
    ticking: AtomicBool,
    stop_by: OnceLock<Instant>,
    pub(crate) deadlines: &'static DeadlineTable,
    pub(crate) registry: Registry,
    pub(crate) kinds: KindTable,
    pub(crate) records: Ring<MessageRecord>,
    pub(crate) taps: Taps,
    dead_letters: Ring<DeadLetter>,
    crashes: Ring<Crash>,
}

/// A handle on an actor system; clones share it.
#[derive(Clone)]
pub struct System {
    pub(crate) shared: Arc<Shared>,
}

impl System {
    /// A system with no actors yet.
    #[must_use]
    pub fn new(config: SystemConfig) -> Self {
        install_panic_hook();
        Self {
            shared: Arc::new(Shared {
                next_id: AtomicU32::new(1),
                coarse_nanos: AtomicU64::new(Moment::now().as_nanos()),
                ticking: AtomicBool::new(false),
                stop_by: OnceLock::new(),
                deadlines: DeadlineTable::leaked(config.wire_always),
                registry: Registry::default(),
                kinds: KindTable::default(),
                records: Ring::new(config.records_max),
                taps: Taps::default(),
                dead_letters: Ring::new(config.dead_letters_max),
                crashes: Ring::new(config.crashes_max),
                cores: Cores::new(config.cores),
                config,
            }),
        }
    }

    /// Starts the tree under `root` and waits until every child has started.
    ///
    /// # Errors
    /// The failure of the first child that does not start; what had started is stopped again.
    pub async fn start(&self, root: ChildSpec) -> Result<Running, Failure> {
        Running::start(self.clone(), root).await
    }

    /// Bounds the time in which all actors that still run may stop, one after the other: each has what
    /// is left of it, and no more than its own. The first call counts.
    pub fn stop_within(&self, limit: Duration) {
        self.shared.stop_by.get_or_init(|| Instant::now() + limit);
    }

    /// What is left for an actor that may take `own` to stop.
    pub(crate) fn time_to_stop(&self, own: Duration) -> Duration {
        let left = |by: &Instant| by.saturating_duration_since(Instant::now());
        self.shared.stop_by.get().map_or(own, |by| own.min(left(by)))
    }

    /// The name of the node.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.config.name
    }

    /// Whether every message is encoded even within the process.
    #[must_use]
    #[inline]
    pub fn wire_always(&self) -> bool {
        self.shared.config.wire_always
    }

    /// How many cores it has; see [`SystemConfig::cores`].
    #[must_use]
    pub fn cores(&self) -> usize {
        self.shared.cores.count()
    }

    /// The runtime of a core, from zero, for tasks that belong to it. None while nothing is started.
    #[must_use]
    pub fn core(&self, number: usize) -> Option<Handle> {
        self.shared.cores.handle(number)
    }

    /// Number of actors that live.
    #[must_use]
    pub fn actor_count(&self) -> usize {
        self.shared.registry.len()
    }

    /// The supervision tree with at most `nodes_max` actors.
    #[must_use]
    pub fn tree(&self, nodes_max: usize) -> Vec<TreeNode> {
        self.shared.registry.tree(nodes_max)
    }

    /// The first `count` (at most 200) actors by `key`, largest first; supervisors are left out.
    #[must_use]
    pub fn top(&self, count: usize, key: SortKey) -> Vec<ActorView> {
        self.shared.registry.top(count, key)
    }

    /// The actor at `path`.
    #[must_use]
    pub fn actor(&self, path: &str) -> Option<ActorView> {
        self.shared.registry.find(path)
    }

    /// The newest crashes, newest first.
    #[must_use]
    pub fn crashes(&self, count: usize) -> Vec<Crash> {
        self.shared.crashes.newest(count)
    }

    /// The newest dead letters, newest first.
    #[must_use]
    pub fn dead_letters(&self, count: usize) -> Vec<DeadLetter> {
        self.shared.dead_letters.newest(count)
    }

    /// How many messages ever became dead letters.
    #[must_use]
    pub fn dead_letter_count(&self) -> u64 {
        self.shared.dead_letters.pushed()
    }

    /// How many handlers ever panicked.
    #[must_use]
    pub fn crash_count(&self) -> u64 {
        self.shared.crashes.pushed()
    }

    /// The newest records of handled messages, newest first.
    #[must_use]
    pub fn records(&self, count: usize) -> Vec<MessageRecord> {
        self.shared.records.newest(count)
    }

    /// Wait and handling times by kind of message.
    #[must_use]
    pub fn kinds(&self) -> Vec<KindSummary> {
        self.shared.kinds.summary()
    }

    /// The services by protocol, with their counters added up.
    #[must_use]
    pub fn protocols(&self) -> Vec<ProtocolSummary> {
        self.shared.registry.protocols()
    }

    /// Opens a tap.
    ///
    /// # Errors
    /// An unselective selector, or too many open taps.
    pub fn tap(&self, selector: TapSelector, limits: &TapLimits) -> Result<TapId, Failure> {
        let id = self.shared.taps.open(selector, limits)?;
        self.refresh_taps();
        Ok(id)
    }

    /// The records of a tap since the last read, how many it had to leave out so far, and whether
    /// it is still open. None for an unknown tap.
    #[must_use]
    pub fn read_tap(&self, id: TapId) -> Option<(Vec<MessageRecord>, u64, bool)> {
        self.shared.taps.read(id)
    }

    /// Closes a tap.
    pub fn close_tap(&self, id: TapId) {
        self.shared.taps.close(id);
        self.refresh_taps();
    }

    pub(crate) fn refresh_taps(&self) {
        for node in self.shared.registry.nodes() {
            if let Some(lane) = node.lane() {
                lane.set_tapped(self.shared.taps.watches(&node.path(), node.protocol));
            }
        }
    }

    pub(crate) fn new_node(
        &self,
        name: String,
        kind: ActorKind,
        protocol: &'static str,
    ) -> Arc<ActorNode> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        Arc::new(ActorNode::new(id, name, kind, protocol))
    }

    /// Which messages of a service are timed whose messages come so far apart: those whose number
    /// has none of these bits.
    pub(crate) fn sample_mask(&self, apart_nanos: u64) -> u64 {
        let full = u64::from(self.shared.config.timed_in_full_max);
        if apart_nanos.saturating_mul(full) > 1_000_000_000 { 0 } else { SAMPLE_EVERY - 1 }
    }

    /// The time of the last tick: at most [`TICK`] old, and much cheaper than asking the clock.
    #[inline]
    pub(crate) fn coarse_now(&self) -> Moment {
        Moment::from_nanos(self.shared.coarse_nanos.load(Ordering::Relaxed))
    }

    /// Starts the tick that expires messages and asks. It runs in `tasks` and ends with them.
    pub(crate) fn start_ticking(&self, tasks: &mut JoinSet<()>) {
        if self.shared.ticking.swap(true, Ordering::Relaxed) {
            return;
        }
        let system = self.clone();
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let now = Moment::now();
                system.shared.coarse_nanos.store(now.as_nanos(), Ordering::Relaxed);
                system.shared.deadlines.sweep(now);
            }
        });
    }

    /// Accounts for a message that nobody will handle: its asker fails, a dead letter is kept.
    pub(crate) fn bury<M: Message>(
        &self,
        node: &ActorNode,
        envelope: Envelope<M>,
        reason: DeadReason,
    ) {
        node.counters.count_dead();
        let (payload, _) = redaction_preview(&redacted(&envelope.message), PREVIEW_BYTES_MAX);
        let asked = envelope.port.is_some();
        let trace = envelope.scope().trace_id();
        self.shared.dead_letters.push(|number| DeadLetter {
            number,
            at_nanos: Moment::now().as_nanos(),
            to: node.path(),
            protocol: M::PROTOCOL.to_owned(),
            kind: envelope.message.kind().to_owned(),
            reason,
            asked,
            trace,
            payload,
        });
        if let Some(port) = envelope.port {
            let failure = match reason {
                DeadReason::Stopped => Failure::stopped(&node.path()),
                DeadReason::Expired => Failure::expired(),
            };
            port.fail(failure, envelope.origin);
        }
    }

    pub(crate) fn record_crash(&self, make: impl FnOnce(u64) -> Crash) -> u64 {
        self.shared.crashes.push(make)
    }

    /// Notes what a supervisor decided about the last crash of an actor.
    pub(crate) fn decide_crash(&self, actor_id: u32, decision: CrashDecision) {
        self.shared.crashes.amend(
            |crash| crash.actor_id == actor_id && crash.decision == CrashDecision::Pending,
            |crash| crash.decision = decision,
        );
    }
}
