//! Messages without HTTP: our kit and bare libraries in this process, peers through their program.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::catalog::Messaging;
use super::peers::Peer;
use super::rounds::Effort;
use crate::contenders::Contender;
use crate::statistics::Draws;
use crate::{Scenario, cpu_time};

/// Callers, and senders, have equal shares of the operations.
const CALLERS: u64 = 64;

/// CPU nanoseconds of an operation, by kit and round.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Costs(pub BTreeMap<String, Vec<f64>>);

/// What a peer's `messaging` prints.
#[derive(Debug, Deserialize)]
struct Said {
    #[serde(default)]
    operations: u64,
    #[serde(default)]
    cpu_ns: u64,
    skipped: Option<serde_json::Value>,
}

/// The name by which peers know a scenario.
fn known_as(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::FanIn => "fan-in",
        Scenario::CallOne => "call-1",
        Scenario::CallMany => "call-64",
        Scenario::Chain => "chain",
        Scenario::Spawn => "spawn",
    }
}

/// Measures every scenario of the catalog, kits in turns; `takes_part` tells by scenario and peer.
///
/// # Errors
/// When a program breaks off. A kit that skips a scenario has no figure there.
pub fn measure(
    messaging: &Messaging,
    peers: &[Peer],
    takes_part: impl Fn(&str, &Peer) -> bool,
    effort: Effort,
) -> anyhow::Result<BTreeMap<String, Costs>> {
    let mut all = BTreeMap::new();
    let mut draws = Draws(effort.seed);
    for scenario in Scenario::ALL {
        let name = known_as(scenario);
        let Some(operations) = messaging.operations.get(name) else { continue };
        let operations = (operations / effort.divisor / CALLERS).max(1) * CALLERS;
        let mut costs = Costs::default();
        let ours = Contender::ALL.into_iter().filter(|contender| contender.takes_part(scenario));
        let mut kits: Vec<Kit> = ours.map(Kit::Ours).collect();
        kits.extend(peers.iter().filter(|peer| takes_part(name, peer)).map(Kit::Peer));
        for round in 0..=effort.rounds {
            draws.shuffle(&mut kits);
            for kit in &kits {
                let cost = match kit {
                    Kit::Ours(contender) => Some(own(*contender, scenario, operations)?),
                    Kit::Peer(peer) => ask(peer, name, operations)?,
                };
                if let (Some(cost), true) = (cost, round > 0) {
                    costs.0.entry(kit.name().to_owned()).or_default().push(cost);
                }
            }
        }
        all.insert(name.to_owned(), costs);
    }
    Ok(all)
}

enum Kit<'a> {
    Ours(Contender),
    Peer(&'a Peer),
}

impl Kit<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Ours(contender) => contender.name(),
            Self::Peer(peer) => &peer.name,
        }
    }
}

fn own(contender: Contender, scenario: Scenario, operations: u64) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let before = cpu_time();
    runtime.block_on(contender.run(scenario, operations))?;
    let spent = cpu_time().saturating_sub(before);
    Ok(spent.as_nanos() as f64 / operations as f64)
}

fn ask(peer: &Peer, scenario: &str, operations: u64) -> anyhow::Result<Option<f64>> {
    let program = peer.folder().join("messaging");
    let output = Command::new("taskset")
        .args(["--cpu-list", "0"])
        .arg(&program)
        .args([scenario, &operations.to_string()])
        .stdin(Stdio::null())
        .output()
        .with_context(|| program.display().to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        bail!("{} {scenario}: {}, {last}", peer.name, output.status);
    }
    let said: Said = serde_json::from_str(line)
        .with_context(|| format!("{} {scenario}: `{line}`", peer.name))?;
    if said.skipped.is_some() || said.operations == 0 {
        return Ok(None);
    }
    Ok(Some(said.cpu_ns as f64 / said.operations as f64))
}
