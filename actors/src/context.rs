//! What a handler has at hand: the scope and reply port of its message, itself, timers and tasks.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::current::{in_origin, set_current};
use crate::failure::{Failure, FailureKind};
use crate::message::{Message, Request};
use crate::observation::{Crash, CrashDecision, guarded};
use crate::reference::{Sender, ServiceRef};
use crate::reply::{Reply, ReplyPort};
use crate::scope::{Origin, Priority, Scope};
use crate::service::{Handled, typed};
use crate::system::System;
use crate::time::{Deadline, Moment};

/// Timers and tasks that one actor may have at once.
const TASKS_MAX: usize = 4096;
/// A message that an actor sends to itself expires after this long in the mailbox.
const SELF_DEADLINE: Duration = Duration::from_secs(60);

/// The circumstances of a handler.
pub struct Context<M: Message> {
    me: ServiceRef<M>,
    pub(crate) scope: Scope,
    pub(crate) port: Option<ReplyPort>,
    tasks: Option<JoinSet<()>>,
}

impl<M: Message> Context<M> {
    pub(crate) fn new(me: ServiceRef<M>) -> Self {
        let scope = Scope::bare(SELF_DEADLINE).with_priority(Priority::High);
        Self { me, scope, port: None, tasks: None }
    }

    /// The scope of the message that is handled.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Changes the origin, before a forward or a reply.
    pub fn amend(&mut self, change: impl FnOnce(&mut Origin)) {
        // Held for log lines only; while it is, the origin would have to be copied.
        set_current(None);
        change(self.scope.origin_mut());
        set_current(self.scope.origin.clone());
    }

    /// The system's clock as of its last tick, at most some ten milliseconds ago: for ages of seconds.
    #[must_use]
    pub fn coarse_now(&self) -> Moment {
        self.me.lane.system.coarse_now()
    }

    /// This service.
    #[must_use]
    pub fn me(&self) -> &ServiceRef<M> {
        &self.me
    }

    /// This actor as a sender, for a message that it passes on by other means than
    /// [`forward`](Self::forward).
    #[must_use]
    pub fn sender(&self) -> Sender {
        Sender(self.me.lane.node.id)
    }

