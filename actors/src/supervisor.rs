//! Supervisors: start children in order, restart them by rule, give up by rule, stop in reverse.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use ractor::{ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::adding::{AddedStopMs, RunningRef, SupervisorRef};
use crate::backoff::Backoff;
use crate::failure::Failure;
use crate::observation::{ActorKind, ActorNode, ActorState, CrashDecision};
use crate::spec::{BoxFuture, ChildSpec, Place, Restart, Starter, StopMode, kill, start_failure};
use crate::system::System;
use crate::time::Moment;

/// Children a supervisor may have.
const CHILDREN_MAX: usize = 100_000;

/// Which children are restarted when one ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// That one.
    OneForOne,
    /// All of them.
    OneForAll,
    /// That one and those started after it.
    RestForOne,
}

/// Describes a supervisor.
pub struct Supervisor {
    system: System,
    node: Arc<ActorNode>,
    settings: Settings,
    children: Vec<ChildSpec>,
    restart: Restart,
}

#[derive(Clone)]
struct Settings {
    strategy: Strategy,
    restarts_max: u32,
    window: Duration,
    backoff: Backoff,
}

impl Supervisor {
    /// A supervisor `name` without children: one-for-one, at most 5 restarts in 10 seconds.
    pub fn new(system: &System, name: impl Into<String>) -> Self {
        Self::over(system, system.new_node(name.into(), ActorKind::Supervisor, ""))
    }

    pub(crate) fn over(system: &System, node: Arc<ActorNode>) -> Self {
        Self {
            system: system.clone(),
            node,
            settings: Settings {
                strategy: Strategy::OneForOne,
                restarts_max: 5,
                window: Duration::from_secs(10),
                backoff: Backoff::default(),
            },
            children: Vec::new(),
            restart: Restart::Permanent,
        }
    }

    /// Which children are restarted when one ends.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.settings.strategy = strategy;
        self
    }

    /// Gives up, and fails in turn, when more than `restarts_max` are needed within `window`.
    #[must_use]
    pub fn intensity(mut self, restarts_max: u32, window: Duration) -> Self {
        self.settings.restarts_max = restarts_max;
        self.settings.window = window;
        self
    }

    /// The waits before restarts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// When this supervisor's own supervisor restarts it.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Adds a child; children start in the order they are added and stop in reverse.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    /// Adds several children.
    #[must_use]
    pub fn children(mut self, children: impl IntoIterator<Item = ChildSpec>) -> Self {
        self.children.extend(children);
        self
    }

    /// The specification to start it under another supervisor or as the root.
    #[must_use]
    pub fn into_spec(self) -> ChildSpec {
        self.build().1
    }

    /// Like [`into_spec`](Self::into_spec), with a reference to add children while it runs.
    #[must_use]
    pub fn build(self) -> (SupervisorRef, ChildSpec) {
        let running = Arc::new(Mutex::new(None));
        let added_stop_ms = AddedStopMs::default();
        let stop_within = self.children.iter().map(ChildSpec::stop_time).sum();
        let starter = SupervisorStarter {
            system: self.system,
            node: self.node,
            settings: self.settings,
            children: self.children,
            running: running.clone(),
            added_stop_ms: added_stop_ms.clone(),
        };
        let spec = ChildSpec { restart: self.restart, stop_within, starter: Arc::new(starter) };
        (SupervisorRef { running, added_stop_ms }, spec)
    }
}

/// What a supervisor is told.
pub(crate) enum Order {
    /// By the id of the child: its place may change while it waits.
    Restart(u32),
    Add(ChildSpec, oneshot::Sender<Result<(), Failure>>),
    Stop(StopMode),
}

struct SupervisorStarter {
    system: System,
    node: Arc<ActorNode>,
    settings: Settings,
    children: Vec<ChildSpec>,
    running: RunningRef,
    added_stop_ms: AddedStopMs,
}

impl Starter for SupervisorStarter {
    fn node(&self) -> &Arc<ActorNode> {
        &self.node
    }

