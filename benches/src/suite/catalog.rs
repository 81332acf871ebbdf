//! `benches/suite.toml`: contenders, scenarios and goals as data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use troupe_load::{Template, Values};

/// Everything that the suite knows to measure.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// Our own programs.
    pub contender: Vec<Contender>,
    /// The requests of a scenario that has none of its own.
    pub request: Vec<Template>,
    /// Values that a scenario has unless it gives others.
    pub values: BTreeMap<String, Values>,
    /// What they are asked.
    pub scenario: Vec<Scenario>,
    /// Message kits.
    pub messaging: Messaging,
    /// The gate on instructions.
    pub callgrind: Callgrind,
    /// What has to come out.
    pub goal: Vec<Goal>,
}

/// A way to start the program `contender`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contender {
    /// The name in tables.
    pub name: String,
    /// The first argument of the program; without it the name.
    pub program: Option<String>,
    /// More arguments at the end.
    #[serde(default)]
    pub arguments: Vec<String>,
}

/// One measurement of several contenders.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The name.
    pub name: String,
    /// One sentence.
    pub what: String,
    /// Whether `--quick` measures it.
    #[serde(default)]
    pub quick: bool,
    /// Who takes part.
    pub contenders: Vec<String>,
    /// Whether the HTTP peers take part too; with `--quick` only those that a goal names.
    #[serde(default)]
    pub peers: bool,
    /// Answers in a round; `--quick` asks a third of them.
    #[serde(default = "requests")]
    pub requests_per_round: u64,
    /// Connections.
    #[serde(default = "connections")]
    pub connections: usize,
    /// How requests are sent.
    #[serde(default)]
    pub pace: Pace,
    /// Cores, and threads, of the server.
    #[serde(default = "one")]
    pub cores: usize,
    /// Where rows are kept.
    #[serde(default)]
    pub database: Database,
    /// Requests that a subject has in a minute; without it there is no bound to reach.
    pub quota: Option<u32>,
    /// A signal to the server in each round, for example `USR1`: it kills an actor.
    pub signal: Option<String>,
    /// The values of which each round uses the next lines, not the first again.
    pub advance: Option<String>,
    /// The requests; without any those of the catalog.
    #[serde(default)]
    pub request: Vec<Template>,
    /// What stands in them, besides the values of the catalog.
    #[serde(default)]
    pub values: BTreeMap<String, Values>,
}

/// How requests are sent.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Pace {
    /// Each connection asks again as soon as it has its answer.
    #[default]
    Closed,
    /// At random moments, at this share of the peak rate of `tight`.
    OfTight(f64),
    /// The same, of the contender's own peak, for five seconds: more than it can take.
    Overload(f64),
}

/// Where rows are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Database {
    /// Nowhere: items in memory.
    #[default]
    None,
    /// A database of its own for each contender.
    Postgres,
    /// A file of its own for each contender.
    Sqlite,
}

/// Message kits: ours in this process, peers through their `messaging`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messaging {
    /// Scenarios by the name that peers know, and operations in a round.
    pub operations: BTreeMap<String, u64>,
}

/// The gate on instructions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callgrind {
    /// Who is counted.
    pub contenders: Vec<String>,
    /// The scenario whose requests are sent.
    pub scenario: String,
    /// Connections.
    pub connections: usize,
    /// Requests of the short and of the long run; the difference counts.
    pub requests: [u64; 2],
}

/// What has to come out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// The sentence in the table.
    pub name: String,
    /// The scenario; for `messaging` the name that peers know.
    pub scenario: String,
    /// What is compared.
    pub measure: Measure,
    /// Whose figure it is.
    #[serde(default = "troupe")]
    pub contender: String,
    /// Against whom; without one the figure stands for itself.
    pub base: Option<String>,
    /// The least.
    pub at_least: Option<f64>,
    /// The most.
    pub at_most: Option<f64>,
}

