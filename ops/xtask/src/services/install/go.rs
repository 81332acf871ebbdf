//! Programs that the Go toolchain builds.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Cache, on_path};
use crate::process::capture;

/// A program of a Go module, in one version.
#[derive(Debug)]
pub(in crate::services) struct Go {
    /// The package that is built.
    pub(in crate::services) package: &'static str,
    /// With its `v`.
    pub(in crate::services) version: &'static str,
    /// The name of the program.
    pub(in crate::services) program: &'static str,
}

impl Go {
    /// The program.
    pub(in crate::services) fn program(&self, cache: &Cache) -> Result<PathBuf> {
        let folder = cache.installed(&format!("{}-{}", self.program, self.version), |folder| {
            let go = on_path("go", "install Go 1.26 or later (https://go.dev/dl)")?;
            let mut install = Command::new(go);
            install.arg("install").arg(format!("{}@{}", self.package, self.version));
            install.env("GOBIN", folder).current_dir(folder);
            capture(install).map(drop)
        })?;
        Ok(folder.join(self.program))
    }
}