    fn start(&self, place: Place) -> BoxFuture<'_, Result<ActorCell, Failure>> {
        Box::pin(async move {
            self.node.place_under(place.id, &place.path);
            self.system.shared.registry.add(&self.node);
            let duty = Duty {
                system: self.system.clone(),
                node: self.node.clone(),
                settings: self.settings.clone(),
                children: self.children.clone(),
            };
            let spawned =
                ractor::Actor::spawn_linked(None, SupervisorActor, duty, place.supervisor).await;
            match spawned {
                Ok((actor, _)) => {
                    *self.running.lock() = Some(actor.clone());
                    Ok(actor.get_cell())
                }
                Err(error) => Err(start_failure(error, &self.node)),
            }
        })
    }

    fn stop(&self, cell: ActorCell, mode: StopMode, within: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.node.set_state(ActorState::Stopping);
            *self.running.lock() = None;
            let within = self.stop_time(within);
            let told = ActorRef::<Order>::from(cell.clone()).cast(Order::Stop(mode));
            if told.is_err() || cell.wait(Some(within)).await.is_err() {
                kill(&cell, Duration::from_millis(100)).await;
                self.system.shared.registry.remove_below(self.node.id);
            }
            self.node.set_state(ActorState::Stopped);
            if mode == StopMode::Drain {
                self.system.shared.registry.remove(self.node.id);
            }
        })
    }

    fn abandon(&self) {
        *self.running.lock() = None;
        for child in &self.children {
            child.starter.abandon();
        }
        self.node.set_state(ActorState::Stopped);
        self.system.shared.registry.remove(self.node.id);
    }

    fn stop_time(&self, _own: Duration) -> Duration {
        let children: Duration = self.children.iter().map(ChildSpec::stop_time).sum();
        let added = Duration::from_millis(self.added_stop_ms.load(Ordering::Relaxed));
        children + added + Duration::from_secs(1)
    }
}

struct Duty {
    system: System,
    node: Arc<ActorNode>,
    settings: Settings,
    children: Vec<ChildSpec>,
}

struct Child {
    spec: ChildSpec,
    cell: Option<ActorCell>,
    /// Restarts since the child last ran for a whole window.
    tries: u32,
    started: Moment,
    /// It ended and its specification says to leave it.
    ended: bool,
}

struct SupervisorActor;

struct State {
    system: System,
    node: Arc<ActorNode>,
    settings: Settings,
    children: Vec<Child>,
    restarts: VecDeque<Moment>,
    waits: JoinSet<()>,
    stopping: bool,
    /// Children that have ended for good; they are removed when they are most of all.
    forgettable: usize,
}

impl ractor::Actor for SupervisorActor {
    type Msg = Order;
    type State = State;
    type Arguments = Duty;

