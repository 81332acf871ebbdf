//! The services of one run of the tests: what runs already is used, the rest is started and stopped.

use anyhow::{Context, Result};

use super::install::{Cache, NotHere};
use super::settings::Settings;
use super::unit::{Unit, start_all};
use super::{Export, Purpose, all, lock, remove_if_empty, report};
use crate::process::variable;

/// Services that one run started and will stop again.
pub(crate) struct Started {
    settings: Settings,
    units: Vec<Unit>,
    /// The names of those that were not running before.
    ours: Vec<&'static str>,
    /// What the tests are told.
    pub(crate) variables: Vec<Export>,
    /// What could not be started.
    pub(crate) missing: Vec<Missing>,
}

/// A service that could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) name: &'static str,
    pub(crate) why: String,
    /// It cannot be had on this machine; otherwise it is here and does not start.
    pub(crate) not_here: bool,
}

impl Started {
    /// Starts what is not running; what is given by the environment or runs already is used and
    /// left alone. Nothing is downloaded unless `cache` may.
    pub(crate) fn start(purpose: Purpose, cache: Cache) -> Result<Self> {
        let settings = Settings::read(None, purpose, cache)?;
        let mut units = all(&settings)?;
        units.retain(|unit| !is_given(unit));
        // Until all of them answer: another run would take one that starts for a broken one.
        let lock = lock(&settings)?;
        let (mut ours, mut variables, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for (unit, result) in start_all(units.iter()) {
            match result {
                Ok(started) => {
                    report(unit);
                    variables.extend(unit.exports());
                    ours.extend(started.then(|| unit.name()));
                }
                Err(error) => missing.push(Missing::new(unit, &error)),
            }
        }
        drop(lock);
        remove_if_empty(&settings.directory);
        Ok(Self { settings, units, ours, variables, missing })
    }

    /// Stops what [`Started::start`] started.
    pub(crate) fn stop(self) -> Result<()> {
        for unit in self.units.iter().rev().filter(|unit| self.ours.contains(&unit.name())) {
            let _lock = lock(&self.settings)?;
            unit.down().with_context(|| format!("cannot stop {}", unit.name()))?;
        }
        remove_if_empty(&self.settings.directory);
        Ok(())
    }
}

impl Missing {
    fn new(unit: &Unit, error: &anyhow::Error) -> Self {
        let not_here = error.chain().any(|cause| cause.is::<NotHere>());
        Self { name: unit.name(), why: format!("{error:#}"), not_here }
    }
}

/// Whether the environment says where it is.
fn is_given(unit: &Unit) -> bool {
    let given = unit.exports().iter().all(|(name, _)| variable(name).is_some());
    if given {
        println!("{}: given by the environment", unit.name());
    }
    given
}
