//! kameo with a bounded mailbox.

use std::convert::Infallible;

use anyhow::anyhow;
use kameo::Actor;
use kameo::actor::{ActorRef, Spawn};
use kameo::mailbox;
use kameo::message::{Context, Message};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::{Alive, BURST, CALLERS, HOPS, PAYLOAD, Payload, SENDERS};
use crate::Scenario;

const CAPACITY: usize = 1 << 16;

struct Bench {
    sum: u64,
    next: Option<ActorRef<Self>>,
}

impl Actor for Bench {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(state: Self, _actor: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(state)
    }
}

struct Count(u64, #[cfg_attr(feature = "wide", expect(dead_code, reason = "weight"))] Payload);
struct Echo(u64, #[cfg_attr(feature = "wide", expect(dead_code, reason = "weight"))] Payload);
/// A reply port that travels on with the message.
struct Hop(
    u64,
    #[cfg_attr(feature = "wide", expect(dead_code, reason = "weight"))] Payload,
    oneshot::Sender<u64>,
);
struct Sum;

impl Message<Count> for Bench {
    type Reply = ();

    async fn handle(&mut self, count: Count, _ctx: &mut Context<Self, ()>) {
        self.sum += count.0;
    }
}

impl Message<Echo> for Bench {
    type Reply = u64;

    async fn handle(&mut self, echo: Echo, _ctx: &mut Context<Self, u64>) -> u64 {
        echo.0
    }
}

impl Message<Hop> for Bench {
    type Reply = ();

    async fn handle(&mut self, hop: Hop, _ctx: &mut Context<Self, ()>) {
        match &self.next {
            None => drop(hop.2.send(hop.0)),
            Some(next) => drop(next.tell(hop).try_send()),
        }
    }
}

impl Message<Sum> for Bench {
    type Reply = u64;

    async fn handle(&mut self, _sum: Sum, _ctx: &mut Context<Self, u64>) -> u64 {
        self.sum
    }
}

async fn add(next: Option<ActorRef<Bench>>, capacity: usize) -> anyhow::Result<ActorRef<Bench>> {
    let actor = Bench::spawn_with_mailbox(Bench { sum: 0, next }, mailbox::bounded(capacity));
    actor.wait_for_startup().await;
    Ok(actor)
}

pub(super) async fn run(scenario: Scenario, operations: u64) -> anyhow::Result<()> {
    match scenario {
        Scenario::FanIn => fan_in(&add(None, CAPACITY).await?, operations).await,
        Scenario::CallOne => {
            let actor = add(None, CAPACITY).await?;
            for value in 0..operations {
                actor.ask(Echo(value, PAYLOAD)).await.map_err(|_| anyhow!("no answer"))?;
            }
            Ok(())
        }
        Scenario::CallMany => {
            let actor = add(None, CAPACITY).await?;
            let mut callers = tokio::task::JoinSet::new();
            for _ in 0..CALLERS {
                let actor = actor.clone();
                callers.spawn(async move {
                    for value in 0..operations / CALLERS {
                        actor.ask(Echo(value, PAYLOAD)).await.map_err(|_| anyhow!("no answer"))?;
                    }
                    anyhow::Ok(())
                });
            }
            callers.join_all().await.into_iter().collect()
        }
        Scenario::Chain => {
            let mut first = None;
            for _ in 0..HOPS {
                first = Some(add(first, CAPACITY).await?);
            }
            chain(&first.ok_or_else(|| anyhow!("a chain has hops"))?, operations).await
        }
        Scenario::Spawn => {
            let mut actors = Vec::new();
            for _ in 0..operations {
                actors.push(add(None, 1024).await?);
            }
            Ok(())
        }
    }
}

async fn fan_in(actor: &ActorRef<Bench>, operations: u64) -> anyhow::Result<()> {
    let senders = (0..SENDERS).map(|_| async {
        for sent in 0..operations / SENDERS {
            while actor.tell(Count(1, PAYLOAD)).try_send().is_err() {
                yield_now().await;
            }
            if sent % BURST == 0 {
                yield_now().await;
            }
        }
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(senders).await?;
    let sum = actor.ask(Sum).await.map_err(|_| anyhow!("no answer"))?;
    anyhow::ensure!(sum == operations, "every message is counted");
    Ok(())
}

async fn chain(first: &ActorRef<Bench>, operations: u64) -> anyhow::Result<()> {
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let first = first.clone();
        callers.spawn(async move {
            for value in 0..operations / CALLERS {
                let (reply, answer) = oneshot::channel();
                let hop = Hop(value, PAYLOAD, reply);
                first.tell(hop).try_send().map_err(|_| anyhow!("the actor ended"))?;
                answer.await?;
            }
            anyhow::Ok(())
        });
    }
    callers.join_all().await.into_iter().collect()
}

pub(super) async fn grow(count: u64) -> anyhow::Result<Alive> {
    let mut actors = Vec::new();
    for _ in 0..count {
        actors.push(add(None, 1024).await?);
    }
    Ok(Box::new(actors))
}
