//! `cargo run --profile bench --package troupe-benches --bin actors [rounds]`: the kit beside
//! ractor, a bare tokio channel and kameo in one run.
#![expect(clippy::print_stdout, reason = "the table is the product")]

use std::process::Command;

use anyhow::Context;
use troupe_benches::contenders::{Contender, message_bytes};
use troupe_benches::statistics::{Draws, median, ratio};
use troupe_benches::{Scenario, cpu_time};

const ROUNDS: usize = 9;
const ACTORS: u64 = 20_000;

fn main() -> anyhow::Result<()> {
    let argument = std::env::args().nth(1);
    match argument.as_deref() {
        Some(name) if name.starts_with("memory:") => grow(&name["memory:".len()..]),
        Some(name) if name.starts_with("profile:") => profile(&name["profile:".len()..]),
        rounds => compare(rounds.map_or(Ok(ROUNDS), str::parse).context("rounds is a number")?),
    }
}

fn compare(rounds: usize) -> anyhow::Result<()> {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("CPU ns per operation, median of {rounds} rounds; load {}", load.trim());
    println!("messages carry {} bytes", message_bytes());
    println!("ratio: how many times as much CPU the other needs (95 % interval)\n");
    println!("{:<12} {:<11} {:>9}   ratio to troupe", "scenario", "contender", "ns");
    let mut draws = Draws(42);
    for scenario in Scenario::ALL {
        let contenders: Vec<Contender> =
            Contender::ALL.into_iter().filter(|contender| contender.takes_part(scenario)).collect();
        let mut samples = vec![Vec::new(); contenders.len()];
        for _ in 0..=rounds {
            let mut order: Vec<usize> = (0..contenders.len()).collect();
            draws.shuffle(&mut order);
            for index in order {
                samples[index].push(measure(contenders[index], scenario)?);
            }
        }
        // The first round warms caches and the allocator.
        for sample in &mut samples {
            sample.remove(0);
        }
        for (index, contender) in contenders.iter().enumerate() {
            let against = if *contender == Contender::Troupe {
                String::new()
            } else {
                let ratio = ratio(&samples[index], &samples[0]);
                format!("{:.2} [{:.2}-{:.2}]", ratio.median, ratio.low, ratio.high)
            };
            println!(
                "{:<12} {:<11} {:>9.0}   {against}",
                scenario.name(),
                contender.name(),
                median(&samples[index])
            );
        }
    }
    println!("\nbytes per idle actor ({ACTORS} actors, one process each)");
    for contender in Contender::ALL {
        if !contender.takes_part(Scenario::Spawn) {
            continue;
        }
        let name = contender.name();
        let child =
            Command::new(std::env::current_exe()?).arg(format!("memory:{name}")).output()?;
        println!("{name:<11} {:>9}", String::from_utf8_lossy(&child.stdout).trim());
    }
    Ok(())
}

fn measure(contender: Contender, scenario: Scenario) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let before = cpu_time();
    runtime.block_on(contender.run(scenario, scenario.operations()))?;
    let spent = cpu_time().saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a short run")]
    Ok(spent.as_nanos() as f64 / scenario.operations() as f64)
}

/// Runs one scenario of the kit alone, for a profiler.
fn profile(name: &str) -> anyhow::Result<()> {
    let scenario =
        Scenario::ALL.into_iter().find(|s| s.name() == name).context("an unknown scenario")?;
    println!("{:.1} ns", measure(Contender::Troupe, scenario)?);
    Ok(())
}

fn grow(name: &str) -> anyhow::Result<()> {
    let contender =
        Contender::ALL.into_iter().find(|c| c.name() == name).context("an unknown contender")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    println!("{}", runtime.block_on(contender.bytes_per_actor(ACTORS))?);
    Ok(())
}
