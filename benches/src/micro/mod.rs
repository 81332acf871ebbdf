//! Micro benchmarks: what single operations of the platform cost in CPU time, some beside the plain
//! way to do them.

mod codecs;
mod gates;
mod secrets;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cpu_time;
use crate::statistics::{Draws, Ratio, median, ratio};

/// An operation that is repeated; what it gives must not be optimised away.
type Repeated = Box<dyn FnMut()>;

/// One operation, and the plain way to do the same.
struct Pair {
    name: &'static str,
    operations: u64,
    ours: Repeated,
    plain: Option<(&'static str, Repeated)>,
}

impl Pair {
    fn new<T>(name: &'static str, operations: u64, ours: impl FnMut() -> T + 'static) -> Self {
        Self { name, operations, ours: repeated(ours), plain: None }
    }

    fn beside<T>(mut self, name: &'static str, plain: impl FnMut() -> T + 'static) -> Self {
        self.plain = Some((name, repeated(plain)));
        self
    }
}

fn repeated<T>(mut operation: impl FnMut() -> T + 'static) -> Repeated {
    Box::new(move || drop(std::hint::black_box(operation())))
}

/// What was measured of an operation: CPU nanoseconds, one figure for each round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// What it costs.
    pub ours: Vec<f64>,
    /// The plain way, and what that costs.
    pub plain: Option<(String, Vec<f64>)>,
}

/// The rows as a Markdown table: the operation, its cost, and the plain way's with the ratio.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text = "| operation | ns | the plain way, ns | × |\n|---|---|---|---|\n".to_owned();
    for Row { name, ours, plain } in rows {
        let beside = plain.as_ref().map(|(name, costs)| {
            let Ratio { median: times, low, high } = ratio(costs, ours);
            let cost = nanoseconds(median(costs));
            (format!("{name}: {cost}"), format!("{times:.2} [{low:.2}–{high:.2}]"))
        });
        let (plain, times) = beside.unwrap_or_default();
        let cost = nanoseconds(median(ours));
        text.push_str(&format!("| {name} | {cost} | {plain} | {times} |\n"));
    }
    text
}

fn nanoseconds(cost: f64) -> String {
    if cost < 100.0 { format!("{cost:.1}") } else { format!("{cost:.0}") }
}

/// Measures all of them; the fixture must have been made in `directory`.
///
/// # Errors
/// When the fixture cannot be read or the platform does not start.
pub fn measure(rounds: usize, directory: &Path) -> anyhow::Result<Vec<Row>> {
    let mut pairs = codecs::pairs(directory)?;
    pairs.extend(secrets::pairs(directory)?);
    let mut rows = gates::rows(rounds, directory)?;
    rows.extend(alternate(pairs, rounds));
    Ok(rows)
}

/// Each round measures every operation once, in an order that is drawn anew. The first warms up.
fn alternate(pairs: Vec<Pair>, rounds: usize) -> Vec<Row> {
    let mut draws = Draws(42);
    let mut measured: Vec<(Pair, Row)> = pairs.into_iter().map(with_row).collect();
    for round in 0..=rounds {
        draws.shuffle(&mut measured);
        for (pair, row) in &mut measured {
            let ours = cost(pair.operations, &mut pair.ours);
            let plain = pair.plain.as_mut().map(|(_, plain)| cost(pair.operations, plain));
            if round == 0 {
                continue;
            }
            row.ours.push(ours);
            if let (Some((_, costs)), Some(plain)) = (&mut row.plain, plain) {
                costs.push(plain);
            }
        }
    }
    let mut rows: Vec<Row> = measured.into_iter().map(|(_, row)| row).collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

fn with_row(pair: Pair) -> (Pair, Row) {
    let plain = pair.plain.as_ref().map(|(name, _)| ((*name).to_owned(), Vec::new()));
    let row = Row { name: pair.name.to_owned(), ours: Vec::new(), plain };
    (pair, row)
}

fn cost(operations: u64, operation: &mut Repeated) -> f64 {
    let before = cpu_time();
    for _ in 0..operations {
        operation();
    }
    let spent = cpu_time().saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a short run")]
    let cost = spent.as_nanos() as f64 / operations as f64;
    cost
}
