//! The ractor actor that runs one incarnation of a service: it serves the lane until it is stopped.
//!
//! One ractor message, cast when the actor has started, is handled for the whole life of the
//! incarnation; between messages the handler sleeps on the lane. ractor sees a kill at any await;
//! an orderly stop is a flag on the lane, looked at before each message. A panic costs the message,
//! its asker's answer and this incarnation; what waits stays.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorProcessingErr, ActorRef};

use crate::context::Context;
use crate::current::{poll_in_origin, set_current, with_origin};
use crate::failure::Failure;
use crate::mailbox::{Envelope, Lane, Next};
use crate::message::Message;
use crate::observation::{
    ActorNode, ActorState, Admission, Crash, CrashDecision, DeadReason, LastHeaders, MessageRecord,
    OpenSpan, Outcome, PanicReport, guard, guarded, redacted, redaction_preview,
};
use crate::reference::ServiceRef;
use crate::scope::Scope;
use crate::service::{Batch, Handled, Lent, Service};
use crate::system::PREVIEW_BYTES_MAX;
use crate::time::Moment;

/// Messages handled before other tasks get their turn.
const TURN: u64 = 256;

/// The only message: serve the lane.
pub(crate) struct Serve;

pub(crate) struct Host<S>(PhantomData<fn() -> S>);

impl<S> Host<S> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

pub(crate) struct Incarnation<S: Service> {
    pub(crate) service: S,
    pub(crate) lane: Arc<Lane<S::Message>>,
    pub(crate) node: Arc<ActorNode>,
    pub(crate) index: usize,
    /// Whether this is the lane's only worker.
    pub(crate) sole: bool,
    pub(crate) start_within: Duration,
}

pub(crate) struct Running<S: Service> {
    service: S,
    ctx: Context<S::Message>,
    lane: Arc<Lane<S::Message>>,
    node: Arc<ActorNode>,
    index: usize,
    sole: bool,
    hands: VecDeque<Envelope<S::Message>>,
    /// The message that is handled, on loan to the handler.
    current: Lent<S::Message>,
    current_kind: &'static str,
    watched: Option<Watched>,
    /// Of the message that is handled, if it is traced.
    span: Option<OpenSpan>,
    last: LastHeaders,
    /// Messages handled by this incarnation.
    handled: u64,
    /// How many of them the shared counter knows.
    handled_told: u64,
    origin_shown: bool,
    /// The trace of the message that is handled, also after it was passed on.
    current_trace: Option<u128>,
}

impl<S: Service> ractor::Actor for Host<S> {
    type Msg = Serve;
    /// Boxed, as is what [`handle`](Self::handle) runs: ractor keeps several places for each.
    type State = Box<Running<S>>;
    type Arguments = Incarnation<S>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Serve>,
        incarnation: Incarnation<S>,
    ) -> Result<Box<Running<S>>, ActorProcessingErr> {
        let Incarnation { service, lane, node, index, sole, start_within } = incarnation;
        node.begin_incarnation();
        let mut running = Box::new(Running {
            service,
            ctx: Context::new(ServiceRef { lane: lane.clone() }),
            lane,
            node,
            index,
            sole,
            hands: VecDeque::new(),
            current: Lent::empty(),
            current_kind: "",
            watched: None,
            span: None,
            last: LastHeaders::new(),
            handled: 0,
            handled_told: 0,
            origin_shown: false,
            current_trace: None,
        });
        let Running { service, ctx, .. } = &mut *running;
        let started = guarded(tokio::time::timeout(start_within, service.start(ctx))).await;
        match started {
            Ok(Ok(Ok(()))) => Ok(running),
            Ok(Ok(Err(failure))) => Err(failure.into()),
            Ok(Err(_)) => Err(slow_start(&running.node, start_within).into()),
            Err(report) => Err(running.crash(report).into()),
        }
    }

    async fn post_start(
        &self,
        myself: ActorRef<Serve>,
        running: &mut Box<Running<S>>,
    ) -> Result<(), ActorProcessingErr> {
        running.node.set_state(ActorState::Running);
        running.lane.attach(running.index);
        myself.cast(Serve)?;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Serve>,
        _serve: Serve,
        running: &mut Box<Running<S>>,
    ) -> Result<(), ActorProcessingErr> {
        let node = running.node.clone();
        let served = Box::pin(watched(&node, running.serve())).await;
        running.tell_handled();
        match served {
            Ok(Ok(())) => {
                myself.stop(None);
                Ok(())
            }
            Ok(Err(failure)) => Err(failure.into()),
            Err(report) => Err(running.crash(report).into()),
        }
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Serve>,
        running: &mut Box<Running<S>>,
    ) -> Result<(), ActorProcessingErr> {
        running.ctx.reset();
        let Running { service, ctx, .. } = &mut **running;
        if let Err(report) = guarded(service.stop(ctx)).await {
            running.record_crash(report);
        }
        Ok(())
    }
}

