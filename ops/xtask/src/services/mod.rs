//! `cargo xtask services`: what the tests need beside the binary.
//!
//! A backing service is one file with one [`BackingService`]. It runs in Docker when an engine
//! answers, otherwise natively from the packages of the system. All it writes lies in one folder
//! named after its port, and `down` leaves nothing of it.

mod account;
mod docker;
mod postgres;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::process::variable;
use crate::services::postgres::Postgres;

/// One program that the product talks to.
pub(crate) trait BackingService {
    /// The name on the screen.
    fn name(&self) -> &'static str;
    /// What the tests are told: variables and their values.
    fn variables(&self) -> Vec<(&'static str, String)>;
    /// How it stands, found by asking it.
    fn state(&self) -> State;
    /// Starts it unless it runs, and returns when it answers.
    fn up(&self) -> Result<()>;
    /// Stops it and removes what it wrote. Nothing happens when it does not run.
    fn down(&self) -> Result<()>;
    /// The end of its log.
    fn logs(&self) -> Result<String>;
}

/// What backing services are started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Quick, and nothing needs to survive.
    Tests,
    /// As an operator runs them.
    Measurements,
}

/// How a backing service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It answers; says from where it runs.
    Running(String),
    /// It does not run and left nothing.
    Stopped,
    /// It left data behind but does not answer.
    Broken(String),
}

/// Every backing service, in the order of starting.
fn all(directory: &Path, purpose: Purpose) -> Result<Vec<Box<dyn BackingService>>> {
    Ok(vec![Box::new(Postgres::new(directory, purpose)?)])
}

/// Runs `cargo xtask services COMMAND`.
pub(crate) fn command(command: &str) -> Result<bool> {
    let directory = directory();
    let services = all(&directory, Purpose::Tests)?;
    let result = run(command, &services);
    remove_if_empty(&directory);
    result
}

fn run(command: &str, services: &[Box<dyn BackingService>]) -> Result<bool> {
    let mut well = true;
    match command {
        "up" => {
            for service in services {
                let _lock = lock()?;
                service.up().with_context(|| format!("cannot start {}", service.name()))?;
                report(service.as_ref());
            }
        }
        "down" => {
            for service in services.iter().rev() {
                let _lock = lock()?;
                service.down().with_context(|| format!("cannot stop {}", service.name()))?;
                report(service.as_ref());
            }
        }
        "status" => {
            for service in services {
                well &= matches!(service.state(), State::Running(_));
                report(service.as_ref());
            }
        }
        "logs" => {
            for service in services {
                println!("== {}\n{}", service.name(), service.logs()?);
            }
        }
        other => bail!("services {other}: up, down, status or logs"),
    }
    Ok(well)
}

/// Services that one run of the tests started and will stop again.
#[derive(Default)]
pub(crate) struct Started {
    services: Vec<Box<dyn BackingService>>,
    /// What the tests are told.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// What could not be started, and why.
    pub(crate) missing: Vec<String>,
}

impl Started {
    /// Starts what is not running; what is given by the environment or runs already is used and
    /// left alone.
    pub(crate) fn start(purpose: Purpose) -> Result<Self> {
        let mut started = Self::default();
        for service in all(&directory(), purpose)? {
            let variables = service.variables();
            if variables.iter().all(|(name, _)| variable(name).is_some()) {
                println!("{}: given by the environment", service.name());
                continue;
            }
            let _lock = lock()?;
            let ran = matches!(service.state(), State::Running(_));
            match service.up() {
                Ok(()) => {
                    report(service.as_ref());
                    started.variables.extend(variables);
                    if !ran {
                        started.services.push(service);
                    }
                }
                Err(error) => started.missing.push(format!("{}: {error:#}", service.name())),
            }
        }
        remove_if_empty(&directory());
        Ok(started)
    }

    /// Stops what [`Started::start`] started.
    pub(crate) fn stop(self) -> Result<()> {
        for service in self.services.iter().rev() {
            let _lock = lock()?;
            service.down().with_context(|| format!("cannot stop {}", service.name()))?;
        }
        remove_if_empty(&directory());
        Ok(())
    }
}

fn report(service: &dyn BackingService) {
    match service.state() {
        State::Running(from) => {
            println!("{}: running, {from}", service.name());
            for (name, value) in service.variables() {
                println!("  export {name}={value}");
            }
        }
        State::Stopped => println!("{}: stopped", service.name()),
        State::Broken(why) => println!("{}: broken, {why}", service.name()),
    }
}

/// The folder of all backing services.
fn directory() -> PathBuf {
    variable("TROUPE_SERVICES_DIR")
        .map_or_else(|| std::env::temp_dir().join("troupe-services"), PathBuf::from)
}

/// Makes the folder and lets one start or stop at a time into it.
fn lock() -> Result<File> {
    let directory = directory();
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    ensure!(
        account::owner(&directory)? == account::current()?,
        "{} belongs to another user: set TROUPE_SERVICES_DIR",
        directory.display()
    );
    let path = directory.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Removes the folder and its lock when nothing else lies in it.
fn remove_if_empty(directory: &Path) {
    let only_the_lock = fs::read_dir(directory)
        .is_ok_and(|entries| entries.flatten().all(|entry| entry.file_name() == "lock"));
    if only_the_lock && let Err(error) = fs::remove_dir_all(directory) {
        println!("cannot remove {}: {error}", directory.display());
    }
}
