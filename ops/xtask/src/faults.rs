//! `cargo xtask faults`: builds the programs, starts a set of servers that may be killed, and runs the fault
//! suite on them (docs/operations/faults.md).
//!
//! The servers have a folder and ports of their own, below the ephemeral ones, beside those of the tests.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::process::{self, capture, variable};
use crate::programs::Programs;
use crate::tally::Tally;

/// What the suite hurts, by the names of `cargo xtask services`.
const SERVERS: [&str; 6] = ["postgres", "postgres-replica", "redis", "kafka", "s3", "mail"];
/// Where they listen.
const PORTS: [(&str, &str); 7] = [
    ("TROUPE_SERVICES_POSTGRES_PORT", "23432"),
    ("TROUPE_SERVICES_POSTGRES_REPLICA_PORT", "23442"),
    ("TROUPE_SERVICES_REDIS_PORT", "23379"),
    ("TROUPE_SERVICES_KAFKA_PORT", "23092"),
    ("TROUPE_SERVICES_S3_PORT", "23070"),
    ("TROUPE_SERVICES_SMTP_PORT", "23025"),
    ("TROUPE_SERVICES_MAIL_API_PORT", "23080"),
];
/// The folder of the servers unless `TROUPE_SERVICES_DIR` names one.
const FOLDER: &str = "troupe-faults";

/// The servers of one run.
struct Servers {
    folder: PathBuf,
    variables: Vec<(String, String)>,
}

/// Runs the suite with these words after `run`; `Ok(false)` when something was not kept.
pub(crate) fn command(words: &[&str]) -> Result<bool> {
    let programs = Programs::build(true)?;
    let servers = Servers::start()?;
    let result = process::run(servers.suite(&programs, words));
    servers.stop()?;
    result
}

/// The short form, as a part of the tests; skipped loudly where the servers cannot be had.
pub(crate) fn short(programs: &Programs, tally: &mut Tally) -> Result<()> {
    println!("\nThe fault suite, short.");
    let servers = match Servers::start() {
        Ok(servers) => servers,
        Err(error) => {
            tally.skip(&format!("the fault suite: {error:#}"));
            return Ok(());
        }
    };
    let (mut counted, began) = (Tally::default(), Instant::now());
    let suite = servers.suite(programs, &["--short"]);
    let status = process::stream(suite, |line| counted.read_tap_line(line));
    servers.stop()?;
    counted.close("the fault suite", status?.success());
    counted.took("the fault suite", began);
    tally.add(counted);
    Ok(())
}

impl Servers {
    /// Starts those that do not run yet.
    fn start() -> Result<Self> {
        let folder = variable("TROUPE_SERVICES_DIR")
            .map_or_else(|| std::env::temp_dir().join(FOLDER), PathBuf::from);
        let mut servers = Self { folder, variables: Vec::new() };
        let mut up = servers.services("up")?;
        // What it prints says which one does not start, and why.
        let started = up.stdin(Stdio::null()).status().context("cargo xtask services up")?;
        if !started.success() {
            servers.stop()?;
        }
        ensure!(started.success(), "some of its servers cannot be started: see above");
        let told = capture(servers.services("env")?)?;
        servers.variables = told.lines().filter_map(read_export).collect();
        Ok(servers)
    }

    fn stop(&self) -> Result<()> {
        // The end of the nodes' data with the servers'; the journal stays until the next run.
        capture(self.services("down")?).map(drop)
    }

    /// A command on the suite's servers: this program, told their folder and ports.
    fn services(&self, verb: &str) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["services", verb]).args(SERVERS);
        command.env("TROUPE_SERVICES_DIR", &self.folder).env("TROUPE_SERVICES_PROVIDER", "native");
        for (name, port) in PORTS {
            if variable(name).is_none() {
                command.env(name, port);
            }
        }
        Ok(command)
    }

    fn suite(&self, programs: &Programs, words: &[&str]) -> Command {
        let mut suite = Command::new(&programs.faults);
        suite.arg("run").args(words);
        suite.envs(self.variables.iter().map(|(name, value)| (name, value)));
        suite.env("TROUPE_SERVICES_DIR", &self.folder).env("TROUPE_BIN", &programs.troupe);
        suite
    }
}

/// `export NAME='VALUE'`.
fn read_export(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
    Some((name.to_owned(), value.trim_matches('\'').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_as_it_is_printed() {
        let read = read_export("export TROUPE_TEST_S3_URL='http://a:b@127.0.0.1:1/c'");
        let expected = ("TROUPE_TEST_S3_URL".to_owned(), "http://a:b@127.0.0.1:1/c".to_owned());
        assert_eq!(read, Some(expected));
        assert_eq!(read_export("# redis does not run"), None);
    }

    #[test]
    fn the_servers_listen_below_the_ephemeral_ports() {
        for (name, port) in PORTS {
            let port: u16 = port.parse().expect("a port");
            assert!((1_024..32_768).contains(&port), "{name}");
        }
    }
}
