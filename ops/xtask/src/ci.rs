//! `cargo xtask ci`: every gate that a change passes, all of them run even when one fails.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::bench;
use crate::layers;
use crate::process::{self, cargo, succeeds};
use crate::programs::KAFKA_FEATURES;
use crate::tally::Tally;
use crate::test::{self, Options};
use crate::workspace::Workspace;

/// Runs all gates and prints the closing line, in which each gate counts as one.
pub(crate) fn command(workspace: &Workspace) -> Result<bool> {
    let mut tally = Tally::default();
    for (name, command) in gates() {
        let began = Instant::now();
        tally.check(name, process::run(command)?);
        tally.took(name, began);
    }
    println!("\n$ cargo xtask layers");
    tally.check("layers", layers::command(workspace)?);
    check_dependencies(&mut tally)?;
    let began = Instant::now();
    bench::check_instructions(&mut tally)?;
    tally.took("instructions", began);
    let options = Options { quick: false, services_required: true };
    tally.add(test::run(workspace, options)?);
    tally.print();
    Ok(tally.succeeded())
}

/// Gates whose tools are not part of the toolchain, and one that needs the network.
fn check_dependencies(tally: &mut Tally) -> Result<()> {
    if succeeds(arguments_of(&["deny", "--version"])) {
        let rules = ["deny", "check", "bans", "licenses", "sources"];
        tally.check("deny", process::run(arguments_of(&rules))?);
        if succeeds(arguments_of(&["deny", "fetch", "db"])) {
            let advisories = ["deny", "check", "advisories"];
            tally.check("advisories", process::run(arguments_of(&advisories))?);
        } else {
            tally.skip("advisories: the database of RustSec could not be fetched");
        }
    } else {
        tally.skip("cargo deny: not installed; `.ci/run` installs it");
    }
    if succeeds(arguments_of(&["machete", "--version"])) {
        tally.check("machete", process::run(arguments_of(&["machete"]))?);
    } else {
        tally.skip("cargo machete: not installed; `.ci/run` installs it");
    }
    Ok(())
}

fn gates() -> [(&'static str, Command); 4] {
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    let mut on_kafka = arguments_of(&["clippy", "--workspace", "--all-targets", "--features"]);
    on_kafka.arg(format!("{KAFKA_FEATURES},troupe-benches/infra"));
    on_kafka.args(["--", "--deny", "warnings"]);
    let mut doc = arguments_of(&["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "--deny warnings");
    [
        ("fmt", arguments_of(&["fmt", "--all", "--check"])),
        ("clippy", arguments_of(&clippy)),
        ("clippy with the feature kafka", on_kafka),
        ("doc", doc),
    ]
}

fn arguments_of(arguments: &[&str]) -> Command {
    let mut command = cargo();
    command.args(arguments);
    command
}