/// Polls a worker's life: panics are caught, log lines know whose work is done, and a handler that
/// waits is seen to. One future around it, because every layer of wrappers would copy it.
async fn watched<F: Future>(node: &ActorNode, serving: F) -> Result<F::Output, PanicReport> {
    let mut serving = pin!(serving);
    let mut origin = None;
    std::future::poll_fn(|context| {
        let polled = poll_in_origin(&mut origin, || guard(|| serving.as_mut().poll(context)));
        if polled.is_pending() {
            node.note_waiting();
        }
        polled
    })
    .await
}

impl<S: Service> Running<S> {
    /// Handles messages until the worker is asked to stop.
    async fn serve(&mut self) -> Result<(), Failure> {
        let mut turn_ends = TURN;
        loop {
            if self.hands.is_empty() {
                self.tell_handled();
                let Self { lane, index, hands, .. } = &mut *self;
                let taken = std::future::poll_fn(|context| lane.poll_take(*index, hands, context));
                if taken.await == Next::Stop {
                    return Ok(());
                }
            }
            if S::BATCHES {
                self.deliver_batch().await?;
            } else if self.begin() {
                let result = self.service.handle(&mut self.current, &mut self.ctx).await;
                self.end(result);
            }
            if self.lane.shall_stop(self.index) {
                return Ok(());
            }
            if self.handled >= turn_ends {
                turn_ends = self.handled + TURN;
                tokio::task::yield_now().await;
            }
        }
    }

    /// Takes the next message into place for the handler; false if it had expired.
    ///
    /// It is looked at where it lies and moved once: envelopes are large enough for that to show.
    #[inline]
    fn begin(&mut self) -> bool {
        let Some(envelope) = self.hands.front() else { return false };
        self.handled += 1;
        if envelope.deadline.has_passed(self.lane.system.coarse_now()) {
            self.expire();
            return false;
        }
        if envelope.report != 0 && self.sole && envelope.report != self.node.report_mark() {
            self.drop_stale_report();
            return false;
        }
        let kind = envelope.message.kind();
        self.last.add(self.handled, kind, envelope.sender);
        let admission = if self.lane.is_tapped() { self.admit(kind) } else { None };
        if envelope.sent_nanos != 0 || admission.is_some() {
            self.watched = Some(self.watch(envelope, admission));
        }
        let Some(envelope) = self.hands.pop_front() else { return false };
        let Envelope { message, port, mut origin, deadline, priority, .. } = envelope;
        if self.sole {
            self.lane.set_in_hands(self.hands.len());
        }
        if origin.is_some() || self.origin_shown {
            self.origin_shown = origin.is_some();
            self.current_trace = origin.as_ref().map(|origin| origin.trace);
            if let Some(origin) = &mut origin
                && origin.sampled
            {
                let (protocol, path) = (<S::Message as Message>::PROTOCOL, self.lane.node.path());
                self.span = Some(OpenSpan::of_message(origin, (protocol, kind), &path));
            }
            set_current(origin.clone());
        }
        self.ctx.scope = Scope { deadline, priority, origin };
        self.ctx.port = port;
        self.current_kind = kind;
        self.current.lend(message);
        self.node.enter_handler();
        true
    }

