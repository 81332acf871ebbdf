//! Child specifications: how a supervisor starts, restarts and stops an actor.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorCell;

use crate::failure::Failure;
use crate::host::{Host, Incarnation};
use crate::mailbox::Lane;
use crate::message::Message;
use crate::observation::{ActorKind, ActorNode, ActorState, LaneView, guarded};
use crate::reference::ServiceRef;
use crate::service::Service;
use crate::shards::Shards;
use crate::supervisor::{Strategy, Supervisor};
use crate::system::System;

/// Messages a mailbox holds unless the specification says otherwise.
pub const DEFAULT_CAPACITY: usize = 1024;
const DEFAULT_STOP_WITHIN: Duration = Duration::from_secs(5);
const DEFAULT_START_WITHIN: Duration = Duration::from_secs(30);
/// After the drain deadline an actor has this long for its `stop` before it is killed.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// It has this long even when the whole system is late.
const STOP_GRACE_MIN: Duration = Duration::from_millis(50);

/// When a supervisor restarts a child that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    Permanent,
    /// After a crash only.
    Transient,
    /// Never.
    Temporary,
}

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Under whom an actor is started.
pub(crate) struct Place {
    pub(crate) supervisor: ActorCell,
    pub(crate) id: u32,
    pub(crate) path: Arc<str>,
}

/// What becomes of the mailbox when an actor is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopMode {
    /// What waits is handled first, then the mailbox closes.
    Drain,
    /// The mailbox stays open for the next incarnation.
    Keep,
}

pub(crate) trait Starter: Send + Sync {
    fn node(&self) -> &Arc<ActorNode>;
    fn start(&self, place: Place) -> BoxFuture<'_, Result<ActorCell, Failure>>;
    fn stop(&self, cell: ActorCell, mode: StopMode, within: Duration) -> BoxFuture<'_, ()>;
    /// The actor will not run again: what waits becomes dead letters.
    fn abandon(&self);
    /// Time an orderly stop may take.
    fn stop_time(&self, own: Duration) -> Duration {
        own + STOP_GRACE
    }
}

/// How a supervisor starts, restarts and stops one child.
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) restart: Restart,
    pub(crate) stop_within: Duration,
    pub(crate) starter: Arc<dyn Starter>,
}

impl ChildSpec {
    /// The child's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.starter.node().name()
    }

    /// The same child with another restart rule.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    pub(crate) fn stop_time(&self) -> Duration {
        self.starter.stop_time(self.stop_within)
    }
}

/// Describes a service for its supervisor.
pub struct Spec<S: Service> {
    system: System,
    name: String,
    factory: Arc<dyn Fn() -> S + Send + Sync>,
    capacity: usize,
    workers: usize,
    core: Option<usize>,
    restart: Restart,
    stop_within: Duration,
    start_within: Duration,
}

impl<S: Service> Spec<S> {
    /// A service `name` whose every incarnation `factory` makes anew.
    pub fn new(
        system: &System,
        name: impl Into<String>,
        factory: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        Self {
            system: system.clone(),
            name: name.into(),
            factory: Arc::new(factory),
            capacity: DEFAULT_CAPACITY,
            workers: 1,
            core: None,
            restart: Restart::Permanent,
            stop_within: DEFAULT_STOP_WITHIN,
            start_within: DEFAULT_START_WITHIN,
        }
    }

