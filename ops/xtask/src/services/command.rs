//! The words after `cargo xtask services`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::install::Cache;
use super::settings::Settings;
use super::unit::{Unit, start_all};
use super::{Purpose, all, lock, remove_if_empty, report};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Words {
    verb: String,
    /// Services; none means all.
    names: Vec<String>,
    data: Option<PathBuf>,
}

/// Runs `cargo xtask services VERB [NAME...] [--data DIR]`. `Ok(false)`: something is not well.
pub(crate) fn command(words: &[&str]) -> Result<bool> {
    let words = Words::parse(words)?;
    let may_download = matches!(words.verb.as_str(), "up" | "install");
    let settings = Settings::read(words.data.clone(), Purpose::Tests, Cache::new(may_download)?)?;
    let units = all(&settings)?;
    words.check_names(&units)?;
    let result = run(&words, &settings, &units);
    remove_if_empty(&settings.directory);
    result
}

fn run(words: &Words, settings: &Settings, units: &[Unit]) -> Result<bool> {
    match words.verb.as_str() {
        "up" => up(words, settings, units),
        "down" => down(words, settings, units),
        "install" => Ok(each(words, units, |unit| unit.service.install(&settings.cache))),
        "status" => {
            let mut well = true;
            for unit in words.asked(units) {
                well &= unit.runs();
                report(unit);
            }
            Ok(well)
        }
        "env" => {
            print_exports(words, units);
            Ok(true)
        }
        "logs" => {
            for unit in words.asked(units) {
                println!("== {}\n{}", unit.name(), unit.logs()?);
            }
            Ok(true)
        }
        other => bail!("services {other}: up, down, status, logs, env or install"),
    }
}

/// Starts all that is asked for and what that needs; one that does not start does not keep the
/// others from it.
fn up(words: &Words, settings: &Settings, units: &[Unit]) -> Result<bool> {
    let needed = |unit: &Unit| {
        words
            .asked(units)
            .any(|asked| asked.name() == unit.name() || asked.service.needs() == Some(unit.name()))
    };
    let mut well = true;
    let _lock = lock(settings)?;
    for (unit, result) in start_all(units.iter().filter(|unit| needed(unit))) {
        match result {
            Ok(_) => report(unit),
            Err(error) => {
                println!("{}: cannot be started: {error:#}", unit.name());
                well = false;
            }
        }
    }
    print_exports(words, units);
    Ok(well)
}

/// Stops all that is asked for, and before it what needs it.
fn down(words: &Words, settings: &Settings, units: &[Unit]) -> Result<bool> {
    let goes = |unit: &Unit| {
        words
            .asked(units)
            .any(|asked| asked.name() == unit.name() || unit.service.needs() == Some(asked.name()))
    };
    let _lock = lock(settings)?;
    for unit in units.iter().rev().filter(|unit| goes(unit)) {
        unit.down().with_context(|| format!("cannot stop {}", unit.name()))?;
        report(unit);
    }
    Ok(true)
}

fn each(words: &Words, units: &[Unit], act: impl Fn(&Unit) -> Result<()>) -> bool {
    let mut well = true;
    for unit in words.asked(units) {
        match act(unit) {
            Ok(()) => println!("{}: installed", unit.name()),
            Err(error) => {
                println!("{}: {error:#}", unit.name());
                well = false;
            }
        }
    }
    well
}

/// For `eval "$(cargo xtask services env)"`: what does not run is a comment.
fn print_exports(words: &Words, units: &[Unit]) {
    for unit in words.asked(units) {
        if unit.runs() {
            for (name, value) in unit.exports() {
                println!("export {name}='{value}'");
            }
        } else {
            println!("# {} does not run", unit.name());
        }
    }
}

impl Words {
    fn parse(words: &[&str]) -> Result<Self> {
        let mut words = words.iter();
        let verb = words.next().context("services: up, down, status, logs, env or install")?;
        let mut parsed = Self { verb: (*verb).to_owned(), names: Vec::new(), data: None };
        while let Some(&word) = words.next() {
            match word {
                "--data" => {
                    let folder = words.next().context("--data: a folder must follow")?;
                    parsed.data = Some(PathBuf::from(folder));
                }
                option if option.starts_with('-') => {
                    bail!("services {option}: the only option is --data DIR")
                }
                name => parsed.names.push(name.to_owned()),
            }
        }
        Ok(parsed)
    }

    fn check_names(&self, units: &[Unit]) -> Result<()> {
        for name in &self.names {
            if !units.iter().any(|unit| unit.name() == name) {
                let known: Vec<&str> = units.iter().map(Unit::name).collect();
                bail!("no service `{name}`: {}", known.join(", "));
            }
        }
        Ok(())
    }

    fn asked<'a>(&'a self, units: &'a [Unit]) -> impl Iterator<Item = &'a Unit> {
        let all = self.names.is_empty();
        units.iter().filter(move |unit| all || self.names.iter().any(|name| name == unit.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_the_folder_are_told_apart() {
        let words = Words::parse(&["up", "redis", "--data", "here", "s3"]).expect("right words");
        assert_eq!(words.verb, "up");
        assert_eq!(words.names, ["redis", "s3"]);
        assert_eq!(words.data, Some(PathBuf::from("here")));
        assert!(Words::parse(&["up", "--fast"]).is_err());
        assert!(Words::parse(&["up", "--data"]).is_err());
    }

    #[test]
    fn an_unknown_service_is_refused_with_those_that_there_are() {
        let settings = Settings::read(None, Purpose::Tests, Cache::new(false).expect("a home"))
            .expect("a folder");
        let units = all(&settings).expect("the usual ports");
        let words = Words::parse(&["up", "rabbit"]).expect("right words");
        let error = words.check_names(&units).expect_err("there is none");
        assert!(error.to_string().contains("kafka"), "{error}");
    }
}
