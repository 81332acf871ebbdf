//! The messaging scenarios on actix: `bench-actix SCENARIO OPERATIONS`.

use std::error::Error;
use std::time::Instant;

use actix::{Actor, Addr, Context, Handler, Message, Supervised, Supervisor, System};
use futures_util::future::try_join_all;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, yield_now};

const SENDERS: u64 = 4;
const BURST: u64 = 256;
const CALLERS: u64 = 64;
const HOPS: usize = 4;
const CAPACITY: usize = 1 << 16;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Counts, or answers with what it got, by way of the next actor if there is one.
struct Bench {
    sum: u64,
    next: Option<Addr<Self>>,
    capacity: usize,
}

impl Actor for Bench {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.capacity);
    }
}

impl Supervised for Bench {}

#[derive(Message)]
#[rtype(result = "()")]
struct Count(u64);

#[derive(Message)]
#[rtype(result = "u64")]
struct Echo(u64);

/// A reply port that travels on with the message.
#[derive(Message)]
#[rtype(result = "()")]
struct Hop(u64, oneshot::Sender<u64>);

#[derive(Message)]
#[rtype(result = "u64")]
struct Sum;

impl Handler<Count> for Bench {
    type Result = ();

    fn handle(&mut self, count: Count, _ctx: &mut Self::Context) {
        self.sum += count.0;
    }
}

impl Handler<Echo> for Bench {
    type Result = u64;

    fn handle(&mut self, echo: Echo, _ctx: &mut Self::Context) -> u64 {
        echo.0
    }
}

impl Handler<Hop> for Bench {
    type Result = ();

    fn handle(&mut self, hop: Hop, _ctx: &mut Self::Context) {
        match &self.next {
            None => drop(hop.1.send(hop.0)),
            Some(next) => drop(next.try_send(hop)),
        }
    }
}

impl Handler<Sum> for Bench {
    type Result = u64;

    fn handle(&mut self, _sum: Sum, _ctx: &mut Self::Context) -> u64 {
        self.sum
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(scenario), Some(operations)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bench-actix SCENARIO OPERATIONS".into());
    };
    let operations = operations.parse()?;
    measure(&scenario, operations)?;
    println!("{}", measure(&scenario, operations)?);
    Ok(())
}

/// One round in a system of its own.
fn measure(scenario: &str, operations: u64) -> Result<String> {
    let system = System::new();
    let (cpu, wall) = (cpu_ns(), Instant::now());
    system.block_on(run(scenario, operations))?;
    let (cpu, wall) = (cpu_ns() - cpu, wall.elapsed().as_nanos());
    Ok(format!(
        r#"{{"scenario":"{scenario}","operations":{operations},"cpu_ns":{cpu},"wall_ns":{wall}}}"#
    ))
}

/// CPU time that this process has used.
fn cpu_ns() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

async fn run(scenario: &str, operations: u64) -> Result<()> {
    match scenario {
        "fan-in" => fan_in(&ready(None).await?, operations).await,
        "call-1" => call(ready(None).await?, operations).await,
        "call-64" => {
            let actor = ready(None).await?;
            together(|| call(actor.clone(), operations / CALLERS)).await
        }
        "chain" => {
            let mut first = None;
            for _ in 0..HOPS {
                first = Some(ready(first).await?);
            }
            let first = first.ok_or("a chain has hops")?;
            together(|| chain(first.clone(), operations / CALLERS)).await
        }
        "spawn" => {
            let mut actors = Vec::new();
            for _ in 0..operations {
                actors.push(add(None, 1024));
            }
            // Those started last have run when the last of them answers.
            actors.last().ok_or("no actors")?.send(Sum).await?;
            Ok(())
        }
        _ => Err("no such scenario".into()),
    }
}

fn add(next: Option<Addr<Bench>>, capacity: usize) -> Addr<Bench> {
    Supervisor::start(move |_| Bench { sum: 0, next, capacity })
}

/// An actor that has started: from then on its mailbox is large.
async fn ready(next: Option<Addr<Bench>>) -> Result<Addr<Bench>> {
    let actor = add(next, CAPACITY);
    actor.send(Sum).await?;
    Ok(actor)
}

async fn fan_in(actor: &Addr<Bench>, operations: u64) -> Result<()> {
    let senders = (0..SENDERS).map(|_| async {
        for sent in 0..operations / SENDERS {
            while actor.try_send(Count(1)).is_err() {
                yield_now().await;
            }
            if sent % BURST == 0 {
                yield_now().await;
            }
        }
        Ok::<(), Box<dyn Error>>(())
    });
    try_join_all(senders).await?;
    let sum = actor.send(Sum).await?;
    if sum == operations { Ok(()) } else { Err("every message is counted".into()) }
}

async fn call(actor: Addr<Bench>, operations: u64) -> Result<()> {
    for value in 0..operations {
        actor.send(Echo(value)).await?;
    }
    Ok(())
}

async fn chain(first: Addr<Bench>, operations: u64) -> Result<()> {
    for value in 0..operations {
        let (reply, answer) = oneshot::channel();
        first.try_send(Hop(value, reply)).map_err(|_| "the actor ended")?;
        answer.await?;
    }
    Ok(())
}

/// Runs the callers, each in a task.
async fn together<F>(caller: impl Fn() -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + 'static,
{
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn_local(caller());
    }
    callers.join_all().await.into_iter().collect()
}
