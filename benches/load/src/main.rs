//! `load FILE [--json] [--allow-remote]`: runs a scenario and prints its report.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool answers on its standard streams"
)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use troupe_load::{LoadError, Remote, Report, Scenario, run};

const HELP: &str = "\
load FILE [--json] [--allow-remote]

Runs the scenario in FILE (TOML) and prints what it found.

  --json           as JSON
  --allow-remote   the target may lie on another machine, which is yours

It ends with 0 when the figures can be used, 1 when there are none and 3 when they are void.
";

fn main() -> ExitCode {
    let mut file = None;
    let mut as_json = false;
    let mut remote = Remote::Refused;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--json" => as_json = true,
            "--allow-remote" => remote = Remote::Allowed,
            path if file.is_none() && !path.starts_with('-') => file = Some(PathBuf::from(path)),
            _ => {
                eprint!("{HELP}");
                return ExitCode::from(2);
            }
        }
    }
    let Some(file) = file else {
        eprint!("{HELP}");
        return ExitCode::from(2);
    };
    match Scenario::load(&file).and_then(|scenario| run(&scenario, remote)) {
        Ok(report) => print(&report, as_json),
        Err(error) => fail(&error),
    }
}

fn print(report: &Report, as_json: bool) -> ExitCode {
    if as_json {
        let text = serde_json::to_string_pretty(report).expect("a report is JSON");
        println!("{text}");
    } else {
        print!("{report}");
    }
    if report.void.is_some() { ExitCode::from(3) } else { ExitCode::SUCCESS }
}

fn fail(error: &LoadError) -> ExitCode {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    eprintln!("load: {error}{cause}");
    ExitCode::FAILURE
}
