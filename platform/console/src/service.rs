//! The actor of the console: it answers from passive views and keeps the book of taps.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use troupe_actors::{Context, Failure, Handled, Lent, Request, Scope, Service, System};
use troupe_kernel::audit::{AuditRecord, Outcome};
use troupe_kernel::clock::SharedClock;
use troupe_kernel::module::Declarations;
use troupe_kernel::ports::AuditLog;
use uuid::Uuid;

use crate::messages::{
    GetActor, GetCrash, GetTop, GetTree, InspectMessage, ListCrashes, ListDeadLetters, ListRecords,
    StartTap, SweepTaps,
};
use crate::permissions::PAYLOAD_READ;
use crate::taps::TapBook;
use crate::views::{
    ActorPage, ActorSummary, ActorsView, CrashSummary, CrashView, DeadLetterView, KindView,
    NodeView, ProtocolView, RecordView, Times, TreeBranch, TreeView,
};

const TREE_NODES_MAX: u32 = 500;
const TOP_MAX: u32 = 200;
const LIST_MAX: u32 = 100;
const RECORDS_MAX: u32 = 200;
/// More crashes and records than any node keeps: their rings are the bound.
const ALL: usize = 100_000;
const PAGE_RECORDS: usize = 20;
const PAGE_CRASHES: usize = 5;
const SWEEP: Duration = Duration::from_secs(1);

/// What the service works with.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) system: System,
    pub(crate) clock: SharedClock,
    pub(crate) audit: Arc<dyn AuditLog>,
    pub(crate) declarations: Declarations,
    pub(crate) taps: TapBook,
}

/// Answers what the inspection API asks.
///
/// Mailbox: 256. Restart: permanent. A crash loses nothing: it has no state of its own, and taps
/// stay in the book.
pub(crate) struct Inspector {
    setup: Setup,
    payload_bit: Option<u16>,
}

impl Inspector {
    pub(crate) fn new(setup: Setup) -> Self {
        Self { setup, payload_bit: None }
    }

    fn times(&self) -> Times {
        Times::new(&*self.setup.clock)
    }

    fn node(&self) -> NodeView {
        let system = &self.setup.system;
        NodeView {
            name: system.name().to_owned(),
            at: self.setup.clock.now(),
            actors: system.actor_count() as u64,
            crashes: system.crash_count(),
            dead_letters: system.dead_letter_count(),
            taps: self.setup.taps.len() as u64,
            wire_always: system.wire_always(),
        }
    }

    fn tree(&self, query: &GetTree) -> Result<TreeView, Failure> {
        let nodes = within("nodes", query.nodes, TREE_NODES_MAX)?;
        let system = &self.setup.system;
        let roots: Vec<TreeBranch> = system.tree(nodes).into_iter().map(TreeBranch::from).collect();
        Ok(TreeView {
            at: self.setup.clock.now(),
            total: system.actor_count() as u64,
            shown: roots.iter().map(TreeBranch::actors).sum(),
            roots,
        })
    }

    fn top(&self, query: &GetTop) -> Result<ActorsView, Failure> {
        let k = within("k", query.k, TOP_MAX)?;
        let system = &self.setup.system;
        let actors = system.top(k, query.sort.into());
        Ok(ActorsView {
            at: self.setup.clock.now(),
            sort: query.sort,
            total: system.actor_count() as u64,
            actors: actors.into_iter().map(ActorSummary::from).collect(),
        })
    }

    fn actor(&self, query: &GetActor) -> Result<ActorPage, Failure> {
        let system = &self.setup.system;
        let actor = system.actor(&query.path).ok_or_else(|| {
            let detail = format!("no actor lives at {}; the tree shows the paths", query.path);
            Failure::not_found("console.actor.unknown", detail)
        })?;
        let times = self.times();
        let records = system.records(ALL).into_iter().filter(|record| *record.to == *query.path);
        let crashes = system.crashes(ALL).into_iter().filter(|crash| *crash.actor == *query.path);
        Ok(ActorPage {
            actor: actor.into(),
            records: records
                .take(PAGE_RECORDS)
                .map(|record| RecordView::new(record, &times))
                .collect(),
            crashes: crashes
                .take(PAGE_CRASHES)
                .map(|crash| CrashSummary::new(&crash, &times))
                .collect(),
        })
    }

