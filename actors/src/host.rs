//! The ractor actor that runs one incarnation of a service: it drains the lane in place.
//!
//! ractor's queue holds wake tokens only, so stop and kill are seen after at most one drain.
//! Each handler call is guarded by itself: a panic costs the message, its asker's answer and this
//! incarnation; what waits stays.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ractor::{ActorProcessingErr, ActorRef};

use crate::context::Context;
use crate::current::{in_origin, with_origin};
use crate::failure::Failure;
use crate::mailbox::{Envelope, Lane, Wake};
use crate::message::Message;
use crate::observation::{
    ActorNode, ActorState, Crash, CrashDecision, DeadReason, LastHeaders, MessageRecord, Outcome,
    PanicReport, TapHit, guarded, redacted, redaction_preview,
};
use crate::reference::ServiceRef;
use crate::service::{Batch, Lent, Service};
use crate::system::PREVIEW_BYTES_MAX;
use crate::time::Moment;

/// Messages handled before control messages get their turn.
const DRAIN_MAX: u64 = 256;
const APPETITE_MAX: usize = 1 << 20;

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
    pub(crate) start_within: Duration,
}

pub(crate) struct Running<S: Service> {
    service: S,
    ctx: Context<S::Message>,
    lane: Arc<Lane<S::Message>>,
    node: Arc<ActorNode>,
    index: usize,
    hands: VecDeque<Envelope<S::Message>>,
    last: LastHeaders,
    in_handler: bool,
    /// Messages to take at once: one after a handler that waited, doubling while handlers do not.
    appetite: usize,
}

impl<S: Service> ractor::Actor for Host<S> {
    type Msg = Wake;
    type State = Running<S>;
    type Arguments = Incarnation<S>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Wake>,
        incarnation: Incarnation<S>,
    ) -> Result<Running<S>, ActorProcessingErr> {
        let Incarnation { service, lane, node, index, start_within } = incarnation;
        node.begin_incarnation();
        let mut running = Running {
            service,
            ctx: Context::new(ServiceRef { lane: lane.clone() }),
            lane,
            node,
            index,
            hands: VecDeque::new(),
            last: LastHeaders::new(),
            in_handler: false,
            appetite: APPETITE_MAX,
        };
        let Running { service, ctx, .. } = &mut running;
        let started = guarded(tokio::time::timeout(start_within, service.start(ctx))).await;
        match started {
            Ok(Ok(Ok(()))) => Ok(running),
            Ok(Ok(Err(failure))) => Err(failure.into()),
            Ok(Err(_)) => Err(slow_start(&running.node, start_within).into()),
            Err(report) => {
                running.record_crash(report, None);
                Err(Failure::crashed(&running.node.path()).into())
            }
        }
    }

    async fn post_start(
        &self,
        myself: ActorRef<Wake>,
        running: &mut Running<S>,
    ) -> Result<(), ActorProcessingErr> {
        running.node.set_state(ActorState::Running);
        running.lane.attach(running.index, myself);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Wake>,
        _wake: Wake,
        running: &mut Running<S>,
    ) -> Result<(), ActorProcessingErr> {
        let mut handled = 0;
        let ended = running.drain(&mut handled).await;
        running.lane.node.counters.add_handled(handled);
        if ended? == Drained::ForNow {
            myself.cast(Wake::Ring)?;
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Wake>,
        running: &mut Running<S>,
    ) -> Result<(), ActorProcessingErr> {
        running.ctx.reset();
        let Running { service, ctx, .. } = running;
        if let Err(report) = guarded(service.stop(ctx)).await {
            running.record_crash(report, None);
        }
        Ok(())
    }
}

#[derive(PartialEq, Eq)]
enum Drained {
    /// Nothing waits; the next message rings.
    Empty,
    /// More waits, but control messages go first.
    ForNow,
}