    /// Accounts for a handled message.
    #[inline]
    fn end(&mut self, result: Handled) {
        self.node.leave_handler();
        self.current.clear();
        if self.watched.is_some() {
            self.record(if result.is_ok() { Outcome::Done } else { Outcome::Failed });
        }
        if let Some(span) = self.span.take() {
            span.end(result.as_ref().err().map(Failure::code));
        }
        match result {
            // A request that the handler neither answered nor passed on fails here.
            Ok(()) => drop(self.ctx.port.take()),
            Err(failure) => self.answer_failure(self.current_kind, failure),
        }
    }

    async fn deliver_batch(&mut self) -> Result<(), Failure> {
        let now = self.lane.system.coarse_now();
        let waiting = self.hands.len();
        for _ in 0..waiting {
            let Some(envelope) = self.hands.front() else { break };
            let stale =
                envelope.report != 0 && self.sole && envelope.report != self.node.report_mark();
            if envelope.deadline.has_passed(now) {
                self.handled += 1;
                self.expire();
            } else if stale {
                self.handled += 1;
                self.drop_stale_report();
            } else {
                self.hands.rotate_left(1);
            }
        }
        let fresh = self.hands.len();
        for (index, envelope) in self.hands.iter().enumerate() {
            let sequence = self.handled + 1 + index as u64;
            self.last.add(sequence, envelope.message.kind(), envelope.sender);
        }
        self.current_trace = None;
        self.ctx.reset();
        self.current_kind = "batch";
        self.node.enter_handler();
        let mut batch = Batch { hands: &mut self.hands };
        let result = self.service.handle_batch(&mut batch, &mut self.ctx).await;
        self.node.leave_handler();
        let taken = fresh - self.hands.len();
        self.handled += taken as u64;
        if self.sole {
            self.lane.set_in_hands(self.hands.len());
        }
        match result {
            // A batch that takes nothing would be called for ever.
            Ok(()) if taken == 0 && fresh > 0 => {
                Err(Failure::internal("actors.batch.stuck", "a batch handler took no message"))
            }
            Ok(()) => Ok(()),
            Err(failure) => {
                self.answer_failure("batch", failure);
                Ok(())
            }
        }
    }

    fn tell_handled(&mut self) {
        if self.handled != self.handled_told {
            self.lane.node.counters.add_handled(self.handled - self.handled_told);
            self.handled_told = self.handled;
        }
    }

    /// Accounts for the next message, whose deadline has passed.
    #[cold]
    fn expire(&mut self) {
        let Some(envelope) = self.hands.pop_front() else { return };
        if self.sole {
            self.lane.set_in_hands(self.hands.len());
        }
        self.lane.node.counters.count_expired();
        match envelope.port {
            Some(port) => port.fail(Failure::expired(), envelope.origin),
            None => self.lane.system.bury(&self.node, envelope, DeadReason::Expired),
        }
    }

    /// A report of an earlier incarnation is about work that this one knows nothing of.
    #[cold]
    fn drop_stale_report(&mut self) {
        self.hands.pop_front();
        self.lane.node.counters.count_dead();
    }

    fn answer_failure(&mut self, kind: &'static str, failure: Failure) {
        self.lane.node.counters.count_failed();
        match self.ctx.port.take() {
            Some(port) => port.fail(failure, self.ctx.scope.origin.clone()),
            None => {
                tracing::warn!(actor = %self.node.path(), kind, %failure, "a message that nobody waits for failed");
            }
        }
    }

    /// Accounts for a panic: the record, and the failure for whoever waited.
    fn crash(&mut self, report: PanicReport) -> Failure {
        self.node.leave_handler();
        let failure = Failure::crashed(&self.node.path());
        self.record(Outcome::Crashed);
        if let Some(span) = self.span.take() {
            span.end(Some(failure.code()));
        }
        self.record_crash(report);
        self.current.clear();
        if let Some(port) = self.ctx.port.take() {
            port.fail(failure.clone(), self.ctx.scope.origin.clone());
        }
        failure
    }

