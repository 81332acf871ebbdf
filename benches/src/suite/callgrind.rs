//! The gate on instructions: a contender under callgrind serves a short and a long run of the same
//! requests, and the difference is what a request costs on the user side.
//!
//! It hardly depends on what else the machine does, so it can fail a change that timing cannot. The
//! recorded budget may only go down.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use troupe_load::Remote;

use super::catalog::{self, Catalog};
use super::server::{Place, Server};

/// What counts as noise: a share of the budget.
const TOLERANCE: f64 = 0.02;
const RUN_MAX: Duration = Duration::from_secs(600);
/// Lines of each file that are used: the short run has seen every token.
const LINES: usize = 64;
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Instructions of a request by contender.
///
/// # Errors
/// When valgrind is not there or a contender does not serve under it.
pub fn count(
    catalog: &Catalog,
    place: &Place,
    contenders: &[&str],
) -> anyhow::Result<BTreeMap<String, f64>> {
    let [short, long] = catalog.callgrind.requests;
    ensure!(short < long, "callgrind.requests: the short run is first");
    let mut all = BTreeMap::new();
    for name in contenders {
        let fewer = run(catalog, name, place, short)?;
        let more = run(catalog, name, place, long)?;
        all.insert((*name).to_owned(), (more - fewer) as f64 / (long - short) as f64);
    }
    Ok(all)
}

/// All instructions of a process that serves so many requests.
fn run(catalog: &Catalog, name: &str, place: &Place, requests: u64) -> anyhow::Result<u64> {
    let settings = &catalog.callgrind;
    let scenario = catalog.scenario(&settings.scenario).context("callgrind.scenario")?;
    let mut contender =
        catalog.contender(name).with_context(|| format!("no contender `{name}`"))?.clone();
    // So slow a server would time every message.
    contender.arguments.extend(["--timed-in-full-max".to_owned(), "0".to_owned()]);
    let log = place.directory.join("callgrind.log");
    let file = format!("--log-file={}", log.display());
    let profile = place.directory.join(format!("callgrind.{name}.{requests}"));
    let profile = format!("--callgrind-out-file={}", profile.display());
    let wrapper = ["valgrind", "--tool=callgrind", file.as_str(), profile.as_str()];
    let server = Server::contender(&contender, scenario, place, &wrapper)?;
    let mut load = troupe_load::Scenario::new(server.address.to_string());
    load.host = Some("bench.invalid".to_owned());
    load.connections = settings.connections;
    load.requests_max = requests;
    load.duration = RUN_MAX;
    load.timeout = ANSWER_WITHIN;
    load.requests.clone_from(&scenario.request);
    load.values.clone_from(&scenario.values);
    for values in load.values.values_mut() {
        values.file = values.file.take().map(|file| place.directory.join(file));
        values.first = Some(LINES);
    }
    let report = troupe_load::run(&load, Remote::Refused)?;
    server.stop()?;
    ensure!(report.is_clean() && report.answers == requests, "{name} under callgrind:\n{report}");
    let text = fs::read_to_string(&log).with_context(|| log.display().to_string())?;
    let counted = text.lines().find_map(|line| line.split_once("Collected :"));
    let (_, counted) = counted.with_context(|| format!("no count in {}", log.display()))?;
    Ok(counted.trim().parse()?)
}

/// Where the budget is recorded.
#[must_use]
pub fn budget_file() -> PathBuf {
    catalog::folder().join("results").join("instructions.toml")
}

/// What the counts say to the budget; `Err` for a count above it.
#[must_use]
pub fn judge(
    counted: &BTreeMap<String, f64>,
    budget: &BTreeMap<String, f64>,
) -> Vec<Result<String, String>> {
    let mut said = Vec::new();
    for (name, count) in counted {
        said.push(match budget.get(name) {
            None => Err(format!("{name}: {count:.0}, no budget: record it with --record")),
            Some(most) if *count > most * (1.0 + TOLERANCE) => Err(format!(
                "{name}: {count:.0} instructions for a request, {:.1} % above the budget of {most:.0}; \
                 make it cheaper: see callgrind_annotate on the profile",
                (count / most - 1.0) * 100.0
            )),
            Some(most) if *count < most * (1.0 - TOLERANCE) => Ok(format!(
                "{name}: {count:.0}, below the budget of {most:.0}: lower it with --record"
            )),
            Some(most) => Ok(format!("{name}: {count:.0}, budget {most:.0}")),
        });
    }
    said
}

/// Reads the budget; none yet is an empty one.
///
/// # Errors
/// When the file is malformed.
pub fn budget() -> anyhow::Result<BTreeMap<String, f64>> {
    match fs::read_to_string(budget_file()) {
        Ok(text) => Ok(toml::from_str(&text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error.into()),
    }
}

/// Records counts that are new or lower; a budget never rises.
///
/// # Errors
/// When the file cannot be written.
pub fn record(counted: &BTreeMap<String, f64>) -> anyhow::Result<()> {
    let mut budget = budget()?;
    for (name, count) in counted {
        let most = budget.entry(name.clone()).or_insert(*count);
        *most = most.min(*count).round();
    }
    let text = format!(
        "# User instructions of a request (`cargo xtask instructions`); may only go down.\n{}",
        toml::to_string(&budget)?
    );
    fs::create_dir_all(catalog::folder().join("results"))?;
    Ok(fs::write(budget_file(), text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_per_cent_are_noise_and_more_is_a_fault() {
        let map = |value: f64| BTreeMap::from([("troupe".to_owned(), value)]);
        let verdict = |count| judge(&map(count), &map(30_000.0)).remove(0);
        assert!(verdict(30_500.0).is_ok());
        assert!(verdict(30_700.0).is_err_and(|text| text.contains("2.3 % above")));
        assert!(verdict(29_000.0).is_ok_and(|text| text.contains("--record")));
        assert!(judge(&map(1.0), &BTreeMap::new())[0].is_err());
    }
}
