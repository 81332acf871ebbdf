//! What traced work leaves behind, and what untraced work does not.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use troupe_actors::testing::Universe;
use troupe_actors::{
    Context, Failure, Handled, Lent, Origin, ReplyPort, Scope, Service, ServiceRef, Span, SpanKind,
    Spec, child_span, collect_spans,
};
use uuid::Uuid;

/// All spans of a process are in one place: one test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());
/// Far more than the spans of these tests.
const WAITING_MAX: usize = 10_000;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pass;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Finish {
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum How {
    Well,
    Failing,
    Crashing,
}

troupe_actors::protocol! {
    enum GateMessage("gate", 1) redact [] {
        Finish => (),
    }
}

troupe_actors::protocol! {
    enum WorkerMessage("worker", 1) redact [] {
        Finish,
        Pass,
    }
}

struct Gate {
    next: ServiceRef<WorkerMessage>,
}

impl Service for Gate {
    type Message = GateMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<GateMessage>,
        ctx: &mut Context<GateMessage>,
    ) -> Handled {
        let GateMessage::Finish(finish) = message.take();
        ctx.forward(&self.next, finish)
    }
}

/// Answers what went well when its message to itself has come.
#[derive(Default)]
struct Worker {
    asked: Option<ReplyPort>,
}

impl Service for Worker {
    type Message = WorkerMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<WorkerMessage>,
        ctx: &mut Context<WorkerMessage>,
    ) -> Handled {
        let WorkerMessage::Finish(Finish { how }) = &**message else {
            self.asked.take().expect("it was asked").typed().send(Ok(()));
            return Ok(());
        };
        if let Some(span) = child_span("store.read", SpanKind::Client) {
            tokio::time::sleep(Duration::from_millis(2)).await;
            span.end(None);
        }
        match how {
            How::Well => {
                self.asked = ctx.take_port();
                ctx.tell(&ctx.me().clone(), Pass)
            }
            How::Failing => Err(Failure::conflict("worker.busy", "ask again")),
            How::Crashing => panic!("a defect"),
        }
    }
}

/// Asks through the gate; answers the spans of its trace, by their begin.
async fn spans_of(how: How, sampled: bool) -> (Origin, Vec<Span>) {
    let _alone = ALONE.lock().await;
    let spans = collect_spans(WAITING_MAX);
    let universe = Universe::start().await;
    let worker = universe.spawn(Spec::new(universe.system(), "worker", Worker::default)).await;
    let gate = Spec::new(universe.system(), "gate", move || Gate { next: worker.clone() });
    let gate = universe.spawn(gate).await;
    let mut origin = Origin::new(Uuid::now_v7());
    origin.sampled = sampled;
    let scope = Scope::root(Duration::from_secs(5), origin.clone());
    let answer = gate.ask(&scope, Finish { how }).await;
    assert_eq!(answer.is_ok(), how == How::Well, "{answer:?}");
    universe.finish().await;
    let mut taken = spans.take(WAITING_MAX);
    taken.retain(|span| span.trace == origin.trace);
    taken.sort_by_key(|span| span.began);
    (origin, taken)
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
}

#[tokio::test]
async fn a_traced_message_is_a_chain_of_spans() {
    let (origin, spans) = spans_of(How::Well, true).await;
    let gate = named(&spans, "gate Finish");
    let worker = named(&spans, "worker Finish");
    let read = named(&spans, "store.read");
    let told = named(&spans, "worker Pass");
    assert_eq!(spans.len(), 4, "{spans:#?}");
    assert_eq!(gate.parent, origin.span);
    assert_eq!((worker.parent, read.parent, told.parent), (gate.id, worker.id, worker.id));
    assert!(read.ended.since(read.began) >= Duration::from_millis(2));
    assert!(spans.iter().all(|span| span.failure.is_none()), "{spans:#?}");
}

#[tokio::test]
async fn a_failure_and_a_crash_are_noted_by_their_code() {
    for (how, code) in [(How::Failing, "worker.busy"), (How::Crashing, "actors.handler.crashed")] {
        let (_, spans) = spans_of(how, true).await;
        assert_eq!(named(&spans, "worker Finish").failure.as_deref(), Some(code));
        assert_eq!(named(&spans, "gate Finish").failure, None, "it passed the message on");
    }
}

#[tokio::test]
async fn what_is_not_traced_leaves_nothing() {
    let (_, spans) = spans_of(How::Well, false).await;
    assert!(spans.is_empty(), "{spans:#?}");
}