impl<S: Service> Running<S> {
    async fn drain(&mut self, handled: &mut u64) -> Result<Drained, Failure> {
        loop {
            if self.hands.is_empty() && !self.lane.take(self.index, self.appetite, &mut self.hands)
            {
                return Ok(Drained::Empty);
            }
            if S::BATCHES {
                self.deliver_batch(handled).await?;
            } else {
                while let Some(envelope) = self.hands.pop_front() {
                    *handled += 1;
                    self.deliver(envelope).await?;
                    if *handled >= DRAIN_MAX {
                        break;
                    }
                }
            }
            if *handled >= DRAIN_MAX {
                return Ok(Drained::ForNow);
            }
        }
    }

    async fn deliver(&mut self, envelope: Envelope<S::Message>) -> Result<(), Failure> {
        if envelope.scope.deadline.has_passed(self.lane.system.coarse_now()) {
            self.expire(envelope);
            return Ok(());
        }
        let Envelope { message, scope, port, sender, sequence, sent_nanos } = envelope;
        let kind = message.kind();
        self.last.add(sequence, kind, sender);
        let watched = if sent_nanos != 0 || self.lane.is_tapped() {
            Some(self.watch(&message, sender, sequence, sent_nanos, port.is_some()))
        } else {
            None
        };
        self.ctx.scope = scope;
        self.ctx.port = port;
        let mut lent = Lent::new(message);
        let result = {
            self.in_handler = true;
            let Self { service, ctx, node, lane, hands, appetite, .. } = &mut *self;
            let origin = ctx.scope.origin.clone();
            let mut handling = pin!(guarded(in_origin(origin, service.handle(&mut lent, ctx))));
            match std::future::poll_fn(|context| Poll::Ready(handling.as_mut().poll(context))).await
            {
                Poll::Ready(result) => {
                    *appetite = (*appetite * 2).min(APPETITE_MAX);
                    result
                }
                Poll::Pending => {
                    lane.put_back(hands);
                    *appetite = 1;
                    node.set_busy_since(Moment::now().as_nanos());
                    let result = handling.await;
                    node.set_busy_since(0);
                    result
                }
            }
        };
        self.in_handler = false;
        let outcome = match &result {
            Ok(Ok(())) => Outcome::Done,
            Ok(Err(_)) => Outcome::Failed,
            Err(_) => Outcome::Crashed,
        };
        if let Some(watched) = watched {
            self.record(watched, kind, outcome);
        }
        match result {
            Ok(Ok(())) => {
                // A request that the handler neither answered nor passed on fails here.
                self.ctx.port = None;
                Ok(())
            }
            Ok(Err(failure)) => {
                self.answer_failure(kind, failure);
                Ok(())
            }
            Err(report) => Err(self.crash(report, Some((kind, lent.peek())))),
        }
    }

    async fn deliver_batch(&mut self, handled: &mut u64) -> Result<(), Failure> {
        let now = self.lane.system.coarse_now();
        let mut fresh = VecDeque::with_capacity(self.hands.len());
        while let Some(envelope) = self.hands.pop_front() {
            if envelope.scope.deadline.has_passed(now) {
                self.expire(envelope);
            } else {
                self.last.add(envelope.sequence, envelope.message.kind(), envelope.sender);
                fresh.push_back(envelope);
            }
        }
        self.hands = fresh;
        self.ctx.reset();
        let Self { service, ctx, hands, .. } = &mut *self;
        let mut batch = Batch { hands, taken: 0 };
        let result = guarded(service.handle_batch(&mut batch, ctx)).await;
        let taken = batch.taken;
        *handled += taken;
        match result {
            // A batch that takes nothing would be called for ever.
            Ok(Ok(())) if taken == 0 && !self.hands.is_empty() => {
                Err(Failure::internal("actors.batch.stuck", "a batch handler took no message"))
            }
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => {
                self.answer_failure("batch", failure);
                Ok(())
            }
            Err(report) => Err(self.crash(report, None)),
        }
    }

    fn expire(&self, envelope: Envelope<S::Message>) {
        self.lane.node.counters.count_expired();
        match envelope.port {
            Some(port) => port.fail(Failure::expired(), envelope.scope.origin),
            None => self.lane.system.bury(&self.node, envelope, DeadReason::Expired),
        }
    }

