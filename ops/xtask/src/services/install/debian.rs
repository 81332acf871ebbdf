//! Servers of Debian packages: that of the system, else unpacked into the cache, which needs no root
//! and starts no service of the system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Cache, find, on_path};
use crate::process::capture;

/// A server of a Debian package.
#[derive(Debug)]
pub(in crate::services) struct Debian {
    pub(in crate::services) package: &'static str,
    /// The name of the program.
    pub(in crate::services) program: &'static str,
}

impl Debian {
    /// A command that runs the program.
    pub(in crate::services) fn command(&self, cache: &Cache) -> Result<Command> {
        if let Some(program) = find(self.program) {
            return Ok(Command::new(program));
        }
        let root = cache.installed(&format!("debian-{}", self.package), |folder| {
            // The system's list of packages may be old or missing.
            self.unpack(folder).or_else(|_| {
                update()
                    .with_context(|| format!("`apt-get install {}` helps too", self.package))?;
                self.unpack(folder)
            })
        })?;
        let program = root.join("usr/bin").join(self.program);
        ensure!(program.is_file(), "{} has no program `{}`", self.package, self.program);
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries(&root))?);
        Ok(command)
    }

    /// The package, and what it depends on and the system does not have.
    fn unpack(&self, folder: &Path) -> Result<()> {
        let apt = on_path("apt-get", &format!("install {}", self.program))?;
        let mut plan = Command::new(&apt);
        plan.args(["--simulate", "--no-install-recommends", "install", self.package]);
        let plan = capture(plan)?;
        let names = plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
        let mut download = Command::new(&apt);
        download.arg("download").args(names).current_dir(folder);
        capture(download)?;
        for entry in fs::read_dir(folder)? {
            let package = entry?.path();
            if package.extension().is_some_and(|extension| extension == "deb") {
                let mut extract = Command::new("dpkg-deb");
                capture({
                    extract.arg("--extract").arg(&package).arg(folder);
                    extract
                })?;
                fs::remove_file(&package)?;
            }
        }
        Ok(())
    }
}

fn update() -> Result<()> {
    let mut update = Command::new("apt-get");
    update.args(["update", "--quiet"]);
    capture(update).map(drop)
}

/// `usr/lib` with its folder of the architecture, and `lib` with the same.
fn libraries(root: &Path) -> Vec<PathBuf> {
    let mut folders = vec![root.join("usr/lib"), root.join("lib")];
    for folder in folders.clone() {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        folders.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
    }
    folders
}
