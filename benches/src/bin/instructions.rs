//! `instructions [--record]`: counts the instructions of a request through the platform and holds them
//! against the budget. Ends with 1 above it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool answers on its standard streams"
)]

use std::process::ExitCode;

use anyhow::bail;
use troupe_benches::suite::callgrind;
use troupe_benches::suite::catalog::Catalog;
use troupe_benches::suite::server::Place;

/// Whose budget it is.
const COUNTED: [&str; 1] = ["troupe"];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let record = match arguments.as_slice() {
        [] => false,
        ["--record"] => true,
        other => bail!("what is {}? The only option is --record", other.join(" ")),
    };
    let catalog = Catalog::load()?;
    let counted = callgrind::count(&catalog, &Place::make(Place::usual(), None)?, &COUNTED)?;
    if record {
        callgrind::record(&counted)?;
    }
    let mut well = true;
    for said in callgrind::judge(&counted, &callgrind::budget()?) {
        well &= said.is_ok();
        println!("{}", said.unwrap_or_else(|line| line));
    }
    Ok(well)
}
