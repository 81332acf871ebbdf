//! Goals against what was measured.

use std::collections::BTreeMap;

use super::catalog::{Goal, Measure};
use super::messaging::Costs;
use super::rounds::{Outcome, Turn, peaks};
use crate::statistics::{Ratio, median, ratio};

/// Everything that was measured.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Findings {
    /// Outcomes by scenario.
    pub scenarios: BTreeMap<String, Outcome>,
    /// CPU nanoseconds of a message: scenario, kit, rounds.
    pub messaging: BTreeMap<String, Costs>,
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
    /// It was not measured, or what was measured cannot be used.
    Unknown,
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
            Self::Unknown => "not measured",
        }
    }
}

/// A row for each goal.
#[must_use]
pub fn rows(goals: &[Goal], findings: &Findings) -> Vec<Row> {
    goals.iter().map(|goal| row(goal, findings)).collect()
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
        Err(why) => (why, Verdict::Unknown),
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

fn figure(goal: &Goal, findings: &Findings) -> Result<Ratio, String> {
    let base = goal.base.as_deref();
    match goal.measure {
        Measure::Instructions => {
            let of = |name: &str| {
                findings
                    .instructions
                    .get(name)
                    .copied()
                    .ok_or_else(|| format!("{name}: not counted"))
            };
            let value = of(&goal.contender)? / of(base.ok_or("no base")?)?;
            return Ok(Ratio { median: value, low: value, high: value });
        }
        Measure::Messaging => {
            let costs = findings.messaging.get(&goal.scenario).ok_or("not run")?;
            let of = |name: &str| costs.0.get(name).ok_or_else(|| format!("{name}: not run"));
            return Ok(ratio(of(base.ok_or("no base")?)?, of(&goal.contender)?));
        }
        _ => {}
    }
    let outcome = findings.scenarios.get(&goal.scenario).ok_or("not run")?;
    for name in [Some(goal.contender.as_str()), base].into_iter().flatten() {
        if let Some(why) = outcome.skipped.get(name) {
            return Err(format!("{name}: {why}"));
        }
        if let Some(fault) = outcome.fault(name) {
            return Err(format!("{name}: {fault}"));
        }
        if !outcome.turns.contains_key(name) {
            return Err(format!("{name}: took no part"));
        }
    }
    compare(goal, outcome, findings)
}

fn compare(goal: &Goal, outcome: &Outcome, findings: &Findings) -> Result<Ratio, String> {
    let ours = |figure: fn(&Turn) -> f64| outcome.series(&goal.contender, figure);
    let base =
        |figure: fn(&Turn) -> f64| goal.base.as_deref().map(|name| outcome.series(name, figure));
    let against = |figure: fn(&Turn) -> f64| base(figure).ok_or("no base");
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
        Measure::Instructions | Measure::Messaging => return Err("has no rounds".to_owned()),
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
        assert_eq!(row(&goal(1.0), &Findings::default()).verdict, Verdict::Unknown);
    }
}
