//! Packages of Node, with the lock file that lies in the repository.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use super::{Cache, on_path};
use crate::process::capture;

/// The oldest Node that the scripts run on.
const MAJOR_MIN: u32 = 20;

/// The packages of a script.
#[derive(Debug)]
pub(in crate::services) struct Npm {
    /// The name of their folder, with the version.
    pub(in crate::services) name: &'static str,
    /// `package.json`.
    pub(in crate::services) manifest: &'static str,
    /// `package-lock.json`.
    pub(in crate::services) lock: &'static str,
}

impl Npm {
    /// The folder with the packages.
    pub(in crate::services) fn packages(&self, cache: &Cache) -> Result<PathBuf> {
        cache.installed(self.name, |folder| {
            let npm = on_path("npm", "`apt-get install npm`")?;
            fs::write(folder.join("package.json"), self.manifest)?;
            fs::write(folder.join("package-lock.json"), self.lock)?;
            let mut install = Command::new(npm);
            install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
            capture(install).map(drop)
        })
    }
}

/// A command that runs scripts.
pub(in crate::services) fn node() -> Result<Command> {
    const HOW: &str = "install Node 20 or later (https://nodejs.org)";
    let node = on_path("node", HOW)?;
    let mut version = Command::new(&node);
    version.arg("--version");
    let version = capture(version)?;
    ensure!(major(&version) >= Some(MAJOR_MIN), "{} is too old: {HOW}", version.trim());
    Ok(Command::new(node))
}

/// `20` of `v20.11.1`.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_node_are_compared_as_numbers() {
        assert_eq!(major("v20.11.1\n"), Some(20));
        assert!(major("v8.17.0") < Some(MAJOR_MIN));
        assert!(major("v100.0.0") > Some(MAJOR_MIN));
        assert!(major("nonsense") < Some(MAJOR_MIN));
    }
}
