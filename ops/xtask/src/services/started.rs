//! The services of one run of the tests: what runs already is used, the rest is started and stopped.

use anyhow::{Context, Result};

use super::install::{Cache, NotInstalled};
use super::settings::Settings;
use super::unit::Unit;
use super::{Export, Purpose, all, lock, remove_if_empty, report};
use crate::process::variable;

/// Services that one run started and will stop again.
pub(crate) struct Started {
    settings: Settings,
    /// Each with whether we started it.
    units: Vec<(Unit, bool)>,
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
    /// Its programs are not on this machine; otherwise they are, and it does not start.
    pub(crate) not_installed: bool,
}

impl Started {
    /// Starts what is not running; what is given by the environment or runs already is used and
    /// left alone. Nothing is downloaded unless `cache` may.
    pub(crate) fn start(purpose: Purpose, cache: Cache) -> Result<Self> {
        let settings = Settings::read(None, purpose, cache)?;
        let units = all(&settings)?;
        // Until all of them answer: another run would take one that starts for a broken one.
        let lock = lock(&settings)?;
        let mut started =
            Self { settings, units: Vec::new(), variables: Vec::new(), missing: Vec::new() };
        let mut waiting = Vec::new();
        for unit in units {
            let needed = unit.service.needs();
            // What it needs must answer first: a replica copies what its primary has.
            if needed.is_some() {
                started.await_all(&mut waiting);
            }
            started.begin(unit, needed, &mut waiting);
        }
        started.await_all(&mut waiting);
        drop(lock);
        remove_if_empty(&started.settings.directory);
        Ok(started)
    }

    fn begin(&mut self, unit: Unit, needed: Option<&str>, waiting: &mut Vec<(Unit, bool)>) {
        if unit.exports().iter().all(|(name, _)| variable(name).is_some()) {
            println!("{}: given by the environment", unit.name());
            return;
        }
        if let Some(needed) = needed
            && !self.units.iter().any(|(unit, _)| unit.name() == needed)
        {
            let why = format!("it needs {needed}, which was not started here");
            self.missing.push(Missing { name: unit.name(), why, not_installed: true });
            return;
        }
        match unit.start() {
            Ok(ours) => waiting.push((unit, ours)),
            Err(error) => self.miss(&unit, &error),
        }
    }

    fn await_all(&mut self, waiting: &mut Vec<(Unit, bool)>) {
        for (unit, ours) in waiting.drain(..) {
            match unit.wait() {
                Ok(()) => {
                    report(&unit);
                    self.variables.extend(unit.exports());
                    self.units.push((unit, ours));
                }
                Err(error) => self.miss(&unit, &error),
            }
        }
    }

    fn miss(&mut self, unit: &Unit, error: &anyhow::Error) {
        let not_installed = error.chain().any(|cause| cause.is::<NotInstalled>());
        self.missing.push(Missing { name: unit.name(), why: format!("{error:#}"), not_installed });
    }

    /// Stops what [`Started::start`] started.
    pub(crate) fn stop(self) -> Result<()> {
        for (unit, ours) in self.units.iter().rev() {
            if *ours {
                let _lock = lock(&self.settings)?;
                unit.down().with_context(|| format!("cannot stop {}", unit.name()))?;
            }
        }
        remove_if_empty(&self.settings.directory);
        Ok(())
    }
}
