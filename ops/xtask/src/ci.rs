//! `cargo xtask ci`: every gate that a change passes, all of them run even when one fails.

use std::process::Command;

use anyhow::Result;

use crate::layers;
use crate::process::{self, cargo, succeeds};
use crate::tally::Tally;
use crate::test::{self, Options};
use crate::workspace::Workspace;

/// Runs all gates and prints the closing line, in which each gate counts as one.
pub(crate) fn command(workspace: &Workspace) -> Result<bool> {
    let mut tally = Tally::default();
    for (name, command) in gates() {
        tally.check(name, process::run(command)?);
    }
    println!("\n$ cargo xtask layers");
    tally.check("layers", layers::command(workspace)?);
    for (tool, arguments) in TOOLS {
        if succeeds(arguments_of(&[tool, "--version"])) {
            tally.check(tool, process::run(arguments_of(arguments))?);
        } else {
            tally.skip(&format!("cargo {tool}: `cargo install --locked cargo-{tool}` to run it"));
        }
    }
    let options = Options { quick: false, services_required: true };
    tally.add(test::run(workspace, options)?);
    tally.print();
    Ok(tally.succeeded())
}

/// Gates whose tools are not part of the toolchain.
const TOOLS: [(&str, &[&str]); 2] = [("deny", &["deny", "check"]), ("machete", &["machete"])];

fn gates() -> [(&'static str, Command); 3] {
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    let mut doc = arguments_of(&["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "--deny warnings");
    [
        ("fmt", arguments_of(&["fmt", "--all", "--check"])),
        ("clippy", arguments_of(&clippy)),
        ("doc", doc),
    ]
}

fn arguments_of(arguments: &[&str]) -> Command {
    let mut command = cargo();
    command.args(arguments);
    command
}
