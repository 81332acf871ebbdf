//! `cargo xtask services`: what the tests need beside the binary.
//!
//! A backing service is one file with one [`Service`]. It runs in Docker when an engine answers
//! (`ops/compose.yaml`), otherwise natively: from the packages of the system, or from programs that
//! are installed once into a cache. All it writes lies in one folder named after its port, and
//! `down` leaves nothing of it.

mod account;
mod ask;
mod command;
mod compose;
mod etcd;
mod install;
pub(crate) mod kafka;
mod mail;
mod oidc;
mod otlp;
mod place;
mod postgres;
mod prometheus;
mod redis;
mod s3;
mod settings;
mod started;
mod unit;

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, ensure};

pub(crate) use self::command::command;
pub(crate) use self::install::Cache;
pub(crate) use self::started::Started;

use self::place::Place;
use self::settings::{Port, Settings};
use self::unit::{State, Unit};

/// A variable that the tests read, and its value.
pub(crate) type Export = (&'static str, String);

/// One program that the product talks to.
trait Service {
    /// The name on the screen, of its folder and in the compose file.
    fn name(&self) -> &'static str;

    /// The service that must answer before it starts.
    fn needs(&self) -> Option<&'static str> {
        None
    }

    /// Where it listens on 127.0.0.1; by the first it is known.
    fn ports(&self) -> Vec<Port>;

    /// What the tests are told, given its folder.
    fn exports(&self, folder: &Path) -> Vec<Export>;

    /// Gets its programs. Nothing happens when they are here.
    fn install(&self, cache: &Cache) -> Result<()>;

    /// Writes what it reads at its start, in Docker too.
    fn prepare(&self, _place: &Place) -> Result<()> {
        Ok(())
    }

    /// Starts its processes; does not wait for an answer.
    fn start(&self, cache: &Cache, place: &Place) -> Result<()>;

    /// Asks it in its own protocol.
    fn healthy(&self) -> Result<()>;

    /// The signal by which it ends quickly: its data is thrown away.
    fn stop_signal(&self) -> &'static str {
        "TERM"
    }

    /// Its names in the compose file.
    fn containers(&self) -> Vec<String> {
        vec![self.name().to_owned()]
    }

    /// What the compose file is told beside the ports.
    fn compose_variables(&self, _place: &Place) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// What backing services are started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Quick, and nothing needs to survive.
    Tests,
    /// As an operator runs them.
    Measurements,
}

/// Every backing service, in the order of starting: what one needs comes before it, and what takes
/// long to answer early.
fn all(settings: &Settings) -> Result<Vec<Unit>> {
    let mut services: Vec<Box<dyn Service>> =
        vec![Box::new(postgres::Postgres::primary(settings)?)];
    if settings.purpose == Purpose::Tests {
        services.extend::<[Box<dyn Service>; 10]>([
            Box::new(redis::Redis::primary(settings)?),
            Box::new(kafka::Kafka::new(settings)?),
            Box::new(s3::S3::new(settings)?),
            Box::new(mail::Mail::new(settings)?),
            Box::new(oidc::Oidc::new(settings)?),
            Box::new(etcd::Etcd::new(settings)?),
            Box::new(prometheus::Prometheus::new(settings)?),
            Box::new(otlp::Otlp::new(settings)?),
            Box::new(postgres::Postgres::replica(settings)?),
            Box::new(redis::Redis::replica(settings)?),
        ]);
    }
    Ok(services.into_iter().map(|service| Unit::new(service, settings)).collect())
}

fn report(unit: &Unit) {
    match unit.state() {
        State::Running(at) => println!("{}: running, {at}", unit.name()),
        State::Stopped => println!("{}: stopped", unit.name()),
        State::Broken(why) => println!("{}: broken, {why}", unit.name()),
    }
}

/// Makes the folder and lets one start or stop at a time into it.
fn lock(settings: &Settings) -> Result<File> {
    let directory = &settings.directory;
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    ensure!(
        account::owner(directory)? == account::current()?,
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