    fn record_crash(&self, report: PanicReport) {
        let node = &self.node;
        node.counters.count_crash();
        if !Arc::ptr_eq(node, &self.lane.node) {
            self.lane.node.counters.count_crash();
        }
        let killer_kind = Some(self.current_kind).filter(|kind| !kind.is_empty());
        with_origin(self.ctx.scope.origin.clone(), || {
            tracing::error!(actor = %node.path(), reason = %report.reason, location = report.location, kind = killer_kind, "an actor crashed");
        });
        let killer = self.current.peek();
        self.lane.system.record_crash(|number| Crash {
            number,
            at_nanos: Moment::now().as_nanos(),
            actor: node.path(),
            actor_id: node.id,
            incarnation: node.incarnation(),
            reason: report.reason,
            location: report.location,
            backtrace: report.backtrace,
            killer_kind: killer_kind.map(str::to_owned),
            killer: killer
                .map(|message| redaction_preview(&redacted(message), PREVIEW_BYTES_MAX).0),
            trace: self.current_trace.map(|trace| format!("{trace:032x}")),
            before: self.last.newest_first(),
            decision: CrashDecision::Pending,
        });
    }

    #[cold]
    fn admit(&self, kind: &str) -> Option<Admission> {
        let system = &self.lane.system;
        let protocol = <S::Message as Message>::PROTOCOL;
        system.shared.taps.admit(system.coarse_now(), &self.lane.node.path(), protocol, kind)
    }

    fn watch(&self, envelope: &Envelope<S::Message>, admission: Option<Admission>) -> Watched {
        let shown = admission.is_some_and(|admission| admission.payload);
        let payload =
            shown.then(|| redaction_preview(&redacted(&envelope.message), PREVIEW_BYTES_MAX));
        Watched {
            from: envelope.sender,
            sequence: self.handled,
            sent_nanos: envelope.sent_nanos,
            began_nanos: Moment::now().as_nanos(),
            asked: envelope.port.is_some(),
            trace: envelope.origin.as_ref().map(|origin| origin.trace),
            admission,
            payload,
        }
    }

    fn record(&mut self, outcome: Outcome) {
        let Some(watched) = self.watched.take() else { return };
        let kind = self.current_kind;
        let system = &self.lane.system;
        let ended_nanos = Moment::now().as_nanos();
        let protocol = <S::Message as Message>::PROTOCOL;
        if watched.sent_nanos != 0 {
            let wait = watched.began_nanos.saturating_sub(watched.sent_nanos);
            let handling = ended_nanos.saturating_sub(watched.began_nanos);
            system.shared.kinds.add(protocol, kind, (wait, handling));
        }
        let (payload, truncated) =
            watched.payload.map_or((None, false), |(text, cut)| (Some(text), cut));
        let path = self.lane.node.path();
        let record = |number| MessageRecord {
            number,
            to: path.clone(),
            incarnation: self.node.incarnation(),
            from: watched.from,
            protocol: Cow::Borrowed(protocol),
            kind: Cow::Borrowed(kind),
            sequence: watched.sequence,
            trace: watched.trace,
            asked: watched.asked,
            sent_nanos: watched.sent_nanos,
            began_nanos: watched.began_nanos,
            ended_nanos,
            outcome,
            payload: None,
            truncated: false,
        };
        let number = system.shared.records.push(record);
        if let Some(admission) = watched.admission {
            let record = MessageRecord { payload, truncated, ..record(number) };
            system.shared.taps.add(admission, &record);
        }
    }
}

/// What is noted of a watched message before it is handled.
struct Watched {
    from: u32,
    sequence: u64,
    sent_nanos: u64,
    began_nanos: u64,
    asked: bool,
    trace: Option<u128>,
    admission: Option<Admission>,
    payload: Option<(String, bool)>,
}

impl<S: Service> Drop for Running<S> {
    fn drop(&mut self) {
        if !S::BATCHES && self.node.is_in_handler() {
            // Killed inside a handler: that message is lost, and its dropped port fails the asker.
            self.lane.node.counters.count_dead();
        }
        self.tell_handled();
        self.lane.detach(self.index, &mut self.hands);
    }
}

fn slow_start(node: &ActorNode, within: Duration) -> Failure {
    Failure::unavailable(
        "actors.start.slow",
        format!("{} did not start within {} ms", node.path(), within.as_millis()),
    )
}
