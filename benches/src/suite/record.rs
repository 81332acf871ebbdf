//! What is kept of a run: `results/DATE-COMMIT.json`, `latest.md`, and plots beside them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::catalog::Catalog;
use super::goals::{Findings, Row};
use super::machine::Machine;
use super::plots::{self, Plot};
use super::rounds::{Effort, Outcome, Turn};
use crate::micro;
use crate::statistics::{Ratio, median, ratio};

const OURS: &str = "troupe";

/// A whole run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// On what.
    pub machine: Machine,
    /// Whether it was a quick run.
    pub quick: bool,
    /// Rounds that counted.
    pub rounds: usize,
    /// Seed of the order and of the generator.
    pub seed: u64,
    /// What was found.
    pub findings: Findings,
    /// Latency against the offered rate: contender, points of rate and 50 % and 99 % in µs.
    pub sweep: BTreeMap<String, Vec<[f64; 3]>>,
}

impl Record {
    /// A record without findings.
    #[must_use]
    pub fn new(machine: Machine, effort: Effort, quick: bool) -> Self {
        Self {
            machine,
            quick,
            rounds: effort.rounds,
            seed: effort.seed,
            findings: Findings::default(),
            sweep: BTreeMap::new(),
        }
    }

    /// Writes the record, the table and the plots.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path, catalog: &Catalog, goals: &[Row]) -> anyhow::Result<()> {
        fs::create_dir_all(folder)?;
        let commit = self.machine.commit.trim_end_matches('+');
        let name = format!("{}-{commit}.json", self.machine.date);
        put(folder, &name, &serde_json::to_string(self)?)?;
        let plots = plots::all(self, catalog);
        put(folder, "latest.md", &self.markdown(catalog, goals, &plots))?;
        plots.iter().try_for_each(|plot| put(folder, &plot.file, &plot.svg))
    }

    /// Goals against what was measured, then every figure with both baselines.
    #[must_use]
    pub fn markdown(&self, catalog: &Catalog, goals: &[Row], plots: &[Plot]) -> String {
        let Machine { cpu, cores, kernel, date, commit, versions } = &self.machine;
        let versions: Vec<String> =
            versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let mut text = format!(
            "# Measured on {date} at {commit}\n\n{cpu}, {cores} cores, Linux {kernel}; {}. \
             {}{} rounds, seed {}.\n\n## Goals\n\n{}",
            versions.join(", "),
            if self.quick { "A quick run: " } else { "" },
            self.rounds,
            self.seed,
            goals_table(goals)
        );
        show(&mut text, plots, "Goals");
        for scenario in &catalog.scenario {
            if let Some(outcome) = self.findings.scenarios.get(&scenario.name) {
                add(&mut text, &format!("\n## {}\n\n{}\n", scenario.name, scenario.what));
                add(
                    &mut text,
                    &format!(
                        "Load {:.1}, steal {:.1} %.\n\n{}",
                        outcome.load,
                        outcome.steal * 100.0,
                        outcome_table(outcome)
                    ),
                );
                show(&mut text, plots, &scenario.name);
            }
        }
        if !self.findings.messaging.is_empty() {
            text.push_str(
                "\n## Messages\n\nCPU nanoseconds of an operation, and how many times as much as troupe.\n\n",
            );
            text.push_str(&messaging_table(&self.findings));
        }
        if !self.findings.micro.is_empty() {
            text.push_str("\n## Single operations\n\nCPU nanoseconds.\n\n");
            text.push_str(&micro::table(&self.findings.micro));
        }
        if !self.findings.instructions.is_empty() {
            text.push_str("\n## Instructions of a request, user side\n\n| | |\n|---|---|\n");
            for (name, count) in &self.findings.instructions {
                add(&mut text, &format!("| {name} | {count:.0} |"));
            }
        }
        text
    }
}

/// Goals as a Markdown table.
#[must_use]
pub fn goals_table(goals: &[Row]) -> String {
    let mut text = "| Goal | Bound | Measured [95 %] | |\n|---|---|---|---|\n".to_owned();
    for Row { name, goal, measured, verdict } in goals {
        add(&mut text, &format!("| {name} | {goal} | {measured} | {} |", verdict.word()));
    }
    text
}

