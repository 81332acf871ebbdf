//! The plots of a run: which there are, and what they show.

use super::catalog::{Catalog, Pace, Scenario};
use super::chart::{Axis, Bar, Line, Scale, bars, lines};
use super::record::Record;
use super::rounds::Outcome;
use crate::statistics::ratio;

const OURS: &str = "troupe";
const BASES: [&str; 2] = ["tight", "plain"];

/// A plot and where it stands.
#[derive(Debug, Clone)]
pub struct Plot {
    /// The heading in `latest.md` under which it stands.
    pub under: String,
    /// Its file.
    pub file: String,
    /// What it shows.
    pub svg: String,
}

/// Every plot that the run has figures for.
#[must_use]
pub fn all(record: &Record, catalog: &Catalog) -> Vec<Plot> {
    let mut plots = Vec::new();
    for base in BASES {
        let rows = over_scenarios(record, catalog, base);
        let title = format!("CPU for a request: {OURS} against {base}");
        plots.extend(ratios("Goals", &format!("scenarios-{base}"), &title, base, &rows));
    }
    for (scenario, outcome) in outcomes(record, catalog) {
        let name = &scenario.name;
        for base in BASES.into_iter().filter(|_| scenario.peers) {
            let rows = over_contenders(outcome, base);
            let title = format!("{name}: CPU for a request");
            plots.extend(ratios(name, &format!("{name}-{base}"), &title, base, &rows));
        }
        if matches!(scenario.pace, Pace::OfTight(_)) {
            plots.push(percentiles(name, outcome));
        }
    }
    for (index, figure) in [(1, "p50"), (2, "p99")] {
        plots.extend(over_rates(record, index, figure));
    }
    plots
}

/// The scenarios that were measured, in the order of the catalog.
fn outcomes<'a>(
    record: &'a Record,
    catalog: &'a Catalog,
) -> impl Iterator<Item = (&'a Scenario, &'a Outcome)> {
    let outcome = |scenario: &'a Scenario| record.findings.scenarios.get(&scenario.name);
    catalog.scenario.iter().filter_map(move |scenario| Some((scenario, outcome(scenario)?)))
}

fn over_scenarios(record: &Record, catalog: &Catalog, base: &str) -> Vec<Bar> {
    let closed =
        outcomes(record, catalog).filter(|(scenario, _)| matches!(scenario.pace, Pace::Closed));
    closed.filter_map(|(scenario, outcome)| bar(&scenario.name, outcome, OURS, base)).collect()
}

/// The cheapest first.
fn over_contenders(outcome: &Outcome, base: &str) -> Vec<Bar> {
    let names = outcome.turns.keys();
    let mut all: Vec<Bar> = names.filter_map(|name| bar(name, outcome, name, base)).collect();
    all.sort_by(|a, b| b.median.total_cmp(&a.median));
    all
}

fn bar(label: &str, outcome: &Outcome, of: &str, base: &str) -> Option<Bar> {
    let cpu = |name: &str| outcome.series(name, |turn| turn.cpu_us);
    let (base, of) = (cpu(base), cpu(of));
    (!base.is_empty() && !of.is_empty()).then(|| {
        let ratio = ratio(&base, &of);
        Bar { name: label.to_owned(), median: ratio.median, interval: (ratio.low, ratio.high) }
    })
}

fn ratios(under: &str, file: &str, title: &str, base: &str, rows: &[Bar]) -> Option<Plot> {
    let axis = format!("times as much work for a second of CPU as {base}, 95 % interval");
    (rows.len() > 1).then(|| Plot {
        under: under.to_owned(),
        file: format!("{file}.svg"),
        svg: bars(title, &axis, rows),
    })
}

fn percentiles(name: &str, outcome: &Outcome) -> Plot {
    let curves: Vec<Line> = outcome
        .turns
        .iter()
        .filter_map(|(name, turns)| {
            let points = turns.last()?.curve.iter();
            let points = points.map(|point| (point.percentile, point.latency_us)).collect();
            Some(Line { name: name.clone(), points })
        })
        .collect();
    let x = axis("percentile of requests", Scale::Percentile);
    let y = axis("latency from the intended time, µs", Scale::Logarithmic);
    let title = format!("{name}: latency over percentiles");
    Plot {
        under: name.to_owned(),
        file: format!("{name}-percentiles.svg"),
        svg: lines(&title, &x, &y, &curves),
    }
}

fn over_rates(record: &Record, index: usize, figure: &str) -> Option<Plot> {
    let line = |(name, points): (&String, &Vec<[f64; 3]>)| Line {
        name: name.clone(),
        points: points.iter().map(|point| (point[0], point[index])).collect(),
    };
    let all: Vec<Line> = record.sweep.iter().map(line).collect();
    let x = axis("offered rate, requests/s", Scale::Linear);
    let y = axis(&format!("{figure} from the intended time, µs"), Scale::Logarithmic);
    let title = format!("latency ({figure}) against offered rate");
    (!all.is_empty()).then(|| Plot {
        under: "cached".to_owned(),
        file: format!("rate-{figure}.svg"),
        svg: lines(&title, &x, &y, &all),
    })
}

fn axis(title: &str, scale: Scale) -> Axis {
    Axis { title: title.to_owned(), scale }
}
