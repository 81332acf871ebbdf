//! `cargo xtask test`: everything, with the real services that can be had.
//!
//! What could not be started is said loudly at the time and again at the end, and counts as
//! skipped: a green line never hides a test that did not run.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::layers;
use crate::process::{self, cargo, variable};
use crate::services::{self, Cache, Purpose, Started};
use crate::tally::Tally;
use crate::workspace::Workspace;

/// The variable by which tests find PostgreSQL.
const POSTGRES: &str = "TROUPE_TEST_POSTGRES";

/// The variables by which tests find Kafka and the programs of a broker that they may kill, and the
/// tests that run again with them. As the whole workspace: everything else is built the same way then.
const KAFKA: &str = "TROUPE_TEST_KAFKA_BROKERS";
const KAFKA_LIBRARIES: &str = "TROUPE_TEST_KAFKA_LIBS";
const ON_KAFKA: [&str; 12] = [
    "--workspace",
    "--features",
    "troupe-events/kafka",
    "--lib",
    "--test",
    "main",
    "kafka",
    "--",
    "delivering::",
    "dead::",
    "nodes::",
    "retaining::",
];

/// The service that `.ci/run` installs on every machine.
const DATABASE: &str = "postgres";

/// The tour of the product, relative to the root: `tour.sh sqlite`, `tour.sh postgres`.
const TOUR: &str = "ops/tour.sh";

/// The exercise of back-up and restore, relative to the root, and its kinds.
const DRILL: &str = "ops/restore-drill.sh";
const DRILLS: [&str; 3] = ["sqlite", "dump", "physical"];

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

type Variables = [(&'static str, String)];

fn run_suites(
    workspace: &Workspace,
    options: Options,
    variables: &Variables,
    tally: &mut Tally,
) -> Result<()> {
    let mut all = cargo();
    all.args(["test", "--workspace", "--no-fail-fast"]);
    tally.add(cargo_test("cargo test --workspace", with(all, variables))?);

    let mut wire = cargo();
    wire.args(["test", "--no-fail-fast"]).env("TROUPE_WIRE", "always");
    for package in over_the_wire(workspace)? {
        wire.args(["--package", &package]);
    }
    println!("\nAgain with TROUPE_WIRE=always: every message through its encoding.");
    tally.add(cargo_test("cargo test over the wire", with(wire, variables))?);

    if is_given(KAFKA, variables) {
        let mut kafka = cargo();
        kafka.args(["test", "--no-fail-fast"]).args(ON_KAFKA);
        if let Ok(libraries) = services::kafka::libraries(&Cache::new(false)?) {
            kafka.env(KAFKA_LIBRARIES, libraries);
        }
        println!("\nAgain with the feature kafka.");
        tally.add(cargo_test("cargo test on Kafka", with(kafka, variables))?);
    }

    let tour = workspace.root.join(TOUR);
    if options.quick {
        tally.skip("the tour: left out by --quick");
    } else if !tour.is_file() {
        tally.skip(&format!("the tour: there is no {TOUR}"));
    } else {
        run_tour(&tour, variables, tally)?;
    }
    if options.quick {
        tally.skip("the restore drill: left out by --quick");
    } else {
        run_drills(workspace, &DRILLS[..2], variables, tally)?;
    }
    Ok(())
}

/// `cargo xtask restore-drill [KIND...]`: restores what was backed up, and looks at it.
pub(crate) fn drill(workspace: &Workspace, kinds: &[&str]) -> Result<bool> {
    if let Some(unknown) = kinds.iter().find(|kind| !DRILLS.contains(kind)) {
        bail!("restore-drill {unknown}: the kinds are {}", DRILLS.join(", "));
    }
    let mut tally = Tally::default();
    run_drills(workspace, if kinds.is_empty() { &DRILLS } else { kinds }, &[], &mut tally)?;
    tally.print();
    Ok(tally.succeeded())
}

fn run_drills(
    workspace: &Workspace,
    kinds: &[&str],
    variables: &Variables,
    tally: &mut Tally,
) -> Result<()> {
    for kind in kinds {
        let mut command = Command::new("bash");
        command.arg(workspace.root.join(DRILL)).arg(kind);
        tally.add(tap(&format!("{DRILL} {kind}"), with(command, variables))?);
    }
    Ok(())
}

fn is_given(wanted: &str, variables: &Variables) -> bool {
    variables.iter().any(|(name, _)| *name == wanted) || variable(wanted).is_some()
}

fn run_tour(tour: &Path, variables: &Variables, tally: &mut Tally) -> Result<()> {
    for dialect in ["sqlite", "postgres"] {
        if dialect == "postgres" && !is_given(POSTGRES, variables) {
            tally.skip("the tour on PostgreSQL: it could not be started");
            continue;
        }
        let mut command = Command::new("bash");
        command.arg(tour).arg(dialect);
        tally.add(tap(&format!("{TOUR} {dialect}"), with(command, variables))?);
    }
    Ok(())
}

/// Runs a script that prints a TAP line a check.
fn tap(what: &str, command: Command) -> Result<Tally> {
    let mut tally = Tally::default();
    let status = process::stream(command, |line| tally.read_tap_line(line))?;
    tally.close(what, status.success());
    Ok(tally)
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