impl Goal {
    /// Against whom.
    ///
    /// # Errors
    /// When the figure stands for itself.
    pub fn base(&self) -> Result<&str, &'static str> {
        self.base.as_deref().ok_or("no base")
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// How many times as much CPU the base needs.
    Cpu,
    /// How many times as many answers a second.
    Rate,
    /// PostgreSQL's CPU per request, as a share of the base's.
    Postgres,
    /// Median latency, as a multiple of the base's.
    P50,
    /// Right answers a second, as a share of the own peak.
    Goodput,
    /// 99 % latency of right answers, in milliseconds.
    P99,
    /// Growth of resident memory in MiB.
    Growth,
    /// Requests that failed in a round.
    Failed,
    /// User instructions, as a multiple of the base's.
    Instructions,
    /// How many times as much CPU the base needs for a message.
    Messaging,
}

fn requests() -> u64 {
    30_000
}

fn connections() -> usize {
    64
}

fn one() -> usize {
    1
}

fn troupe() -> String {
    "troupe".to_owned()
}

impl Catalog {
    /// Reads the file and checks that every name in it is known.
    ///
    /// # Errors
    /// The file's faults.
    pub fn load() -> anyhow::Result<Self> {
        let path = folder().join("suite.toml");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Self::from_toml(&text).with_context(|| path.display().to_string())
    }

    fn from_toml(text: &str) -> anyhow::Result<Self> {
        let mut catalog: Self = toml::from_str(text)?;
        for scenario in &mut catalog.scenario {
            if scenario.request.is_empty() {
                scenario.request.clone_from(&catalog.request);
            }
            for (name, values) in &catalog.values {
                scenario.values.entry(name.clone()).or_insert_with(|| values.clone());
            }
        }
        let mut faults = Vec::new();
        for scenario in &catalog.scenario {
            for name in &scenario.contenders {
                if catalog.contender(name).is_none() {
                    faults.push(format!("{}: no contender `{name}`", scenario.name));
                }
            }
        }
        for goal in &catalog.goal {
            let known = match goal.measure {
                Measure::Messaging => catalog.messaging.operations.contains_key(&goal.scenario),
                _ => catalog.scenario(&goal.scenario).is_some(),
            };
            if !known {
                faults.push(format!("goal `{}`: no scenario `{}`", goal.name, goal.scenario));
            }
            if goal.at_least.is_some() == goal.at_most.is_some() {
                faults.push(format!("goal `{}`: give either at_least or at_most", goal.name));
            }
        }
        ensure!(faults.is_empty(), "faults:\n  - {}", faults.join("\n  - "));
        Ok(catalog)
    }

    /// A scenario by its name.
    #[must_use]
    pub fn scenario(&self, name: &str) -> Option<&Scenario> {
        self.scenario.iter().find(|scenario| scenario.name == name)
    }

    /// Whether a goal of this scenario compares with this name.
    #[must_use]
    pub fn compares(&self, scenario: &str, base: &str) -> bool {
        self.goal.iter().any(|goal| goal.scenario == scenario && goal.base() == Ok(base))
    }

    /// A contender by its name.
    #[must_use]
    pub fn contender(&self, name: &str) -> Option<&Contender> {
        self.contender.iter().find(|contender| contender.name == name)
    }
}

/// The folder `benches` of the checkout.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_of_the_checkout_is_right() {
        let catalog = Catalog::load().expect("suite.toml");
        for scenario in &catalog.scenario {
            for base in ["tight", "plain"].iter().filter(|_| scenario.signal.is_none()) {
                assert!(scenario.contenders.iter().any(|name| name == base), "{}", scenario.name);
            }
            let mut run = troupe_load::Scenario::new("127.0.0.1:80");
            run.requests.clone_from(&scenario.request);
            run.values.clone_from(&scenario.values);
            assert_eq!(run.faults(), [], "{}", scenario.name);
        }
    }

    #[test]
    fn an_unknown_name_is_told() {
        let text = std::fs::read_to_string(folder().join("suite.toml")).expect("suite.toml");
        let text =
            text.replacen("base = \"tight\"", "base = \"tight\"\nat_most = 1.0\nat_least = 1.0", 1);
        let error = Catalog::from_toml(&text).expect_err("two bounds or a key twice");
        assert!(!format!("{error:#}").is_empty());
    }
}
