//! Goals against what was measured.

use std::collections::BTreeMap;

use super::catalog::{Catalog, Goal, Measure};
use super::messaging::Costs;
use super::rounds::{Outcome, Turn, peaks};
use crate::micro;
use crate::statistics::{Ratio, median, ratio};

/// Everything that was measured.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Findings {
    /// Outcomes by scenario.
    pub scenarios: BTreeMap<String, Outcome>,
    /// CPU nanoseconds of a message: scenario, kit, rounds.
    pub messaging: BTreeMap<String, Costs>,
    /// Single operations.
    #[serde(default)]
    pub micro: Vec<micro::Row>,
    /// User instructions of a request by contender.
    pub instructions: BTreeMap<String, f64>,
}

/// How a goal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The median reaches it.
    Met,
    /// The median misses it, a part of the interval does not.
    Open,
    /// The whole interval misses it.
    Missed,
    /// What was measured cannot be used.
    Unusable,
    /// Its scenario was left out.
    LeftOut,
}

/// A row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// The sentence.
    pub name: String,
    /// The bound as text.
    pub goal: String,
    /// What was measured, with its interval.
    pub measured: String,
    /// How it stands.
    pub verdict: Verdict,
}

impl Verdict {
    /// A word for tables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Open => "open",
            Self::Missed => "MISSED",
            Self::Unusable | Self::LeftOut => "not measured",
        }
    }
}

/// A row for each goal.
#[must_use]
pub fn rows(catalog: &Catalog, findings: &Findings, quick: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = catalog.goal.iter().map(|goal| row(goal, findings)).collect();
    for (row, goal) in rows.iter_mut().zip(&catalog.goal) {
        let only_in_full = catalog.scenario(&goal.scenario).is_some_and(|scenario| !scenario.quick);
        if quick && only_in_full && row.verdict == Verdict::LeftOut {
            row.measured = "not measured in quick".to_owned();
        }
    }
    rows
}

fn row(goal: &Goal, findings: &Findings) -> Row {
    let bound = match (goal.at_least, goal.at_most) {
        (Some(least), _) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => String::new(),
    };
    let unit = match goal.measure {
        Measure::P99 => " ms",
        Measure::Growth => " MiB",
        Measure::Failed => " requests",
        _ => "x",
    };
    let (measured, verdict) = match figure(goal, findings) {
        Ok(figure) => (
            format!("{:.2}{unit} [{:.2}–{:.2}]", figure.median, figure.low, figure.high),
            judge(goal, figure),
        ),
        Err(Lack::LeftOut) => ("left out".to_owned(), Verdict::LeftOut),
        Err(Lack::Unusable(why)) => (why, Verdict::Unusable),
    };
    let goal_text = format!("{bound}{unit}");
    Row { name: goal.name.clone(), goal: goal_text, measured, verdict }
}

fn judge(goal: &Goal, figure: Ratio) -> Verdict {
    let reaches = |value: f64| {
        goal.at_least.is_none_or(|least| value >= least)
            && goal.at_most.is_none_or(|most| value <= most)
    };
    if reaches(figure.median) {
        Verdict::Met
    } else if reaches(figure.low) || reaches(figure.high) {
        Verdict::Open
    } else {
        Verdict::Missed
    }
}

/// Why there is no figure.
enum Lack {
    LeftOut,
    Unusable(String),
}

impl From<&str> for Lack {
    fn from(why: &str) -> Self {
        Self::Unusable(why.to_owned())
    }
}

fn figure(goal: &Goal, findings: &Findings) -> Result<Ratio, Lack> {
    let lacking = |name: &str, why: &str| Lack::Unusable(format!("{name}: {why}"));
    match goal.measure {
        Measure::Instructions => {
            let counts = &findings.instructions;
            if counts.is_empty() {
                return Err(Lack::LeftOut);
            }
            let of = |name: &str| counts.get(name).ok_or_else(|| lacking(name, "not counted"));
            let value = of(&goal.contender)? / of(goal.base()?)?;
            return Ok(Ratio { median: value, low: value, high: value });
        }
        Measure::Messaging => {
            let costs = findings.messaging.get(&goal.scenario).ok_or(Lack::LeftOut)?;
            let of = |name: &str| costs.0.get(name).ok_or_else(|| lacking(name, "not run"));
            return Ok(ratio(of(goal.base()?)?, of(&goal.contender)?));
        }
        _ => {}
    }
    let outcome = findings.scenarios.get(&goal.scenario).ok_or(Lack::LeftOut)?;
    for name in [Some(&goal.contender), goal.base.as_ref()].into_iter().flatten() {
        if let Some(why) = outcome.skipped.get(name) {
            return Err(lacking(name, why));
        }
        if let Some(fault) = outcome.fault(name) {
            return Err(lacking(name, fault));
        }
        if !outcome.turns.contains_key(name) {
            return Err(lacking(name, "not run"));
        }
    }
    compare(goal, outcome, findings)
}

