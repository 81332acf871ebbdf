//! The programs of the servers, each in a folder of one cache: `~/.cache/troupe-services`, or
//! `TROUPE_SERVICES_CACHE`.
//!
//! What is installed is complete: it is made in a folder beside it and renamed at the end. A run that
//! must be quick downloads nothing and says what is not here.

pub(super) mod debian;
pub(super) mod go;
pub(super) mod maven;
pub(super) mod npm;

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::variable;

/// The folder of the installed programs.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
    may_download: bool,
}

/// A service cannot be had on this machine; says why, and how to get it.
///
/// It is told apart from a service that is here and does not start, which is a fault.
#[derive(Debug)]
pub(super) struct NotHere(pub(super) String);

impl fmt::Display for NotHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotHere {}

impl Cache {
    /// The cache; whether it may download what it lacks.
    ///
    /// # Errors
    /// When the folder is relative and there is no current one.
    pub(crate) fn new(may_download: bool) -> Result<Self> {
        let folder = variable("TROUPE_SERVICES_CACHE").map(PathBuf::from).unwrap_or_else(|| {
            let home = variable("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
            home.join(".cache/troupe-services")
        });
        let folder = std::path::absolute(folder).context("the folder of TROUPE_SERVICES_CACHE")?;
        Ok(Self { folder, may_download })
    }

    /// The same, which downloads nothing.
    pub(super) fn offline(&self) -> Self {
        Self { may_download: false, ..self.clone() }
    }

    /// The folder of a program, installed into it by `install` when it is not there.
    ///
    /// # Errors
    /// When it is not there and nothing may be downloaded, or what `install` said.
    fn installed(&self, name: &str, install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        if folder.is_dir() {
            return Ok(folder);
        }
        if !self.may_download {
            bail!("{name} is not installed: run `cargo xtask services install`");
        }
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot create {}", self.folder.display()))?;
        let lock = File::create(self.folder.join("lock")).context("cannot lock the cache")?;
        lock.lock().context("cannot lock the cache")?;
        if folder.is_dir() {
            return Ok(folder);
        }
        println!("installing {name} into {}", self.folder.display());
        let unfinished = self.folder.join(format!("{name}.unfinished"));
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).context("cannot remove an unfinished installation")?;
        }
        fs::create_dir(&unfinished).context("cannot write to the cache")?;
        let result = install(&unfinished).with_context(|| format!("cannot install {name}"));
        if let Err(error) = result {
            fs::remove_dir_all(&unfinished).context("cannot remove an unfinished installation")?;
            return Err(error);
        }
        fs::rename(&unfinished, &folder).context("cannot finish an installation")?;
        Ok(folder)
    }
}

/// A program of the path.
///
/// # Errors
/// When there is none: `how` says how to get it.
pub(super) fn on_path(program: &str, how: &str) -> Result<PathBuf> {
    find(program).with_context(|| format!("there is no `{program}` here: {how}"))
}

fn find(program: &str) -> Option<PathBuf> {
    let paths = variable("PATH").unwrap_or_default();
    std::env::split_paths(&paths).map(|path| path.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(name: &str, may_download: bool) -> Cache {
        let folder =
            std::env::temp_dir().join(format!("xtask-cache-{name}-{}", std::process::id()));
        Cache { folder, may_download }
    }

    #[test]
    fn what_is_installed_is_not_installed_again() {
        let cache = cache("again", true);
        let first = cache.installed("program-1", |folder| Ok(fs::write(folder.join("it"), "1")?));
        let first = first.expect("the temporary folder can be written");
        let again = cache.installed("program-1", |_| panic!("it is there"));
        assert_eq!(again.expect("it is there"), first);
        fs::remove_dir_all(&cache.folder).expect("it is ours");
    }

    #[test]
    fn a_failed_installation_leaves_nothing() {
        let cache = cache("failed", true);
        let error = cache
            .installed("program-1", |folder| {
                fs::write(folder.join("half"), "")?;
                anyhow::bail!("the line broke")
            })
            .expect_err("it failed");
        assert!(format!("{error:#}").contains("the line broke"), "{error:#}");
        let left: Vec<_> = fs::read_dir(&cache.folder).expect("it is ours").flatten().collect();
        assert_eq!(left.len(), 1, "more than the lock: {left:?}");
        fs::remove_dir_all(&cache.folder).expect("it is ours");
    }

    #[test]
    fn a_quick_run_says_what_is_not_here_and_downloads_nothing() {
        let cache = cache("quick", false);
        let error = cache
            .installed("program-1", |_| panic!("it must not be installed"))
            .expect_err("it is not there");
        assert!(error.to_string().contains("services install"), "{error}");
        assert!(!cache.folder.exists());
    }
}