    /// The system it runs in.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.me.lane.system
    }

    /// Its place in the tree.
    #[must_use]
    pub fn path(&self) -> Arc<str> {
        self.me.path()
    }

    /// Answers the request that is handled. Told rather than asked, the answer goes nowhere.
    ///
    /// # Errors
    /// None; it returns [`Handled`] so that a handler can end with it.
    pub fn reply<Q: Request<Protocol = M>>(&mut self, request: &Q, reply: Q::Reply) -> Handled {
        self.defer(request).send(Ok(reply));
        Ok(())
    }

    /// Takes the typed reply port, for an answer that is given later.
    #[must_use]
    pub fn defer<Q: Request<Protocol = M>>(&mut self, _request: &Q) -> Reply<Q::Reply> {
        typed(self.port.take(), &self.scope)
    }

    /// Takes the erased reply port, for an actor that passes it on by other means.
    #[must_use]
    pub fn take_port(&mut self) -> Option<ReplyPort> {
        self.port.take()
    }

    /// Fails the asker.
    ///
    /// # Errors
    /// None; see [`reply`](Self::reply).
    pub fn fail(&mut self, failure: Failure) -> Handled {
        if let Some(port) = self.port.take() {
            port.fail(failure, self.scope.origin.clone());
        }
        Ok(())
    }

    /// Sends a message on, with this message's scope and reply port. The origin goes along: what
    /// the handler still does afterwards has none.
    ///
    /// # Errors
    /// None; a refusal by the receiver fails the asker.
    pub fn forward<N: Message>(&mut self, to: &ServiceRef<N>, message: impl Into<N>) -> Handled {
        let port = self.port.take();
        let Scope { deadline, priority, ref mut origin } = self.scope;
        let scope = Scope { deadline, priority, origin: origin.take() };
        if scope.origin.is_some() {
            // The next station changes the origin, which costs a copy while somebody else holds it.
            set_current(None);
        }
        match to.put(message.into(), scope, port, self.me.lane.node.id) {
            Ok(()) => Ok(()),
            Err((failure, Some(port), origin)) => {
                port.fail(failure, origin);
                Ok(())
            }
            Err((failure, None, _)) => Err(failure),
        }
    }

    /// Sends a message that nobody answers, in this message's scope.
    ///
    /// # Errors
    /// `Overloaded` or `Stopped`, from the receiver's mailbox.
    pub fn tell<N: Message>(&self, to: &ServiceRef<N>, message: impl Into<N>) -> Handled {
        to.put(message.into(), self.scope.clone(), None, self.me.lane.node.id)
            .map_err(|(failure, ..)| failure)
    }

    /// Sends `message` to this service after `wait`, unless this incarnation ends before.
    ///
    /// # Errors
    /// `Overloaded` when the actor has too many timers and tasks.
    pub fn after(&mut self, wait: Duration, message: impl Into<M>) -> Handled {
        let message = message.into();
        self.run(async move {
            tokio::time::sleep(wait).await;
            Some(message)
        })
    }

    /// Sends what `make` gives to this service every `period`, until this incarnation ends.
    ///
    /// A message that the full mailbox refuses is left out.
    ///
    /// # Errors
    /// `Overloaded` when the actor has too many timers and tasks.
    pub fn every(
        &mut self,
        period: Duration,
        mut make: impl FnMut() -> M + Send + 'static,
    ) -> Handled {
        let me = self.me.clone();
        let mark = me.lane.node.report_mark();
        self.spawn(async move {
            let mut ticks = tokio::time::interval(period);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                report_to(&me, mark, make(), false);
            }
        })
    }

    /// Runs long work beside the mailbox. What it returns comes back as a message.
    ///
    /// The task belongs to this incarnation: it is aborted when the actor stops or crashes, and what
    /// it had reported but was not handled yet does not reach the next one. (The workers of a pool
    /// share their mailbox and so their reports, restarts included.) A panic in it is recorded and leaves the actor alone; ports it held fail their askers.
    ///
    /// # Errors
    /// `Overloaded` when the actor has too many timers and tasks.
    pub fn run(&mut self, work: impl Future<Output = Option<M>> + Send + 'static) -> Handled {
        let me = self.me.clone();
        let mark = me.lane.node.report_mark();
        let origin = self.scope.origin.clone();
        // In its place before it is wrapped and spawned, each of which would move it.
        let work: Pin<Box<dyn Future<Output = Option<M>> + Send>> = Box::pin(work);
        self.spawn(async move {
            match guarded(in_origin(origin, work)).await {
                Ok(Some(message)) => report_to(&me, mark, message, true),
                Ok(None) => {}
                Err(report) => {
                    let node = &me.lane.node;
                    tracing::error!(actor = %node.path(), reason = %report.reason, location = report.location, "a task of an actor panicked");
                    me.lane.system.record_crash(|number| Crash {
                        number,
                        at_nanos: Moment::now().as_nanos(),
                        actor: node.path(),
                        actor_id: node.id,
                        incarnation: node.incarnation(),
                        reason: report.reason,
                        location: report.location,
                        backtrace: report.backtrace,
                        killer_kind: None,
                        killer: None,
                        trace: None,
                        before: Vec::new(),
                        decision: CrashDecision::TaskOnly,
                    });
                }
            }
        })
    }

    /// Number of timers and tasks of this actor that have not ended.
    pub fn running(&mut self) -> usize {
        let Some(tasks) = &mut self.tasks else { return 0 };
        while tasks.try_join_next().is_some() {}
        tasks.len()
    }

    fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) -> Handled {
        if self.running() >= TASKS_MAX {
            return Err(Failure::new(
                FailureKind::Overloaded,
                "actors.tasks.full",
                format!("{} runs {TASKS_MAX} tasks already; try again shortly", self.path()),
            )
            .retry_after(Duration::from_secs(1)));
        }
        self.tasks.get_or_insert_with(JoinSet::new).spawn(work);
        Ok(())
    }

    pub(crate) fn reset(&mut self) {
        self.scope.origin = None;
        self.scope.priority = Priority::High;
        self.scope.deadline = Deadline::after(SELF_DEADLINE);
        self.port = None;
    }
}

fn report_to<M: Message>(me: &ServiceRef<M>, mark: u16, message: M, beyond_bound: bool) {
    let scope = Scope::bare(SELF_DEADLINE).with_priority(Priority::High);
    let kind = message.kind();
    let sender = me.lane.node.id;
    if let Err((failure, ..)) =
        me.lane.push_marked(message, scope, None, (sender, mark), beyond_bound)
    {
        if failure.kind() == FailureKind::Stopped {
            tracing::debug!(actor = %me.path(), kind, "a report came after the actor's end");
        } else {
            tracing::warn!(actor = %me.path(), kind, %failure, "a report to an actor itself was refused");
        }
    }
}
