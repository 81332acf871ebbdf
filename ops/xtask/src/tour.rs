//! The tour of the product on each kind of ground, and that it leaves the same everywhere.
//!
//! The first tour writes what it left into a file; what the others leave is compared with it.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::process::{self, variable};
use crate::programs::Programs;
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
pub(crate) type Variables = [(&'static str, String)];

/// Takes the tour on everything that is there, with one program; `kafka` says whether it has that feature.
pub(crate) fn run(
    workspace: &Workspace,
    programs: &Programs,
    kafka: bool,
    variables: &Variables,
    tally: &mut Tally,
) -> Result<()> {
    let tour = workspace.root.join(TOUR);
    let is_given =
        |name: &str| variables.iter().any(|(each, _)| *each == name) || variable(name).is_some();
    let state = std::env::temp_dir().join(format!("troupe-tour-{}", std::process::id()));
    for (variant, needs) in VARIANTS {
        if let Some(name) = needs.iter().copied().find(|&name| !is_given(name)) {
            tally.skip(&format!("the tour on {variant}: {name} is not there"));
            continue;
        }
        if variant == FULL && !kafka {
            tally.skip("the full tour: there is no program with the feature kafka");
            continue;
        }
        if variant == FULL && !is_given(MAIL) {
            tally.skip("mails of the full tour through a server: it could not be started");
        }
        let mut command = Command::new("bash");
        command.arg(&tour).arg(variant).arg(&state).env("TROUPE_BIN", &programs.troupe);
        command.envs(variables.iter().map(|(name, value)| (*name, value)));
        take(variant, command, tally)?;
    }
    remove(&state)
}

fn take(variant: &str, command: Command, tally: &mut Tally) -> Result<()> {
    let (mut counted, began) = (Tally::default(), Instant::now());
    let status = process::stream(command, |line| counted.read_tap_line(line))?;
    let what = format!("{TOUR} {variant}");
    counted.close(&what, status.success());
    counted.took(&what, began);
    tally.add(counted);
    Ok(())
}

fn remove(state: &Path) -> Result<()> {
    if state.exists() {
        std::fs::remove_file(state).with_context(|| state.display().to_string())?;
    }
    Ok(())
}