    /// Messages that may wait; at least one.
    #[must_use]
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = messages.max(1);
        self
    }

    /// Actors that share the mailbox; the concurrency the service allows itself.
    #[must_use]
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = count.max(1);
        self
    }

    /// When it is restarted.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Time it has to handle what waits when it is stopped.
    #[must_use]
    pub fn stop_within(mut self, within: Duration) -> Self {
        self.stop_within = within;
        self
    }

    /// Time its `start` may take.
    #[must_use]
    pub fn start_within(mut self, within: Duration) -> Self {
        self.start_within = within;
        self
    }

    /// `count` equal services under a supervisor of this name; in a system with cores, one on
    /// each core instead. Each has a state of its own: what must be the same for all keys or for
    /// everybody is not kept in it.
    #[must_use]
    pub fn replicated(self, count: usize) -> (Shards<S::Message>, ChildSpec) {
        let cores = self.system.cores();
        let replica = |index: usize| {
            let spec = Self {
                system: self.system.clone(),
                name: (index + 1).to_string(),
                factory: self.factory.clone(),
                core: (cores > 0).then_some(index),
                ..self
            };
            spec.build()
        };
        let (services, children): (Vec<_>, Vec<_>) =
            (0..if cores > 0 { cores } else { count.max(1) }).map(replica).unzip();
        let shards = if cores > 0 { Shards::on_cores(services) } else { Shards::new(services) };
        (shards, Supervisor::new(&self.system, self.name.clone()).children(children).into_spec())
    }

    /// The reference to use the service and the specification to start it.
    #[must_use]
    pub fn build(self) -> (ServiceRef<S::Message>, ChildSpec) {
        let protocol = <S::Message as Message>::PROTOCOL;
        let node = self.system.new_node(self.name.clone(), ActorKind::Service, protocol);
        let lane =
            Arc::new(Lane::new(self.system.clone(), node.clone(), self.capacity, self.workers));
        let shown: Arc<dyn LaneView> = lane.clone();
        node.show_lane(Arc::downgrade(&shown));
        let runner: Arc<dyn Starter> = if self.workers == 1 {
            Arc::new(self.worker(&lane, node, 0))
        } else {
            self.pool(&lane, node)
        };
        let starter = Arc::new(LaneOwner { lane: lane.clone(), runner });
        let spec = ChildSpec { restart: self.restart, stop_within: self.stop_within, starter };
        (ServiceRef { lane }, spec)
    }

    fn worker(
        &self,
        lane: &Arc<Lane<S::Message>>,
        node: Arc<ActorNode>,
        index: usize,
    ) -> Worker<S> {
        Worker {
            factory: self.factory.clone(),
            lane: lane.clone(),
            node,
            index,
            sole: self.workers == 1,
            core: self.core,
            start_within: self.start_within,
        }
    }

    /// A supervisor over the workers; each may crash without the others.
    fn pool(&self, lane: &Arc<Lane<S::Message>>, node: Arc<ActorNode>) -> Arc<dyn Starter> {
        let mut pool =
            Supervisor::over(&self.system, node).strategy(Strategy::OneForOne).intensity(
                u32::try_from(self.workers).unwrap_or(u32::MAX).saturating_mul(3).max(5),
                Duration::from_secs(10),
            );
        for index in 0..self.workers {
            let node = self.system.new_node(
                (index + 1).to_string(),
                ActorKind::Worker,
                <S::Message as Message>::PROTOCOL,
            );
            pool = pool.child(ChildSpec {
                restart: Restart::Permanent,
                stop_within: self.stop_within,
                starter: Arc::new(self.worker(lane, node, index)),
            });
        }
        pool.into_spec().starter
    }
}

/// Starts one actor that drains a lane.
struct Worker<S: Service> {
    factory: Arc<dyn Fn() -> S + Send + Sync>,
    lane: Arc<Lane<S::Message>>,
    node: Arc<ActorNode>,
    index: usize,
    sole: bool,
    core: Option<usize>,
    start_within: Duration,
}

impl<S: Service> Starter for Worker<S> {
    fn node(&self) -> &Arc<ActorNode> {
        &self.node
    }