fn compare(goal: &Goal, outcome: &Outcome, findings: &Findings) -> Result<Ratio, Lack> {
    let ours = |figure: fn(&Turn) -> f64| outcome.series(&goal.contender, figure);
    let against = |figure: fn(&Turn) -> f64| goal.base().map(|name| outcome.series(name, figure));
    Ok(match goal.measure {
        Measure::Cpu => ratio(&against(|turn| turn.cpu_us)?, &ours(|turn| turn.cpu_us)),
        Measure::Rate => ratio(&ours(|turn| turn.rate), &against(|turn| turn.rate)?),
        Measure::Postgres => {
            ratio(&ours(|turn| turn.postgres_us), &against(|turn| turn.postgres_us)?)
        }
        Measure::P50 => {
            ratio(&ours(|turn| turn.latency.p50_us), &against(|turn| turn.latency.p50_us)?)
        }
        Measure::Goodput => {
            let peaks = findings.scenarios.get("cached").map(peaks).unwrap_or_default();
            let peak = *peaks.get(&goal.contender).ok_or("no peak: run `cached` too")?;
            let goodput = ours(|turn| turn.goodput);
            ratio(&goodput, &vec![peak; goodput.len()])
        }
        Measure::P99 => alone(&ours(|turn| turn.latency.p99_us / 1000.0)),
        Measure::Growth => alone(&ours(|turn| turn.growth_mib)),
        Measure::Failed => alone(&ours(|turn| turn.failed[0] as f64)),
        Measure::Instructions | Measure::Messaging => return Err("has no rounds".into()),
    })
}

/// A figure without a base: its median, and the least and the most of all rounds.
fn alone(values: &[f64]) -> Ratio {
    Ratio {
        median: median(values),
        low: values.iter().copied().fold(f64::INFINITY, f64::min),
        high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(least: f64) -> Goal {
        Goal {
            name: "fewer nanoseconds".to_owned(),
            scenario: "chain".to_owned(),
            measure: Measure::Messaging,
            contender: "troupe".to_owned(),
            base: Some("other".to_owned()),
            at_least: Some(least),
            at_most: None,
        }
    }

    #[test]
    fn a_goal_is_missed_only_when_the_whole_interval_misses_it() {
        let mut findings = Findings::default();
        let costs = [("troupe", vec![10.0, 10.0, 10.0]), ("other", vec![19.0, 20.0, 22.0])];
        let costs = costs.into_iter().map(|(name, costs)| (name.to_owned(), costs)).collect();
        findings.messaging.insert("chain".to_owned(), Costs(costs));
        let verdict = |least: f64| row(&goal(least), &findings).verdict;
        assert_eq!(verdict(1.5), Verdict::Met);
        assert_eq!(verdict(2.1), Verdict::Open);
        assert_eq!(verdict(3.0), Verdict::Missed);
        assert_eq!(row(&goal(1.0), &Findings::default()).verdict, Verdict::LeftOut);
    }

    #[test]
    fn what_only_a_full_run_measures_is_told_in_a_quick_one() {
        let catalog = Catalog::load().expect("suite.toml");
        let measured = |quick| -> Vec<String> {
            let rows = rows(&catalog, &Findings::default(), quick);
            rows.into_iter().map(|row| row.measured).collect()
        };
        let only_in_full = catalog
            .goal
            .iter()
            .any(|goal| catalog.scenario(&goal.scenario).is_some_and(|scenario| !scenario.quick));
        assert_eq!(measured(true).contains(&"not measured in quick".to_owned()), only_in_full);
        assert!(measured(false).iter().all(|text| text == "left out"));
    }
}
