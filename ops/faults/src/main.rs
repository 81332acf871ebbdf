//! The fault suite: servers and nodes of its own, a seeded workload, a seeded schedule of faults, and a
//! checker that proves afterwards that nothing acknowledged was lost (docs/operations/faults.md).
//!
//! `cargo xtask faults` builds the programs, starts the servers and runs this one; it links of the product
//! only what its recorder needs, and sees the rest as a client does.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool answers on its standard streams"
)]

mod checker;
#[cfg(test)]
mod checker_tests;
mod client;
mod deadlines;
mod evidence;
mod evidence_web;
mod journal;
mod nodes;
mod options;
mod plan;
mod process;
mod recorder;
mod rig;
mod run;
mod server;
mod sql;
mod table;
mod topics;
mod watch;
mod web;
mod workload;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::options::Options;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs one command. `Ok(false)` means that something promised was not kept.
fn dispatch(words: &[&str]) -> Result<bool> {
    match words {
        ["record", database, brokers, prefix] => {
            recorder::serve(database, brokers, prefix).map(|()| true)
        }
        ["run", options @ ..] => run::command(&Options::parse(options)?),
        _ => bail!("start it by `cargo xtask faults`, which brings the servers that it needs"),
    }
}