    fn start(&self, place: Place) -> BoxFuture<'_, Result<ActorCell, Failure>> {
        Box::pin(async move {
            self.node.place_under(place.id, &place.path);
            self.lane.system.shared.registry.add(&self.node);
            self.lane.forget_stop(self.index);
            let system = &self.lane.system;
            let path = self.lane.node.path();
            self.lane.set_tapped(system.shared.taps.watches(&path, self.node.protocol));
            let made = guarded(async { (self.factory)() }).await;
            let service = made.map_err(|report| {
                Failure::internal(
                    "actors.start.failed",
                    format!("{path} cannot be made: {}", report.reason),
                )
            })?;
            let incarnation = Incarnation {
                service,
                lane: self.lane.clone(),
                node: self.node.clone(),
                index: self.index,
                sole: self.sole,
                start_within: self.start_within,
            };
            let spawning =
                ractor::Actor::spawn_linked(None, Host::<S>::new(), incarnation, place.supervisor);
            match system.shared.cores.run(self.core, spawning).await? {
                Ok((actor, _)) => Ok(actor.get_cell()),
                Err(error) => {
                    self.node.set_state(ActorState::Restarting);
                    Err(start_failure(error, &self.node))
                }
            }
        })
    }

    fn stop(&self, cell: ActorCell, mode: StopMode, within: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.node.set_state(ActorState::Stopping);
            let grace = if mode == StopMode::Keep { within } else { STOP_GRACE };
            let grace = self.lane.system.time_to_stop(grace).max(STOP_GRACE_MIN);
            self.lane.ask_to_stop(self.index);
            if cell.wait(Some(grace)).await.is_err() {
                kill(&cell, grace).await;
            }
            self.node.set_state(ActorState::Stopped);
            if mode == StopMode::Drain {
                self.abandon();
            }
        })
    }

    fn abandon(&self) {
        self.node.set_state(ActorState::Stopped);
        self.lane.system.shared.registry.remove(self.node.id);
    }
}

/// Ties a lane's life to the actor or pool that drains it.
struct LaneOwner<M: Message> {
    lane: Arc<Lane<M>>,
    runner: Arc<dyn Starter>,
}

impl<M: Message> Starter for LaneOwner<M> {
    fn node(&self) -> &Arc<ActorNode> {
        &self.lane.node
    }

    fn start(&self, place: Place) -> BoxFuture<'_, Result<ActorCell, Failure>> {
        self.lane.reopen();
        self.runner.start(place)
    }

    fn stop(&self, cell: ActorCell, mode: StopMode, within: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if mode == StopMode::Drain {
                self.lane.begin_drain();
                let within = self.lane.system.time_to_stop(within);
                if tokio::time::timeout(within, self.lane.drained()).await.is_err() {
                    let waiting = self.lane.depth();
                    tracing::warn!(actor = %self.lane.node.path(), waiting, "the drain deadline passed");
                }
            }
            self.runner.stop(cell, mode, within).await;
            if mode == StopMode::Drain {
                self.lane.close();
            }
        })
    }

    fn abandon(&self) {
        self.runner.abandon();
        self.lane.close();
    }

    fn stop_time(&self, own: Duration) -> Duration {
        own + self.runner.stop_time(own)
    }
}

impl<M: Message> LaneView for Lane<M> {
    fn depth(&self) -> usize {
        Self::depth(self)
    }

    fn capacity(&self) -> usize {
        Self::capacity(self)
    }

    fn received(&self) -> u64 {
        Self::received(self)
    }

    fn oldest_nanos(&self) -> Option<u64> {
        Self::oldest_nanos(self)
    }

    fn set_tapped(&self, tapped: bool) {
        Self::set_tapped(self, tapped);
    }
}

/// Ends an actor that did not stop in time; its handler is dropped at its next await.
pub(crate) async fn kill(cell: &ActorCell, grace: Duration) {
    let killed = cell.kill_and_wait(Some(grace)).await;
    tracing::warn!(actor = %cell.get_id(), ended = killed.is_ok(), "an actor was killed because it did not stop in time");
}

pub(crate) fn start_failure(error: ractor::SpawnErr, node: &ActorNode) -> Failure {
    match error {
        ractor::SpawnErr::StartupFailed(cause) => match cause.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(cause) => Failure::internal(
                "actors.start.failed",
                format!("{} did not start: {cause}", node.path()),
            ),
        },
        other => Failure::internal(
            "actors.start.failed",
            format!("{} did not start: {other}", node.path()),
        ),
    }
}