    fn answer_failure(&mut self, kind: &'static str, failure: Failure) {
        self.lane.node.counters.count_failed();
        match self.ctx.port.take() {
            Some(port) => port.fail(failure, self.ctx.scope.origin.clone()),
            None => {
                with_origin(self.ctx.scope.origin.clone(), || {
                    tracing::warn!(actor = %self.node.path(), kind, %failure, "a message that nobody waits for failed");
                });
            }
        }
    }

    fn crash(
        &mut self,
        report: PanicReport,
        killer: Option<(&'static str, Option<&S::Message>)>,
    ) -> Failure {
        let failure = Failure::crashed(&self.node.path());
        self.record_crash(report, killer);
        if let Some(port) = self.ctx.port.take() {
            port.fail(failure.clone(), self.ctx.scope.origin.clone());
        }
        failure
    }

    fn record_crash(
        &self,
        report: PanicReport,
        killer: Option<(&'static str, Option<&S::Message>)>,
    ) {
        let node = &self.node;
        node.counters.count_crash();
        if !Arc::ptr_eq(node, &self.lane.node) {
            self.lane.node.counters.count_crash();
        }
        with_origin(self.ctx.scope.origin.clone(), || {
            tracing::error!(actor = %node.path(), reason = %report.reason, location = report.location, kind = killer.map(|(kind, _)| kind), "an actor crashed");
        });
        self.lane.system.record_crash(|number| Crash {
            number,
            at_nanos: Moment::now().as_nanos(),
            actor: node.path(),
            actor_id: node.id,
            incarnation: node.incarnation(),
            reason: report.reason,
            location: report.location,
            backtrace: report.backtrace,
            killer_kind: killer.map(|(kind, _)| kind.to_owned()),
            killer: killer
                .and_then(|(_, message)| message)
                .map(|message| redaction_preview(&redacted(message), PREVIEW_BYTES_MAX).0),
            trace: self.ctx.scope.trace_id(),
            before: self.last.newest_first(),
            decision: CrashDecision::Pending,
        });
    }

    fn watch(
        &self,
        message: &S::Message,
        from: u64,
        sequence: u64,
        sent_nanos: u64,
        asked: bool,
    ) -> Watched {
        let mut payload = None;
        let mut tapped = false;
        if self.lane.is_tapped() {
            let path = self.lane.node.path();
            let hit = self.lane.system.shared.taps.wants(
                &path,
                <S::Message as Message>::PROTOCOL,
                message.kind(),
            );
            tapped = hit != TapHit::None;
            if hit == TapHit::Payload {
                payload = Some(redaction_preview(&redacted(message), PREVIEW_BYTES_MAX));
            }
        }
        Watched {
            from,
            sequence,
            sent_nanos,
            began_nanos: Moment::now().as_nanos(),
            asked,
            tapped,
            payload,
        }
    }

    fn record(&self, watched: Watched, kind: &'static str, outcome: Outcome) {
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
            protocol: protocol.to_owned(),
            kind: kind.to_owned(),
            sequence: watched.sequence,
            trace: self.ctx.scope.trace_id(),
            asked: watched.asked,
            sent_nanos: watched.sent_nanos,
            began_nanos: watched.began_nanos,
            ended_nanos,
            outcome,
            payload: None,
            truncated: false,
        };
        let number = system.shared.records.push(record);
        if watched.tapped {
            let record = MessageRecord { payload, truncated, ..record(number) };
            system.shared.taps.add(&path, &record);
        }
    }
}

/// What is noted of a watched message before it is handled.
struct Watched {
    from: u64,
    sequence: u64,
    sent_nanos: u64,
    began_nanos: u64,
    asked: bool,
    tapped: bool,
    payload: Option<(String, bool)>,
}

impl<S: Service> Drop for Running<S> {
    fn drop(&mut self) {
        if self.in_handler {
            // Killed inside a handler: that message is lost, and its dropped port fails the asker.
            self.lane.node.counters.count_dead();
        }
        self.lane.detach(self.index, &mut self.hands);
    }
}

fn slow_start(node: &ActorNode, within: Duration) -> Failure {
    Failure::unavailable(
        "actors.start.slow",
        format!("{} did not start within {} ms", node.path(), within.as_millis()),
    )
}
