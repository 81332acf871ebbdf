//! The kit with everything on: bounded lanes, deadlines, counters, sampled timing, panic guards.

use anyhow::anyhow;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::task::yield_now;
use troupe_actors::{
    Context, Handled, Lent, Priority, Running, Scope, Service, ServiceRef, Spec, Supervisor,
    SupervisorRef, System, SystemConfig, protocol,
};

use super::{Alive, BURST, CALLERS, DEADLINE, HOPS, PAYLOAD, Payload, SENDERS};
use crate::Scenario;

/// Adds to the sum.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Count {
    amount: u64,
    payload: Payload,
}

/// Answers the number it was asked with, after all hops.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Echo {
    value: u64,
    payload: Payload,
}

/// Answers the sum.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sum;

protocol! {
    /// What a benched actor understands.
    pub enum BenchMessage("bench", 1) redact [] {
        Count,
        Echo => u64,
        Sum => u64,
    }
}

struct Bench {
    sum: u64,
    next: Option<ServiceRef<BenchMessage>>,
}

impl Service for Bench {
    type Message = BenchMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<BenchMessage>,
        ctx: &mut Context<BenchMessage>,
    ) -> Handled {
        match &**message {
            BenchMessage::Count(count) => {
                self.sum += count.amount;
                Ok(())
            }
            BenchMessage::Echo(echo) => match &self.next {
                None => ctx.reply(echo, echo.value),
                Some(next) => ctx.forward(next, message.take()),
            },
            BenchMessage::Sum(sum) => ctx.reply(sum, self.sum),
        }
    }
}

fn scope() -> Scope {
    Scope::bare(DEADLINE).with_priority(Priority::High)
}

async fn start() -> anyhow::Result<(Running, SupervisorRef)> {
    let system = System::new(SystemConfig::default());
    let (supervisor, root) = Supervisor::new(&system, "root").build();
    Ok((system.start(root).await?, supervisor))
}

async fn add(
    running: &Running,
    supervisor: &SupervisorRef,
    next: Option<ServiceRef<BenchMessage>>,
) -> anyhow::Result<ServiceRef<BenchMessage>> {
    let factory = move || Bench { sum: 0, next: next.clone() };
    let (service, child) = Spec::new(running.system(), "bench", factory).capacity(1 << 16).build();
    supervisor.start_child(child).await?;
    Ok(service)
}

pub(super) async fn run(scenario: Scenario, operations: u64) -> anyhow::Result<()> {
    let (running, supervisor) = start().await?;
    match scenario {
        Scenario::FanIn => fan_in(&add(&running, &supervisor, None).await?, operations).await?,
        Scenario::CallOne => {
            let service = add(&running, &supervisor, None).await?;
            let scope = scope();
            for value in 0..operations {
                service.ask(&scope, Echo { value, payload: PAYLOAD }).await?;
            }
        }
        Scenario::CallMany => {
            let service = add(&running, &supervisor, None).await?;
            call(&service, operations).await?;
        }
        Scenario::Chain => {
            let mut first = None;
            for _ in 0..HOPS {
                first = Some(add(&running, &supervisor, first).await?);
            }
            call(&first.ok_or_else(|| anyhow!("a chain has hops"))?, operations).await?;
        }
        Scenario::Spawn => {
            for _ in 0..operations {
                add(&running, &supervisor, None).await?;
            }
            // Ending is not measured elsewhere: leave the tree to the runtime's end.
            std::mem::forget(running);
            return Ok(());
        }
    }
    running.shutdown().await;
    Ok(())
}

async fn fan_in(service: &ServiceRef<BenchMessage>, operations: u64) -> anyhow::Result<()> {
    let senders = (0..SENDERS).map(|_| async {
        let scope = scope();
        for sent in 0..operations / SENDERS {
            while service.tell(&scope, Count { amount: 1, payload: PAYLOAD }).is_err() {
                yield_now().await;
            }
            if sent % BURST == 0 {
                yield_now().await;
            }
        }
        anyhow::Ok(())
    });
    try_join_all(senders).await?;
    let sum = service.ask(&scope(), Sum).await?;
    anyhow::ensure!(sum == operations, "every message is counted");
    Ok(())
}

async fn call(service: &ServiceRef<BenchMessage>, operations: u64) -> anyhow::Result<()> {
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let service = service.clone();
        callers.spawn(async move {
            let scope = scope();
            for value in 0..operations / CALLERS {
                service.ask(&scope, Echo { value, payload: PAYLOAD }).await?;
            }
            anyhow::Ok(())
        });
    }
    callers.join_all().await.into_iter().collect()
}

pub(super) async fn grow(count: u64) -> anyhow::Result<Alive> {
    let (running, supervisor) = start().await?;
    let mut services = Vec::new();
    for _ in 0..count {
        services.push(add(&running, &supervisor, None).await?);
    }
    Ok(Box::new((running, services)))
}
