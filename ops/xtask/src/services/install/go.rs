//! Programs that the Go toolchain builds.

use std::fs;
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

/// A program whose source lies in the repository.
#[derive(Debug)]
pub(in crate::services) struct GoSource {
    /// The name of its folder, with the version of what it is made of: another source needs another.
    pub(in crate::services) name: &'static str,
    /// The name of the program.
    pub(in crate::services) program: &'static str,
    /// Names and contents: the source, `go.mod` and `go.sum`.
    pub(in crate::services) files: [(&'static str, &'static str); 3],
}

const HOW: &str = "install Go 1.26 or later (https://go.dev/dl)";

impl GoSource {
    /// The program.
    pub(in crate::services) fn program(&self, cache: &Cache) -> Result<PathBuf> {
        let folder = cache.installed(self.name, |folder| {
            let go = on_path("go", HOW)?;
            let source = folder.join("source");
            fs::create_dir(&source)?;
            for (name, text) in self.files {
                fs::write(source.join(name), text)?;
            }
            let mut build = Command::new(go);
            build.args(["build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o"]);
            build.arg(folder.join(self.program)).arg(".").current_dir(source);
            capture(build).map(drop)
        })?;
        Ok(folder.join(self.program))
    }
}

impl Go {
    /// The program.
    pub(in crate::services) fn program(&self, cache: &Cache) -> Result<PathBuf> {
        let folder = cache.installed(&format!("{}-{}", self.program, self.version), |folder| {
            let go = on_path("go", HOW)?;
            let mut install = Command::new(go);
            install.arg("install").arg(format!("{}@{}", self.package, self.version));
            install.env("GOBIN", folder).current_dir(folder);
            capture(install).map(drop)
        })?;
        Ok(folder.join(self.program))
    }
}
