//! No actor library: a task that drains a bounded channel.
#![expect(clippy::disallowed_methods, reason = "a bare task is what is measured")]

use anyhow::anyhow;
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

use super::{Alive, BURST, CALLERS, HOPS, PAYLOAD, Payload, SENDERS};
use crate::Scenario;

/// Messages taken at once.
const BATCH: usize = 256;
const CAPACITY: usize = 1 << 16;

enum BenchMessage {
    Count(u64, #[cfg_attr(feature = "wide", expect(dead_code, reason = "weight"))] Payload),
    Echo(u64, Payload, oneshot::Sender<u64>),
    Sum(oneshot::Sender<u64>),
}

type Address = mpsc::Sender<BenchMessage>;

fn add(next: Option<Address>, capacity: usize) -> Address {
    let (address, mut mailbox) = mpsc::channel(capacity);
    tokio::spawn(async move {
        let mut sum = 0;
        let mut batch = Vec::new();
        while mailbox.recv_many(&mut batch, BATCH).await > 0 {
            for message in batch.drain(..) {
                match message {
                    BenchMessage::Count(amount, _) => sum += amount,
                    BenchMessage::Echo(value, payload, reply) => match &next {
                        None => drop(reply.send(value)),
                        Some(next) => {
                            drop(next.try_send(BenchMessage::Echo(value, payload, reply)))
                        }
                    },
                    BenchMessage::Sum(reply) => drop(reply.send(sum)),
                }
            }
        }
    });
    address
}

pub(super) async fn run(scenario: Scenario, operations: u64) -> anyhow::Result<()> {
    match scenario {
        Scenario::FanIn => fan_in(&add(None, CAPACITY), operations).await,
        Scenario::CallOne => {
            let address = add(None, CAPACITY);
            for value in 0..operations {
                ask(&address, value).await?;
            }
            Ok(())
        }
        Scenario::CallMany => call_many(&add(None, CAPACITY), operations).await,
        Scenario::Chain => {
            let mut first = None;
            for _ in 0..HOPS {
                first = Some(add(first, CAPACITY));
            }
            call_many(&first.ok_or_else(|| anyhow!("a chain has hops"))?, operations).await
        }
        Scenario::Spawn => {
            let mut addresses = Vec::new();
            for _ in 0..operations {
                addresses.push(add(None, 1024));
                yield_now().await;
            }
            Ok(())
        }
    }
}

async fn ask(address: &Address, value: u64) -> anyhow::Result<u64> {
    let (reply, answer) = oneshot::channel();
    let message = BenchMessage::Echo(value, PAYLOAD, reply);
    address.try_send(message).map_err(|_| anyhow!("the task ended"))?;
    Ok(answer.await?)
}

async fn fan_in(address: &Address, operations: u64) -> anyhow::Result<()> {
    let senders = (0..SENDERS).map(|_| async {
        for sent in 0..operations / SENDERS {
            while address.try_send(BenchMessage::Count(1, PAYLOAD)).is_err() {
                yield_now().await;
            }
            if sent % BURST == 0 {
                yield_now().await;
            }
        }
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(senders).await?;
    let (reply, answer) = oneshot::channel();
    address.send(BenchMessage::Sum(reply)).await.map_err(|_| anyhow!("the task ended"))?;
    anyhow::ensure!(answer.await? == operations, "every message is counted");
    Ok(())
}

async fn call_many(address: &Address, operations: u64) -> anyhow::Result<()> {
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let address = address.clone();
        callers.spawn(async move {
            for value in 0..operations / CALLERS {
                ask(&address, value).await?;
            }
            anyhow::Ok(())
        });
    }
    callers.join_all().await.into_iter().collect()
}

pub(super) fn grow(count: u64) -> Alive {
    Box::new((0..count).map(|_| add(None, 1024)).collect::<Vec<_>>())
}
