//! `cargo xtask bench` and `instructions`: builds the benchmarks as they are measured and runs the
//! suite.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{self, cargo, variable};
use crate::services::{Cache, Purpose, Started};
use crate::tally::Tally;

/// The variable by which everything finds PostgreSQL.
const POSTGRES: &str = "TROUPE_TEST_POSTGRES";
const PACKAGE: &str = "troupe-benches";
/// The program, and the feature, of what is measured on all servers.
const INFRA: &str = "infra";

/// What the suite is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    quick: bool,
    /// Scenarios of `benches/suite.toml`; none means all.
    scenarios: Vec<String>,
}

impl Options {
    /// Reads the words after `bench`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        for &word in words {
            match word {
                "--quick" => options.quick = true,
                other if other.starts_with('-') => {
                    bail!("bench {other}: the only option is --quick")
                }
                scenario => options.scenarios.push(scenario.to_owned()),
            }
        }
        Ok(options)
    }
}

/// Builds and runs between starting and stopping the services. `Ok(false)`: a goal is missed.
pub(crate) fn command(options: &Options) -> Result<bool> {
    if let Some((INFRA, parts)) =
        options.scenarios.split_first().map(|(first, rest)| (&**first, rest))
    {
        return infra(options.quick, parts);
    }
    if !process::run(build("bench", "suite", &[]))? {
        return Ok(false);
    }
    let started = Started::start(Purpose::Measurements, Cache::new(false)?)?;
    for missing in &started.missing {
        println!("left out: everything on {}: {}", missing.name, missing.why);
    }
    let postgres = started
        .variables
        .iter()
        .find(|(name, _)| *name == POSTGRES)
        .map(|(_, url)| url.clone())
        .or_else(|| variable(POSTGRES));
    let mut suite = run_bin("bench", "suite", &[]);
    suite.arg("run");
    if options.quick {
        suite.arg("--quick");
    }
    if let Some(url) = postgres {
        suite.args(["--postgres", &url]);
    }
    suite.args(&options.scenarios);
    let result = process::run(suite);
    started.stop()?;
    result
}

/// The platform on the servers of the tests, beside their bare clients. A whole run is recorded.
fn infra(quick: bool, parts: &[String]) -> Result<bool> {
    let features = ["--features", INFRA];
    let mut build = cargo();
    build
        .args(["build", "--profile", "bench", "--package", PACKAGE, "--bin", INFRA])
        .args(features);
    if !process::run(build)? {
        return Ok(false);
    }
    let started = Started::start(Purpose::Tests, Cache::new(true)?)?;
    for missing in &started.missing {
        println!("left out: everything on {}: {}", missing.name, missing.why);
    }
    let mut measure = run_bin("bench", INFRA, &features);
    measure.envs(started.variables.iter().map(|(name, value)| (*name, value)));
    if quick {
        measure.arg("--quick");
    } else if parts.is_empty() {
        measure.arg("--record");
    }
    measure.args(parts);
    let result = process::run(measure);
    started.stop()?;
    result
}

/// `cargo xtask instructions`: counts the instructions of a request through the platform and holds
/// them against the budget; `Ok(false)` is above it.
pub(crate) fn instructions(record: bool) -> Result<bool> {
    let features = ["--no-default-features"];
    let mut count = run_bin("gate", "instructions", &features);
    if record {
        count.arg("--record");
    }
    Ok(process::run(build("gate", "instructions", &features))? && process::run(count)?)
}

/// The same as a gate, where there is a valgrind.
pub(crate) fn check_instructions(tally: &mut Tally) -> Result<()> {
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--version");
    if process::succeeds(valgrind) {
        tally.check("instructions", instructions(false)?);
    } else {
        tally.skip("instructions of a request: no valgrind; `.ci/run` installs it");
    }
    Ok(())
}

/// Builds a program and the servers that it starts.
fn build(profile: &str, program: &str, features: &[&str]) -> Command {
    let mut build = cargo();
    build.args(["build", "--profile", profile, "--package", PACKAGE]).args(features);
    build.args(["--bin", "contender", "--bin", program]);
    build
}

fn run_bin(profile: &str, program: &str, features: &[&str]) -> Command {
    let mut run = cargo();
    run.args(["run", "--quiet", "--profile", profile, "--package", PACKAGE]).args(features);
    run.args(["--bin", program, "--"]);
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_and_the_one_option_are_told_apart() {
        let options = Options::parse(&["--quick", "cached", "open-25"]).expect("right words");
        assert!(options.quick);
        assert_eq!(options.scenarios, ["cached", "open-25"]);
        assert!(Options::parse(&["--fast"]).is_err());
        let options = Options::parse(&["infra", "relay"]).expect("right words");
        assert_eq!(options.scenarios, [INFRA, "relay"]);
    }
}
