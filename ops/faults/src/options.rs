//! What a run is asked for, and the variables by which it finds the servers.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::plan::Target;

/// How long the workload runs unless told.
const MINUTES: u64 = 12;
/// The short form: long enough for one server, one broker and one node to be killed.
const SHORT: Duration = Duration::from_secs(50);

/// What a run is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// How long the workload runs.
    pub(crate) length: Duration,
    /// Draws the workload and the schedule.
    pub(crate) seed: u64,
    /// What may be hurt; empty is everything.
    pub(crate) only: Vec<Target>,
    /// Three kills instead of a schedule.
    pub(crate) short: bool,
    /// Writes per second of all clients together.
    pub(crate) rate: u32,
}

impl Options {
    /// Reads the words after `run`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self {
            length: Duration::from_secs(MINUTES * 60),
            seed: 1,
            only: Vec::new(),
            short: false,
            rate: 12,
        };
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word}: a value must follow"));
            match word {
                "--minutes" => {
                    let minutes: u64 = value()?.parse().context("--minutes takes a number")?;
                    ensure!((1..=600).contains(&minutes), "--minutes is from 1 to 600");
                    options.length = Duration::from_secs(minutes * 60);
                }
                "--seed" => options.seed = value()?.parse().context("--seed takes a number")?,
                "--rate" => {
                    options.rate = value()?.parse().context("--rate takes a number")?;
                    ensure!((1..=1_000).contains(&options.rate), "--rate is from 1 to 1000");
                }
                "--only" => {
                    for name in value()?.split(',') {
                        options.only.push(Target::parse(name)?);
                    }
                }
                "--short" => {
                    options.short = true;
                    options.length = SHORT;
                    options.rate = 6;
                }
                other => bail!(
                    "{other}: the options are --minutes N, --seed S, --rate N, --only NAME,…, --short"
                ),
            }
        }
        Ok(options)
    }
}

/// Where the servers are, as `cargo xtask services env` tells it.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The folder with a folder for each server.
    pub(crate) services: PathBuf,
    /// The program `troupe`.
    pub(crate) troupe: PathBuf,
    pub(crate) postgres: String,
    pub(crate) replica: String,
    pub(crate) redis: String,
    pub(crate) brokers: String,
    pub(crate) s3: String,
    pub(crate) smtp: String,
    pub(crate) smtp_authority: String,
    pub(crate) mail_api: String,
}

impl Surroundings {
    /// Reads the variables.
    ///
    /// # Errors
    /// The first that is not set.
    pub(crate) fn read() -> Result<Self> {
        Ok(Self {
            services: variable("TROUPE_SERVICES_DIR")?.into(),
            troupe: variable("TROUPE_BIN")?.into(),
            postgres: variable("TROUPE_TEST_POSTGRES")?,
            replica: variable("TROUPE_TEST_POSTGRES_REPLICA_URL")?,
            redis: variable("TROUPE_TEST_REDIS_URL")?,
            brokers: variable("TROUPE_TEST_KAFKA_BROKERS")?,
            s3: variable("TROUPE_TEST_S3_URL")?,
            smtp: variable("TROUPE_TEST_SMTP_URL")?,
            smtp_authority: variable("TROUPE_TEST_SMTP_CA")?,
            mail_api: variable("TROUPE_TEST_MAIL_API")?,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "a tool of the repository has no configuration file")]
fn variable(name: &str) -> Result<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .with_context(|| format!("{name} is not set: start the suite by `cargo xtask faults`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_read_and_an_unknown_one_is_refused_by_name() {
        let words = ["--minutes", "3", "--seed", "7", "--only", "redis,kafka"];
        let options = Options::parse(&words).expect("right words");
        assert_eq!((options.length, options.seed), (Duration::from_secs(180), 7));
        assert_eq!(options.only, [Target::Redis, Target::Kafka]);
        for (words, named) in [
            (["--fast", "1"], "--fast"),
            (["--only", "rabbit"], "rabbit"),
            (["--minutes", "0"], "1 to"),
        ] {
            let error = Options::parse(&words).expect_err("wrong words");
            assert!(format!("{error:#}").contains(named), "{error:#}");
        }
    }
}
