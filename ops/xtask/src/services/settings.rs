//! What is set for the backing services: where they keep data and programs, and their ports.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::Purpose;
use super::install::Cache;
use crate::process::variable;

/// Where and how the backing services run.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The folder of all their data.
    pub(super) directory: PathBuf,
    /// Their programs.
    pub(super) cache: Cache,
    /// What they are started for.
    pub(super) purpose: Purpose,
    /// What is to run them; by default Docker when its engine answers.
    pub(super) provider: Option<Provider>,
}

/// What runs a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    Docker,
    Native,
}

/// A port on 127.0.0.1 and the variable that sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) variable: String,
    pub(super) number: u16,
}

impl Settings {
    /// Reads the variables; `directory` wins over `TROUPE_SERVICES_DIR`.
    ///
    /// # Errors
    /// When the folder is relative and there is no current one, or a variable has no sense.
    pub(super) fn read(directory: Option<PathBuf>, purpose: Purpose, cache: Cache) -> Result<Self> {
        let directory = directory
            .or_else(|| variable("TROUPE_SERVICES_DIR").map(PathBuf::from))
            .unwrap_or_else(|| std::env::temp_dir().join("troupe-services"));
        let directory = std::path::absolute(directory).context("the folder of the services")?;
        let provider = match variable("TROUPE_SERVICES_PROVIDER").as_deref() {
            Some("docker") => Some(Provider::Docker),
            Some("native") => Some(Provider::Native),
            Some(other) => bail!("TROUPE_SERVICES_PROVIDER={other}: docker or native"),
            None => None,
        };
        Ok(Self { directory, cache, purpose, provider })
    }

    /// The port of a service: `TROUPE_SERVICES_NAME_PORT`, else the usual one. Servers for
    /// measurements listen one higher, beside those for tests.
    pub(super) fn port(&self, name: &str, usual: u16) -> Result<Port> {
        let variable = format!("TROUPE_SERVICES_{name}_PORT");
        let number = match crate::process::variable(&variable) {
            Some(text) => {
                text.parse().with_context(|| format!("{variable}={text} is not a port"))?
            }
            None => usual,
        };
        let number = if self.purpose == Purpose::Measurements { number + 1 } else { number };
        Ok(Port { variable, number })
    }
}

impl Port {
    /// As the address of a web server.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.number)
    }

    /// A port that follows from this one.
    pub(super) fn plus(&self, distance: u16) -> Result<Self> {
        let Some(number) = self.number.checked_add(distance) else {
            bail!("{}={} leaves no room for the ports above it", self.variable, self.number);
        };
        Ok(Self { variable: self.variable.clone(), number })
    }
}
