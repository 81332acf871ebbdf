//! What is kept of a run: `results/DATE-COMMIT.json`, `latest.md`, and plots beside them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::catalog::Catalog;
use super::chart::{Axis, Bar, Line, Scale, bars, lines};
use super::goals::{Findings, Row};
use super::machine::Machine;
use super::rounds::{Effort, Outcome, Turn};
use crate::statistics::{median, ratio};

/// A whole run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// On what.
    pub machine: Machine,
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
    pub fn new(machine: Machine, effort: Effort) -> Self {
        Self {
            machine,
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
        put(folder, "latest.md", &self.markdown(catalog, goals))?;
        for (scenario, outcome) in &self.findings.scenarios {
            for base in ["tight", "plain"] {
                let all = ratios(outcome, base);
                if all.len() > 1 {
                    let title = format!("{scenario}: CPU for a request");
                    let axis =
                        format!("times as much work for a second of CPU as {base}, 95 % interval");
                    put(folder, &format!("{scenario}-{base}.svg"), &bars(&title, &axis, &all))?;
                }
            }
            let curves = curves(outcome);
            if scenario.starts_with("open") && !curves.is_empty() {
                let axis = |title: &str, scale| Axis { title: title.to_owned(), scale };
                let x = axis("percentile of requests", Scale::Percentile);
                let y = axis("latency from the intended time, µs", Scale::Logarithmic);
                let title = format!("{scenario}: latency over percentiles");
                put(
                    folder,
                    &format!("{scenario}-percentiles.svg"),
                    &lines(&title, &x, &y, &curves),
                )?;
            }
        }
        self.plot_sweep(folder)
    }

    fn plot_sweep(&self, folder: &Path) -> anyhow::Result<()> {
        if self.sweep.is_empty() {
            return Ok(());
        }
        let x = Axis { title: "offered rate, requests/s".to_owned(), scale: Scale::Linear };
        for (index, name) in [(1, "p50"), (2, "p99")] {
            let y = Axis {
                title: format!("{name} from the intended time, µs"),
                scale: Scale::Logarithmic,
            };
            let all: Vec<Line> = self
                .sweep
                .iter()
                .map(|(name, points)| Line {
                    name: name.clone(),
                    points: points.iter().map(|point| (point[0], point[index])).collect(),
                })
                .collect();
            let title = format!("latency ({name}) against offered rate");
            put(folder, &format!("rate-{name}.svg"), &lines(&title, &x, &y, &all))?;
        }
        Ok(())
    }

    /// Goals against what was measured, then every figure with both baselines.
    #[must_use]
    pub fn markdown(&self, catalog: &Catalog, goals: &[Row]) -> String {
        let Machine { cpu, cores, kernel, date, commit, versions } = &self.machine;
        let versions: Vec<String> =
            versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let mut text = format!(
            "# Measured on {date} at {commit}\n\n{cpu}, {cores} cores, Linux {kernel}; {}. \
             {} rounds, seed {}.\n\n## Goals\n\n{}",
            versions.join(", "),
            self.rounds,
            self.seed,
            goals_table(goals)
        );
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
            }
        }
        if !self.findings.messaging.is_empty() {
            text.push_str("\n## Messages\n\nCPU nanoseconds of an operation.\n\n");
            text.push_str(&messaging_table(&self.findings));
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

fn messaging_table(findings: &Findings) -> String {
    let mut text = "| | kit | ns |\n|---|---|---|\n".to_owned();
    for (scenario, costs) in &findings.messaging {
        for (kit, rounds) in &costs.0 {
            add(&mut text, &format!("| {scenario} | {kit} | {:.0} |", median(rounds)));
        }
    }
    text
}

fn ratios(outcome: &Outcome, base: &str) -> Vec<Bar> {
    let cpu = |of: &str| outcome.series(of, |turn| turn.cpu_us);
    if !outcome.turns.contains_key(base) {
        return Vec::new();
    }
    let mut all: Vec<Bar> = outcome
        .turns
        .keys()
        .map(|name| {
            let ratio = ratio(&cpu(base), &cpu(name));
            Bar { name: name.clone(), median: ratio.median, interval: (ratio.low, ratio.high) }
        })
        .collect();
    all.sort_by(|a, b| b.median.total_cmp(&a.median));
    all
}

fn curves(outcome: &Outcome) -> Vec<Line> {
    outcome
        .turns
        .iter()
        .filter_map(|(name, turns)| {
            let points = turns.last()?.curve.iter();
            let points = points.map(|point| (point.percentile, point.latency_us)).collect();
            Some(Line { name: name.clone(), points })
        })
        .collect()
}

fn add(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a text takes all");
}

fn put(folder: &Path, name: &str, content: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    fs::write(&path, content).with_context(|| path.display().to_string())
}
