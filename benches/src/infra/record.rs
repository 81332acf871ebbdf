//! What is kept of a run: `results/DATE-COMMIT-infra.json` and `infra.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::{Row, Share, Turn};
use crate::statistics::{Ratio, median, ratio};
use crate::suite::machine::Machine;

/// A whole run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// On what.
    pub machine: Machine,
    /// The load of the machine before and after.
    pub load: [String; 2],
    /// Jobs beside their bare way.
    pub rows: Vec<Row>,
    /// How exact the shared limit was.
    pub shares: Vec<Share>,
}

/// How a job stands against its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    NoGoal,
    Met,
    Open,
    Missed,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::NoGoal => "",
            Self::Met => "met",
            Self::Open => "open",
            Self::Missed => "MISSED",
        }
    }

    fn of(at_least: Option<f64>, measured: Ratio) -> Self {
        match at_least {
            None => Self::NoGoal,
            Some(least) if measured.median >= least => Self::Met,
            Some(least) if measured.high >= least => Self::Open,
            Some(_) => Self::Missed,
        }
    }
}

impl Row {
    /// How many times as many operations a second as the bare client.
    #[must_use]
    pub fn throughput(&self) -> Ratio {
        ratio(&series(&self.ours, |turn| turn.rate), &series(&self.theirs, |turn| turn.rate))
    }

    /// How many times as much CPU the bare client needs.
    #[must_use]
    pub fn cpu(&self) -> Ratio {
        ratio(&series(&self.theirs, |turn| turn.cpu_ns), &series(&self.ours, |turn| turn.cpu_ns))
    }

    /// Whether the whole interval misses the goal.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        Verdict::of(self.at_least, self.throughput()) == Verdict::Missed
    }
}

fn series(turns: &[Turn], figure: impl Fn(&Turn) -> f64) -> Vec<f64> {
    turns.iter().map(figure).collect()
}

/// Jobs as a Markdown table.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text = "| Job | beside | a second | × [95 %] | CPU µs | × [95 %] | goal | |\n\
                    |---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        let middle = |turns: &[Turn], figure: fn(&Turn) -> f64| median(&series(turns, figure));
        let (rate, cpu) = (row.throughput(), row.cpu());
        add(
            &mut text,
            &format!(
                "| {} | {} | {:.0}, {:.0} | {} | {:.1}, {:.1} | {} | {} | {} |",
                row.name,
                row.bare,
                middle(&row.ours, |turn| turn.rate),
                middle(&row.theirs, |turn| turn.rate),
                times(rate),
                middle(&row.ours, |turn| turn.cpu_ns / 1e3),
                middle(&row.theirs, |turn| turn.cpu_ns / 1e3),
                times(cpu),
                row.at_least.map(|least| format!("≥ {least}")).unwrap_or_default(),
                Verdict::of(row.at_least, rate).word(),
            ),
        );
    }
    text
}

fn times(Ratio { median, low, high }: Ratio) -> String {
    format!("{median:.2} [{low:.2}–{high:.2}]")
}

fn shares(shares: &[Share]) -> String {
    let mut text = "| offered | asked | one limiter for all | let pass | share |\n\
                    |---|---|---|---|---|\n"
        .to_owned();
    for Share { offered, asked, ideal, passed } in shares {
        let share = *passed as f64 / ideal * 100.0;
        add(
            &mut text,
            &format!("| {offered} × | {asked} | {ideal:.0} | {passed} | {share:.1} % |"),
        );
    }
    text
}

impl Record {
    /// Both tables.
    #[must_use]
    pub fn markdown(&self) -> String {
        let Machine { cpu, cores, kernel, date, commit, .. } = &self.machine;
        let rounds = self.rows.first().map_or(0, |row| row.ours.len());
        let [before, after] = &self.load;
        format!(
            "# Infrastructure, measured on {date} at {commit}\n\n{cpu}, {cores} cores that the servers \
             share, Linux {kernel}; {rounds} rounds; load {before} before, {after} after.\n\nFirst ours, \
             then the bare client. ×: above 1 ours does more, or needs less CPU.\n\n{}\n## Three nodes, \
             one limit\n\n400 requests in 4 s for one caller who asks all nodes alike.\n\n{}",
            table(&self.rows),
            shares(&self.shares)
        )
    }

    /// Writes the record and the tables.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let commit = self.machine.commit.trim_end_matches('+');
        let name = format!("{}-{commit}-infra.json", self.machine.date);
        for (name, text) in [(&*name, serde_json::to_string(self)?), ("infra.md", self.markdown())]
        {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

fn add(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a text takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: [f64; 3], theirs: [f64; 3]) -> Row {
        let turns = |rates: [f64; 3]| rates.map(|rate| Turn { cpu_ns: 1e9 / rate, rate }).to_vec();
        Row {
            name: "a job".to_owned(),
            bare: "the client".to_owned(),
            at_least: Some(0.8),
            ours: turns(ours),
            theirs: turns(theirs),
        }
    }

    #[test]
    fn a_goal_is_missed_only_when_the_whole_interval_misses_it() {
        let verdict = |ours| {
            let row = row(ours, [100.0; 3]);
            (Verdict::of(row.at_least, row.throughput()), row.is_missed())
        };
        assert_eq!(verdict([79.0, 85.0, 120.0]), (Verdict::Met, false));
        assert_eq!(verdict([70.0, 75.0, 90.0]), (Verdict::Open, false));
        assert_eq!(verdict([70.0, 75.0, 79.0]), (Verdict::Missed, true));
    }

    #[test]
    fn both_ratios_are_above_one_when_ours_is_better() {
        let row = row([200.0; 3], [100.0; 3]);
        assert!((row.throughput().median - 2.0).abs() < 1e-9);
        assert!((row.cpu().median - 2.0).abs() < 1e-9);
    }
}
