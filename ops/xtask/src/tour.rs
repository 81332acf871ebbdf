//! The tour of the product on each kind of ground, and that it leaves the same everywhere.
//!
//! The first tour writes what it left into a file; what the others leave is compared with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process::{self, cargo, variable};
use crate::tally::Tally;
use crate::workspace::Workspace;

/// The tour, relative to the root.
const TOUR: &str = "ops/tour.sh";

/// The tour on all servers.
const FULL: &str = "full";

/// How it is taken, and the variables of the servers that this takes.
const VARIANTS: [(&str, &[&str]); 3] = [
    ("sqlite", &[]),
    ("postgres", &["TROUPE_TEST_POSTGRES"]),
    (
        FULL,
        &[
            "TROUPE_TEST_POSTGRES",
            "TROUPE_TEST_REDIS_URL",
            "TROUPE_TEST_KAFKA_BROKERS",
            "TROUPE_TEST_S3_URL",
        ],
    ),
];

/// A server that the tour can do without.
const MAIL: &str = "TROUPE_TEST_SMTP_URL";

/// What the tests were told of servers.
type Variables = [(&'static str, String)];

/// Takes the tour on everything that is there. `features` are those that the tests were built with, when
/// Kafka is among them.
pub(crate) fn run(
    workspace: &Workspace,
    features: Option<&str>,
    variables: &Variables,
    tally: &mut Tally,
) -> Result<()> {
    let tour = workspace.root.join(TOUR);
    if !tour.is_file() {
        tally.skip(&format!("the tour: there is no {TOUR}"));
        return Ok(());
    }
    let is_given =
        |name: &str| variables.iter().any(|(each, _)| *each == name) || variable(name).is_some();
    // One program on all of them, where there is Kafka: it has everything, and is built already.
    let program = features.map(program).transpose()?;
    let state = std::env::temp_dir().join(format!("troupe-tour-{}", std::process::id()));
    for (variant, needs) in VARIANTS {
        if let Some(name) = needs.iter().copied().find(|&name| !is_given(name)) {
            tally.skip(&format!("the tour on {variant}: {name} is not there"));
            continue;
        }
        if variant == FULL && program.is_none() {
            tally.skip("the full tour: there is no program with the feature kafka");
            continue;
        }
        if variant == FULL && !is_given(MAIL) {
            tally.skip("mails of the full tour through a server: it could not be started");
        }
        let mut command = Command::new("bash");
        command.arg(&tour).arg(variant).arg(&state);
        command.envs(variables.iter().map(|(name, value)| (*name, value)));
        if let Some(program) = &program {
            command.env("TROUPE_BIN", program);
        }
        take(variant, command, tally)?;
    }
    remove(&state)
}

fn take(variant: &str, command: Command, tally: &mut Tally) -> Result<()> {
    let mut counted = Tally::default();
    let status = process::stream(command, |line| counted.read_tap_line(line))?;
    counted.close(&format!("{TOUR} {variant}"), status.success());
    tally.add(counted);
    Ok(())
}

/// The node as the tests were built with it.
fn program(features: &str) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["test", "--workspace", "--features", features, "--no-run"]);
    ensure!(process::run(build)?, "the node with the feature kafka cannot be built");
    let mut ask = cargo();
    ask.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    let metadata: Value = serde_json::from_str(&process::capture(ask)?)?;
    let target = metadata["target_directory"].as_str().context("cargo has a target directory")?;
    Ok(Path::new(target).join("debug/troupe"))
}

fn remove(state: &Path) -> Result<()> {
    if state.exists() {
        std::fs::remove_file(state).with_context(|| state.display().to_string())?;
    }
    Ok(())
}
