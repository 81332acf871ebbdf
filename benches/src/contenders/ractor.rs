//! ractor as it is, with the features the workspace uses: unbounded mailbox, no counters, and a
//! deadline for each call only if one is given.

use std::time::Duration;

use anyhow::anyhow;
use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, call};
use tokio::task::yield_now;

use super::{Alive, BURST, CALLERS, HOPS, PAYLOAD, Payload, SENDERS};
use crate::Scenario;

struct Bench;

enum BenchMessage {
    Count(u64, #[cfg_attr(feature = "wide", expect(dead_code, reason = "weight"))] Payload),
    Echo(u64, Payload, RpcReplyPort<u64>),
    Sum(RpcReplyPort<u64>),
}

struct State {
    sum: u64,
    next: Option<ActorRef<BenchMessage>>,
}

impl Actor for Bench {
    type Msg = BenchMessage;
    type State = State;
    type Arguments = Option<ActorRef<BenchMessage>>;

    async fn pre_start(
        &self,
        _myself: ActorRef<BenchMessage>,
        next: Option<ActorRef<BenchMessage>>,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State { sum: 0, next })
    }

    async fn handle(
        &self,
        _myself: ActorRef<BenchMessage>,
        message: BenchMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            BenchMessage::Count(amount, _) => state.sum += amount,
            BenchMessage::Echo(value, payload, reply) => match &state.next {
                None => reply.send(value)?,
                Some(next) => next.cast(BenchMessage::Echo(value, payload, reply))?,
            },
            BenchMessage::Sum(reply) => reply.send(state.sum)?,
        }
        Ok(())
    }
}

async fn add(next: Option<ActorRef<BenchMessage>>) -> anyhow::Result<ActorRef<BenchMessage>> {
    Ok(Actor::spawn(None, Bench, next).await?.0)
}

async fn add_under(supervisor: &ActorRef<BenchMessage>) -> anyhow::Result<ActorRef<BenchMessage>> {
    Ok(Actor::spawn_linked(None, Bench, None, supervisor.get_cell()).await?.0)
}

async fn ask(
    actor: &ActorRef<BenchMessage>,
    value: u64,
    deadline: Option<Duration>,
) -> anyhow::Result<u64> {
    let message = |reply| BenchMessage::Echo(value, PAYLOAD, reply);
    match actor.call(message, deadline).await? {
        CallResult::Success(value) => Ok(value),
        _ => Err(anyhow!("no answer")),
    }
}

pub(super) async fn run(
    scenario: Scenario,
    operations: u64,
    deadline: Option<Duration>,
) -> anyhow::Result<()> {
    match scenario {
        Scenario::FanIn => fan_in(&add(None).await?, operations).await,
        Scenario::CallOne => {
            let actor = add(None).await?;
            for value in 0..operations {
                ask(&actor, value, deadline).await?;
            }
            Ok(())
        }
        Scenario::CallMany => call_many(&add(None).await?, operations, deadline).await,
        Scenario::Chain => {
            let mut first = None;
            for _ in 0..HOPS {
                first = Some(add(first).await?);
            }
            let first = first.ok_or_else(|| anyhow!("a chain has hops"))?;
            call_many(&first, operations, deadline).await
        }
        Scenario::Spawn => {
            let supervisor = add(None).await?;
            for _ in 0..operations {
                add_under(&supervisor).await?;
            }
            Ok(())
        }
    }
}

async fn fan_in(actor: &ActorRef<BenchMessage>, operations: u64) -> anyhow::Result<()> {
    let senders = (0..SENDERS).map(|_| async {
        for sent in 0..operations / SENDERS {
            actor.cast(BenchMessage::Count(1, PAYLOAD))?;
            if sent % BURST == 0 {
                yield_now().await;
            }
        }
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(senders).await?;
    let sum = call!(actor, BenchMessage::Sum)?;
    anyhow::ensure!(sum == operations, "every message is counted");
    Ok(())
}

async fn call_many(
    actor: &ActorRef<BenchMessage>,
    operations: u64,
    deadline: Option<Duration>,
) -> anyhow::Result<()> {
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let actor = actor.clone();
        callers.spawn(async move {
            for value in 0..operations / CALLERS {
                ask(&actor, value, deadline).await?;
            }
            anyhow::Ok(())
        });
    }
    callers.join_all().await.into_iter().collect()
}

pub(super) async fn grow(count: u64) -> anyhow::Result<Alive> {
    let supervisor = add(None).await?;
    let mut actors = Vec::new();
    for _ in 0..count {
        actors.push(add_under(&supervisor).await?);
    }
    Ok(Box::new((supervisor, actors)))
}