    fn protocols(&self) -> Vec<ProtocolView> {
        self.setup.system.protocols().into_iter().map(ProtocolView::from).collect()
    }

    fn kinds(&self) -> Vec<KindView> {
        self.setup.system.kinds().into_iter().map(KindView::from).collect()
    }

    fn crashes(&self, query: &ListCrashes) -> Result<Vec<CrashSummary>, Failure> {
        let limit = within("limit", query.limit, LIST_MAX)?;
        let times = self.times();
        let crashes = self.setup.system.crashes(limit);
        Ok(crashes.iter().map(|crash| CrashSummary::new(crash, &times)).collect())
    }

    fn crash(&self, query: &GetCrash) -> Result<CrashView, Failure> {
        let found =
            self.setup.system.crashes(ALL).into_iter().find(|crash| crash.number == query.number);
        let crash = found.ok_or_else(|| {
            let detail = format!("crash {} is not kept (any more)", query.number);
            Failure::not_found("console.crash.unknown", detail)
        })?;
        Ok(CrashView::new(crash, query.payload, &self.times()))
    }

    fn dead_letters(&self, query: &ListDeadLetters) -> Result<Vec<DeadLetterView>, Failure> {
        let limit = within("limit", query.limit, LIST_MAX)?;
        let times = self.times();
        let letters = self.setup.system.dead_letters(limit).into_iter();
        Ok(letters.map(|letter| DeadLetterView::new(letter, query.payload, &times)).collect())
    }

    fn records(&self, query: &ListRecords) -> Result<Vec<RecordView>, Failure> {
        let limit = within("limit", query.limit, RECORDS_MAX)?;
        let times = self.times();
        let of_trace = query.trace.as_deref().map(|text| u128::from_str_radix(text, 16).ok());
        let wanted = |trace: Option<u128>, to: &str| {
            of_trace.is_none_or(|wanted| wanted.is_some() && trace == wanted)
                && query.actor.as_deref().is_none_or(|wanted| to == wanted)
        };
        let records = self.setup.system.records(ALL).into_iter();
        let records = records.filter(|record| wanted(record.trace, &record.to));
        Ok(records.take(limit).map(|record| RecordView::new(record, &times)).collect())
    }

    /// Answers what shows contents of messages, or refuses it. Both are audited, and the answer
    /// leaves only when the record is durable.
    fn disclose<Q>(
        &self,
        ctx: &mut Context<InspectMessage>,
        query: &Q,
        look: Look,
        answer: impl FnOnce() -> Result<Q::Reply, Failure>,
    ) -> Handled
    where
        Q: Request<Protocol = InspectMessage>,
    {
        let record = AuditRecord::new(ctx.scope(), look.action, look.resource).detail(look.detail);
        let (record, answer) = if look.payload && !self.may_see_payload(ctx.scope()) {
            (record.outcome(Outcome::Denied), Err(payload_forbidden()))
        } else {
            match answer() {
                Ok(answer) => (record, Ok(answer)),
                // What was not shown needs no record.
                Err(failure) => return Err(failure),
            }
        };
        let audit = self.setup.audit.clone();
        let scope = ctx.scope().clone();
        let reply = ctx.defer(query);
        ctx.run(async move {
            let recorded = audit.record(record, &scope).await;
            reply.send(recorded.and(answer));
            None
        })
    }

    fn may_see_payload(&self, scope: &Scope) -> bool {
        let permissions = scope.principal().map(|principal| &principal.permissions);
        self.payload_bit
            .zip(permissions)
            .is_some_and(|(bit, permissions)| permissions.contains(bit))
    }

