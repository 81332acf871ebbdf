//! The commands of the repository: test, ci, bench, layers, services.
//!
//! `cargo xtask help` lists them. This crate knows the repository and nothing of the product: it
//! links none of our crates, so that it builds in seconds and still works when they do not.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool answers on its standard streams"
)]

mod bench;
mod ci;
mod drill;
mod faults;
mod layers;
mod process;
mod programs;
mod services;
mod tally;
mod test;
mod tour;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

const HELP: &str = "\
The commands of the repository.

  cargo xtask test [--quick]     start the backing services, run every test, run the service suites
                                 again with every message sent through its encoding, then the tour
                                 on SQLite, on PostgreSQL, and on all servers, and compare what they
                                 leave, the short fault suite and the restore drill of SQLite and of a
                                 dump; --quick leaves these out and installs no service
  cargo xtask restore-drill [KIND...]
                                 back up a node at work, lose its data, restore it elsewhere and look at it:
                                 sqlite, dump (pg_dump), physical (pg_basebackup and the archived log)
  cargo xtask ci                 what a change must pass: fmt, clippy, doc, layers, deny, machete, the
                                 budget of instructions, test
  cargo xtask bench [--quick] [SCENARIO...]
                                 measure the platform beside the plain alternatives and print goals
                                 against figures; --quick takes less than ten minutes
  cargo xtask bench infra [--quick] [relay|groups|cache|limits|blobs...]
                                 the platform on Kafka, Redis and S3 beside their bare clients; without
                                 names what is measured is recorded
  cargo xtask instructions [--record]
                                 count the instructions of a request and hold them against the budget
                                 in benches/results; --record lowers it
  cargo xtask faults [--minutes N] [--seed S] [--only NAME,...] [--rate N] [--short]
                                 kill, pause and restart servers of its own under a workload, and check
                                 that nothing was lost (docs/operations/faults.md); 12 minutes
  cargo xtask layers             check the dependency rules and the shape of the tree (ARCHITECTURE.md)
  cargo xtask services up [NAME...]
                                 start the backing services, all or those named: postgres, redis, kafka,
                                 s3, mail, oidc, etcd, prometheus, otlp, postgres-replica, redis-replica; prints
                                 their variables
  cargo xtask services COMMAND   down | status | logs, of all or of those named; env: the variables as
                                 `export` lines; install: get their programs and start nothing.
                                 --data DIR keeps the data there

Variables
  TROUPE_TEST_POSTGRES            address of a PostgreSQL superuser; when it is set, `test` uses it
                                  and starts no server; so it is with every variable that `env` prints
  TROUPE_SERVICES_DIR             where the services keep their data (a folder in the temporary directory)
  TROUPE_SERVICES_CACHE           where their programs are installed (~/.cache/troupe-services)
  TROUPE_SERVICES_PROVIDER        docker | native; by default Docker when an engine answers
  TROUPE_SERVICES_KAFKA_BROKERS   1 | 3 (1)
  TROUPE_SERVICES_NAME_PORT       ports on 127.0.0.1: POSTGRES (15432), POSTGRES_REPLICA (15442),
                                  REDIS (16379), REDIS_REPLICA (16380), KAFKA (19092, the next two, and
                                  the controllers 100 above), S3 (17070), SMTP (11025), MAIL_API (18025),
                                  OIDC (15556), ETCD (12379 and the next), PROMETHEUS (19090), OTLP (14318)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs one command. `Ok(false)` means that it ran and found something wrong.
fn dispatch(arguments: &[&str]) -> Result<bool> {
    match arguments {
        [] | ["help" | "--help" | "-h", ..] => {
            print!("{HELP}");
            Ok(true)
        }
        ["layers"] => layers::command(&Workspace::load()?),
        ["services", words @ ..] => services::command(words),
        ["test", options @ ..] => {
            test::command(&Workspace::load()?, test::Options::parse(options)?)
        }
        ["restore-drill", kinds @ ..] => drill::command(&Workspace::load()?, kinds),
        ["bench", options @ ..] => bench::command(&bench::Options::parse(options)?),
        ["faults", words @ ..] => faults::command(words),
        ["instructions"] => bench::instructions(false),
        ["instructions", "--record"] => bench::instructions(true),
        ["ci"] => ci::command(&Workspace::load()?),
        other => bail!("no command `{}`: see `cargo xtask help`", other.join(" ")),
    }
}
