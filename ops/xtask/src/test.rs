//! `cargo xtask test`: everything, with the real services that can be had.
//!
//! What could not be started is said loudly at the time and again at the end, and counts as
//! skipped: a green line never hides a test that did not run.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail, ensure};

use crate::drill;
use crate::faults;
use crate::layers;
use crate::process::{self, variable};
use crate::programs::{Programs, tests_of_all};
use crate::services::{self, Cache, Purpose, Started};
use crate::tally::Tally;
use crate::tour::{self, Variables};
use crate::workspace::Workspace;

/// The variables by which tests find Kafka and the programs of a broker that they may kill.
const KAFKA: &str = "TROUPE_TEST_KAFKA_BROKERS";
const KAFKA_LIBRARIES: &str = "TROUPE_TEST_KAFKA_LIBS";

/// The service that `.ci/run` installs on every machine.
const DATABASE: &str = "postgres";

/// Crates beside the services whose suites run again with every message sent through its encoding.
const ALSO_OVER_THE_WIRE: [&str; 3] = ["actors", "edge", "node"];

/// The tests that plan the statements which the others have sent, and the variable with the folder of
/// these.
const PLANS: &str = "plans::";
const STATEMENTS: &str = "TROUPE_TEST_STATEMENTS";

/// How much to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Leaves the tour and the restore drill out, and the services that would have to be downloaded first.
    pub(crate) quick: bool,
    /// Counts a service that is here and does not start as a failure.
    pub(crate) services_required: bool,
}

impl Options {
    /// Reads the words after `test`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        for &word in words {
            match word {
                "--quick" => options.quick = true,
                other => bail!("test {other}: the only option is --quick"),
            }
        }
        Ok(options)
    }
}

/// Runs the tests and prints the closing line.
pub(crate) fn command(workspace: &Workspace, options: Options) -> Result<bool> {
    let tally = run(workspace, options)?;
    tally.print();
    Ok(tally.succeeded())
}

/// Runs the tests between starting and stopping the services.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<Tally> {
    let (mut tally, began) = (Tally::default(), Instant::now());
    let started = Started::start(Purpose::Tests, Cache::new(!options.quick)?)?;
    tally.took("starting the services", began);
    for missing in &started.missing {
        let always_here = missing.name == DATABASE;
        if options.services_required && (always_here || !missing.not_here) {
            tally.check(&format!("starting {}", missing.name), false);
        }
        tally.skip(&format!("everything on {}: {}", missing.name, missing.why));
    }
    let variables = started.variables.clone();
    let result = run_suites(workspace, options, &variables, &mut tally);
    started.stop()?;
    result.map(|()| tally)
}

fn run_suites(
    workspace: &Workspace,
    options: Options,
    variables: &Variables,
    tally: &mut Tally,
) -> Result<()> {
    let kafka = is_given(KAFKA, variables) && can_build_kafka(tally);
    let began = Instant::now();
    let programs = match Programs::build(kafka) {
        Ok(programs) => programs,
        Err(error) => {
            tally.check(&format!("building the tests: {error:#}"), false);
            return Ok(());
        }
    };
    tally.took("building the tests", began);
    let surroundings = surroundings(kafka, variables)?;
    let statements = std::env::temp_dir().join(format!("troupe-statements-{}", std::process::id()));
    if statements.exists() {
        std::fs::remove_dir_all(&statements)?;
    }
    std::fs::create_dir_all(&statements)?;
    let mut all = tests_of_all(kafka);
    all.args(["--no-fail-fast", "--", "--skip", PLANS]).envs(surroundings.clone());
    all.env(STATEMENTS, &statements);
    tally.add(suite("cargo test --workspace", all)?);
    println!("\nThe plans of the statements that were sent.");
    for test in programs.tests_in(&planned(workspace)) {
        let mut plans = test.command();
        plans.arg(PLANS).envs(surroundings.clone()).env(STATEMENTS, &statements);
        tally.add(suite("the plans of the statements", plans)?);
    }
    std::fs::remove_dir_all(&statements)?;
    println!("\nAgain with TROUPE_WIRE=always: every message through its encoding.");
    let before = tally.passed;
    for test in programs.tests_in(&over_the_wire(workspace)?) {
        let mut wire = test.command();
        wire.args(["--skip", PLANS]);
        wire.envs(surroundings.clone()).env("TROUPE_WIRE", "always");
        tally.add(suite("the tests over the wire", wire)?);
    }
    ensure!(tally.passed > before, "no test ran over the wire");

    if options.quick {
        tally.skip("the fault suite, the restore drill and the tour: left out by --quick");
        return Ok(());
    }
    if kafka {
        faults::short(&programs, tally)?;
    } else {
        tally.skip("the fault suite: it needs Kafka");
    }
    drill::tested(workspace, &programs, variables, tally)?;
    tour::run(workspace, &programs, kafka, variables, tally)
}

/// Whether the headers of OpenSSL are here; without them everything else runs still.
fn can_build_kafka(tally: &mut Tally) -> bool {
    let mut openssl = Command::new("pkg-config");
    openssl.args(["--exists", "openssl"]);
    let can = process::succeeds(openssl);
    if !can {
        tally.skip("the feature kafka: it needs OpenSSL: apt-get install libssl-dev pkg-config");
    }
    can
}

/// What tells the tests which servers there are.
fn surroundings(kafka: bool, variables: &Variables) -> Result<Vec<(&'static str, OsString)>> {
    let mut told: Vec<_> =
        variables.iter().map(|(name, value)| (*name, OsString::from(value))).collect();
    if kafka && let Ok(libraries) = services::kafka::libraries(&Cache::new(false)?) {
        told.push((KAFKA_LIBRARIES, libraries.into()));
    }
    Ok(told)
}

fn is_given(wanted: &str, variables: &Variables) -> bool {
    variables.iter().any(|(name, _)| *name == wanted) || variable(wanted).is_some()
}

fn suite(what: &str, command: Command) -> Result<Tally> {
    let (mut tally, began) = (Tally::default(), Instant::now());
    let status = process::stream(command, |line| tally.read_test_line(line))?;
    tally.close(what, status.success());
    tally.took(what, began);
    Ok(tally)
}

/// The folders of the packages that have plans.
fn planned(workspace: &Workspace) -> Vec<PathBuf> {
    let folders = workspace.packages.iter().map(|package| workspace.root.join(&package.directory));
    folders.filter(|folder| folder.join("tests/plans.rs").exists()).collect()
}

/// The folders of the packages that run again over the wire.
fn over_the_wire(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let services = layers::services(workspace)?;
    let matters = |name: &str| {
        ALSO_OVER_THE_WIRE.contains(&name) || services.iter().any(|service| service == name)
    };
    let packages = workspace.packages.iter().filter(|package| matters(&package.name));
    Ok(packages.map(|package| workspace.root.join(&package.directory)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_is_refused_by_name() {
        assert!(Options::parse(&["--quick"]).expect("a known option").quick);
        let error = Options::parse(&["--fast"]).expect_err("an unknown option");
        assert!(error.to_string().contains("--fast"), "{error}");
    }
}