    fn start_tap(&self, ctx: &mut Context<InspectMessage>, request: &StartTap) -> Handled {
        let owner = owner(ctx.scope());
        let look = Look {
            action: "act.tap.start",
            resource: format!("node:{}", self.setup.system.name()),
            detail: json!({
                "path": request.path, "protocol": request.protocol, "kind": request.kind,
                "records": request.records, "seconds": request.seconds, "payload": request.payload,
            }),
            payload: request.payload,
        };
        let times = self.times();
        self.disclose(ctx, request, look, || self.setup.taps.start(request, owner, &times))
    }
}

/// What is looked at, for the audit.
struct Look {
    action: &'static str,
    resource: String,
    detail: Value,
    /// Whether contents of messages are shown.
    payload: bool,
}

impl Look {
    fn payload(resource: String) -> Self {
        Self { action: "inspect.payload.read", resource, detail: Value::Null, payload: true }
    }
}

impl Service for Inspector {
    type Message = InspectMessage;

    async fn start(&mut self, ctx: &mut Context<InspectMessage>) -> Handled {
        self.payload_bit = self.setup.declarations.get().catalog.bit(PAYLOAD_READ);
        ctx.every(SWEEP, || SweepTaps.into())
    }

    async fn handle(
        &mut self,
        message: &mut Lent<InspectMessage>,
        ctx: &mut Context<InspectMessage>,
    ) -> Handled {
        let taps = &self.setup.taps;
        match &**message {
            InspectMessage::GetNode(query) => ctx.reply(query, self.node()),
            InspectMessage::GetTree(query) => ctx.reply(query, self.tree(query)?),
            InspectMessage::GetTop(query) => ctx.reply(query, self.top(query)?),
            InspectMessage::GetActor(query) => ctx.reply(query, self.actor(query)?),
            InspectMessage::GetProtocols(query) => ctx.reply(query, self.protocols()),
            InspectMessage::GetKinds(query) => ctx.reply(query, self.kinds()),
            InspectMessage::ListCrashes(query) => ctx.reply(query, self.crashes(query)?),
            InspectMessage::GetCrash(query) if query.payload => {
                let look = Look::payload(format!("crash:{}", query.number));
                self.disclose(ctx, query, look, || self.crash(query))
            }
            InspectMessage::GetCrash(query) => ctx.reply(query, self.crash(query)?),
            InspectMessage::ListDeadLetters(query) if query.payload => {
                let look = Look::payload("dead-letters".to_owned());
                self.disclose(ctx, query, look, || self.dead_letters(query))
            }
            InspectMessage::ListDeadLetters(query) => ctx.reply(query, self.dead_letters(query)?),
            InspectMessage::ListRecords(query) => ctx.reply(query, self.records(query)?),
            InspectMessage::StartTap(request) => self.start_tap(ctx, request),
            InspectMessage::ListTaps(query) => ctx.reply(query, taps.list()),
            InspectMessage::ReadTap(query) => {
                let owner = owner(ctx.scope());
                let read = taps.read(query.id, owner, query.after, &self.times())?;
                ctx.reply(query, read)
            }
            InspectMessage::StopTap(request) => {
                taps.stop(request.id, owner(ctx.scope()))?;
                ctx.reply(request, ())
            }
            InspectMessage::SweepTaps(_) => {
                taps.sweep();
                Ok(())
            }
        }
    }

    async fn stop(&mut self, _ctx: &mut Context<InspectMessage>) {
        self.setup.taps.close_all();
    }
}

fn owner(scope: &Scope) -> Option<Uuid> {
    scope.subject()
}

fn within(name: &str, wanted: u32, max: u32) -> Result<usize, Failure> {
    if (1..=max).contains(&wanted) {
        return Ok(usize::try_from(wanted).unwrap_or(usize::MAX));
    }
    let detail = format!("ask for 1 to {max}");
    Err(Failure::invalid("console.limit.range", format!("`{name}`: {detail}")).field(name, detail))
}

fn payload_forbidden() -> Failure {
    Failure::forbidden(
        "console.payload.forbidden",
        format!("to see contents of messages you need the permission {PAYLOAD_READ}"),
    )
}