    async fn pre_start(
        &self,
        myself: ActorRef<Order>,
        duty: Duty,
    ) -> Result<State, ActorProcessingErr> {
        duty.node.begin_incarnation();
        let new = |spec| Child { spec, cell: None, tries: 0, started: Moment::now(), ended: false };
        let mut state = State {
            system: duty.system,
            node: duty.node,
            settings: duty.settings,
            children: duty.children.into_iter().map(new).collect(),
            restarts: VecDeque::new(),
            waits: JoinSet::new(),
            stopping: false,
            forgettable: 0,
        };
        for index in 0..state.children.len() {
            if let Err(failure) = state.start_child(index, &myself).await {
                state.stop_all(StopMode::Keep).await;
                return Err(failure.into());
            }
        }
        state.node.set_state(ActorState::Running);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Order>,
        order: Order,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Restart(child_id) => state.restart(child_id, &myself).await?,
            Order::Add(spec, done) => {
                let result = state.add(spec, &myself).await;
                // The asker may have given up; the child runs all the same.
                drop(done.send(result));
            }
            Order::Stop(mode) => {
                state.stopping = true;
                state.stop_all(mode).await;
                myself.stop(None);
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Order>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(cell, ..) => {
                state.child_ended(&cell, false, &myself).await?;
            }
            SupervisionEvent::ActorFailed(cell, _) => {
                state.child_ended(&cell, true, &myself).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl State {
    async fn start_child(&mut self, index: usize, myself: &ActorRef<Order>) -> Result<(), Failure> {
        let place =
            Place { supervisor: myself.get_cell(), id: self.node.id, path: self.node.path() };
        let child = &mut self.children[index];
        let cell = child.spec.starter.start(place).await?;
        child.cell = Some(cell);
        child.started = Moment::now();
        Ok(())
    }

    async fn add(&mut self, spec: ChildSpec, myself: &ActorRef<Order>) -> Result<(), Failure> {
        if self.forgettable > self.children.len() / 2 {
            self.children
                .retain(|child| !(child.ended && child.spec.restart == Restart::Temporary));
            self.forgettable = 0;
        }
        if self.stopping {
            return Err(Failure::stopped(&self.node.path()));
        }
        if self.children.len() >= CHILDREN_MAX {
            return Err(Failure::overloaded(&self.node.path()));
        }
        self.children.push(Child {
            spec,
            cell: None,
            tries: 0,
            started: Moment::now(),
            ended: false,
        });
        let index = self.children.len() - 1;
        let started = self.start_child(index, myself).await;
        if started.is_err()
            && let Some(child) = self.children.pop()
        {
            child.spec.starter.abandon();
        }
        started
    }

    async fn child_ended(
        &mut self,
        cell: &ActorCell,
        crashed: bool,
        myself: &ActorRef<Order>,
    ) -> Result<(), Failure> {
        let id = cell.get_id();
        let is_it = |child: &Child| child.cell.as_ref().is_some_and(|own| own.get_id() == id);
        let Some(index) = self.children.iter().position(is_it) else { return Ok(()) };
        self.children[index].cell = None;
        if self.stopping {
            return Ok(());
        }
        self.decide(index, crashed, myself).await
    }

    async fn decide(
        &mut self,
        index: usize,
        crashed: bool,
        myself: &ActorRef<Order>,
    ) -> Result<(), Failure> {
        let window = self.settings.window;
        let now = Moment::now();
        let child = &mut self.children[index];
        let child_id = child.spec.starter.node().id;
        let wanted = match child.spec.restart {
            Restart::Permanent => true,
            Restart::Transient => crashed,
            Restart::Temporary => false,
        };
        if !wanted {
            child.ended = true;
            self.forgettable += usize::from(child.spec.restart == Restart::Temporary);
            child.spec.starter.abandon();
            self.system.decide_crash(child_id, CrashDecision::LeftStopped);
            return Ok(());
        }
        while self.restarts.front().is_some_and(|restart| now.since(*restart) > window) {
            self.restarts.pop_front();
        }
        self.restarts.push_back(now);
        if self.restarts.len() > self.settings.restarts_max as usize {
            return Err(self.give_up(child_id).await);
        }
        if now.since(child.started) > window {
            child.tries = 0;
        }
        let wait = self.settings.backoff.wait(child.tries, u64::from(child_id));
        child.tries = child.tries.saturating_add(1);
        child.spec.starter.node().set_state(ActorState::Restarting);
        let after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.system.decide_crash(child_id, CrashDecision::Restart { after_ms });
        self.stop_companions(index).await;
        let supervisor = myself.clone();
        while self.waits.try_join_next().is_some() {}
        self.waits.spawn(async move {
            tokio::time::sleep(wait).await;
            // A supervisor that is gone restarts nobody.
            drop(supervisor.cast(Order::Restart(child_id)));
        });
        Ok(())
    }

    /// Stops the children that the strategy restarts together with `index`.
    async fn stop_companions(&mut self, index: usize) {
        let first = match self.settings.strategy {
            Strategy::OneForOne => return,
            Strategy::OneForAll => 0,
            Strategy::RestForOne => index + 1,
        };
        for companion in (first..self.children.len()).rev() {
            self.stop_child(companion, StopMode::Keep).await;
        }
    }

    async fn restart(&mut self, child_id: u32, myself: &ActorRef<Order>) -> Result<(), Failure> {
        if self.stopping {
            return Ok(());
        }
        let is_it = |child: &Child| child.spec.starter.node().id == child_id;
        let Some(index) = self.children.iter().position(is_it) else { return Ok(()) };
        let affected = match self.settings.strategy {
            Strategy::OneForOne => index..index + 1,
            Strategy::OneForAll => 0..self.children.len(),
            Strategy::RestForOne => index..self.children.len(),
        };
        for index in affected {
            let child = &self.children[index];
            if child.cell.is_some() || child.ended {
                continue;
            }
            if let Err(failure) = self.start_child(index, myself).await {
                let actor = self.children[index].spec.starter.node().path();
                tracing::error!(%actor, %failure, "an actor did not start again");
                return self.decide(index, true, myself).await;
            }
        }
        Ok(())
    }

    async fn give_up(&mut self, child_id: u32) -> Failure {
        self.system.decide_crash(child_id, CrashDecision::Escalated);
        self.stopping = true;
        self.stop_all(StopMode::Keep).await;
        self.node.set_state(ActorState::Restarting);
        let path = self.node.path();
        let Settings { restarts_max, window, .. } = self.settings;
        tracing::error!(supervisor = %path, restarts_max, window_ms = window.as_millis(), "too many restarts: the supervisor gives up");
        Failure::internal(
            "actors.supervisor.gave_up",
            format!("{path} saw more than {restarts_max} crashes in {} s", window.as_secs()),
        )
    }

    async fn stop_all(&mut self, mode: StopMode) {
        self.waits.abort_all();
        for index in (0..self.children.len()).rev() {
            self.stop_child(index, mode).await;
        }
    }

    async fn stop_child(&mut self, index: usize, mode: StopMode) {
        let child = &mut self.children[index];
        match child.cell.take() {
            Some(cell) => child.spec.starter.stop(cell, mode, child.spec.stop_within).await,
            None if mode == StopMode::Drain && !child.ended => child.spec.starter.abandon(),
            None => {}
        }
    }
}
