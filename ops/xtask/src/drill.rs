//! The exercise of back-up and restore (docs/operations/backup.md).

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::process;
use crate::programs::Programs;
use crate::tally::Tally;
use crate::tour::Variables;
use crate::workspace::Workspace;

/// The exercise, relative to the root, and its kinds.
const DRILL: &str = "ops/restore-drill.sh";
const KINDS: [&str; 3] = ["sqlite", "dump", "physical"];
/// Those that are part of the tests.
const TESTED: [&str; 2] = ["sqlite", "dump"];

/// `cargo xtask restore-drill [KIND...]`: restores what was backed up, and looks at it.
pub(crate) fn command(workspace: &Workspace, kinds: &[&str]) -> Result<bool> {
    if let Some(unknown) = kinds.iter().find(|kind| !KINDS.contains(kind)) {
        bail!("restore-drill {unknown}: the kinds are {}", KINDS.join(", "));
    }
    let programs = Programs::build(false)?;
    let mut tally = Tally::default();
    for kind in if kinds.is_empty() { &KINDS } else { kinds } {
        take(workspace, kind, &programs.troupe, &[], &mut tally)?;
    }
    tally.print();
    Ok(tally.succeeded())
}

/// The part that the tests take.
pub(crate) fn tested(
    workspace: &Workspace,
    programs: &Programs,
    variables: &Variables,
    tally: &mut Tally,
) -> Result<()> {
    for kind in TESTED {
        take(workspace, kind, &programs.troupe, variables, tally)?;
    }
    Ok(())
}

fn take(
    workspace: &Workspace,
    kind: &str,
    program: &Path,
    variables: &Variables,
    tally: &mut Tally,
) -> Result<()> {
    let mut command = Command::new("bash");
    command.arg(workspace.root.join(DRILL)).arg(kind).env("TROUPE_BIN", program);
    command.envs(variables.iter().map(|(name, value)| (*name, value)));
    let (mut counted, began) = (Tally::default(), Instant::now());
    let status = process::stream(command, |line| counted.read_tap_line(line))?;
    let what = format!("{DRILL} {kind}");
    counted.close(&what, status.success());
    counted.took(&what, began);
    tally.add(counted);
    Ok(())
}