/// All contenders of a scenario, the cheapest first, beside both baselines.
#[must_use]
pub fn outcome_table(outcome: &Outcome) -> String {
    let mut text = "| | CPU µs | × tight | × plain | requests/s | PostgreSQL µs | p50 µs | p99 µs | growth MiB | |\n\
                    |---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    let middle = |name: &str, figure: fn(&Turn) -> f64| median(&outcome.series(name, figure));
    let mut names: Vec<&String> = outcome.turns.keys().collect();
    names.sort_by(|a, b| middle(a, |turn| turn.cpu_us).total_cmp(&middle(b, |turn| turn.cpu_us)));
    for name in names {
        let against = |base: &str| {
            if !outcome.turns.contains_key(base) {
                return "–".to_owned();
            }
            let cpu = |of: &str| outcome.series(of, |turn| turn.cpu_us);
            let ratio = ratio(&cpu(base), &cpu(name));
            format!("{:.2} [{:.2}–{:.2}]", ratio.median, ratio.low, ratio.high)
        };
        add(
            &mut text,
            &format!(
                "| {name} | {:.1} | {} | {} | {:.0} | {:.1} | {:.0} | {:.0} | {:.1} | {} |",
                middle(name, |turn| turn.cpu_us),
                against("tight"),
                against("plain"),
                middle(name, |turn| turn.rate),
                middle(name, |turn| turn.postgres_us),
                middle(name, |turn| turn.latency.p50_us),
                middle(name, |turn| turn.latency.p99_us),
                middle(name, |turn| turn.growth_mib),
                remark(outcome, name)
            ),
        );
    }
    for (name, why) in &outcome.skipped {
        add(
            &mut text,
            &format!("| {name} | not measured: {} | | | | | | | | |", why.replace('\n', " ")),
        );
    }
    text
}

/// What cannot be used, or how many of the requests failed where some were to.
fn remark(outcome: &Outcome, name: &str) -> String {
    match (outcome.fault(name), outcome.failed(name)) {
        (Some(fault), _) => fault.to_owned(),
        (None, [0, _]) => String::new(),
        (None, [failed, all]) => format!("{failed} of {all} failed"),
    }
}

/// A row for each kit, ours first, a column for each scenario.
#[must_use]
pub fn messaging_table(findings: &Findings) -> String {
    let columns: Vec<&String> = findings.messaging.keys().collect();
    let mut kits: Vec<&String> =
        findings.messaging.values().flat_map(|costs| costs.0.keys()).collect();
    kits.sort_by_key(|kit| (*kit != OURS, *kit));
    kits.dedup();
    let mut text = String::from("| |");
    columns.iter().for_each(|name| text.push_str(&format!(" {name} |")));
    add(&mut text, &format!("\n|---|{}", "---|".repeat(columns.len())));
    for kit in kits {
        text.push_str(&format!("| {kit} |"));
        for costs in findings.messaging.values() {
            text.push_str(&format!(" {} |", cell(&costs.0, kit)));
        }
        text.push('\n');
    }
    text
}

fn cell(costs: &BTreeMap<String, Vec<f64>>, kit: &str) -> String {
    match (costs.get(kit), costs.get(OURS)) {
        (None, _) => "–".to_owned(),
        (Some(rounds), Some(ours)) if kit != OURS => {
            let ratio = ratio(rounds, ours);
            let Ratio { median: times, low, high } = ratio;
            format!("{:.0}, {times:.2} [{low:.2}–{high:.2}]", median(rounds))
        }
        (Some(rounds), _) => format!("{:.0}", median(rounds)),
    }
}

fn show(text: &mut String, plots: &[Plot], heading: &str) {
    for plot in plots.iter().filter(|plot| plot.under == heading) {
        add(text, &format!("\n![{0}]({0})", plot.file));
    }
}

fn add(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a text takes all");
}

fn put(folder: &Path, name: &str, content: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    fs::write(&path, content).with_context(|| path.display().to_string())
}
