//! `cargo xtask test`: everything, with the real services that can be had.
//!
//! What could not be started is said loudly at the time and again at the end, and counts as
//! skipped: a green line never hides a test that did not run.

use std::process::Command;

use anyhow::{Result, bail};

use crate::drill;
use crate::faults;
use crate::layers;
use crate::process::{self, cargo, variable};
use crate::programs::{KAFKA_FEATURES, Programs};
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
    let started = Started::start(Purpose::Tests, Cache::new(!options.quick)?)?;
    let mut tally = Tally::default();
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
    let mut all = cargo_tests(kafka)?;
    all.arg("--workspace");
    tally.add(cargo_test("cargo test --workspace", with(all, variables))?);

    let mut wire = cargo_tests(kafka)?;
    wire.env("TROUPE_WIRE", "always");
    for package in over_the_wire(workspace)? {
        wire.args(["--package", &package]);
    }
    println!("\nAgain with TROUPE_WIRE=always: every message through its encoding.");
    tally.add(cargo_test("cargo test over the wire", with(wire, variables))?);

    if options.quick {
        tally.skip("the fault suite, the restore drill and the tour: left out by --quick");
        return Ok(());
    }
    let programs = Programs::build(kafka)?;
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

/// `cargo test` with all that is here.
fn cargo_tests(kafka: bool) -> Result<Command> {
    let mut tests = cargo();
    tests.args(["test", "--no-fail-fast"]);
    if kafka {
        tests.args(["--features", KAFKA_FEATURES]);
        if let Ok(libraries) = services::kafka::libraries(&Cache::new(false)?) {
            tests.env(KAFKA_LIBRARIES, libraries);
        }
    }
    Ok(tests)
}

fn is_given(wanted: &str, variables: &Variables) -> bool {
    variables.iter().any(|(name, _)| *name == wanted) || variable(wanted).is_some()
}

fn cargo_test(what: &str, command: Command) -> Result<Tally> {
    let mut tally = Tally::default();
    let status = process::stream(command, |line| tally.read_test_line(line))?;
    tally.close(what, status.success());
    Ok(tally)
}

fn with(mut command: Command, variables: &Variables) -> Command {
    command.envs(variables.iter().map(|(name, value)| (*name, value)));
    command
}

/// The full names of the packages that run again over the wire.
fn over_the_wire(workspace: &Workspace) -> Result<Vec<String>> {
    let services = layers::services(workspace)?;
    let matters = |name: &str| {
        ALSO_OVER_THE_WIRE.contains(&name) || services.iter().any(|service| service == name)
    };
    let packages = workspace.packages.iter().filter(|package| matters(&package.name));
    Ok(packages.map(|package| package.full_name.clone()).collect())
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
