//! What cargo builds for the tests: the tests themselves, and the programs that the tour, the restore drill
//! and the fault suite run. Nothing is built twice.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{self, cargo, variable};

/// What is built with Kafka when there is one.
pub(crate) const KAFKA_FEATURES: &str = "troupe-events/kafka,troupe-node/kafka,troupe-faults/kafka";

/// Where they are.
pub(crate) struct Programs {
    pub(crate) troupe: PathBuf,
    pub(crate) faults: PathBuf,
    tests: Vec<TestProgram>,
}

/// The tests of one target of a package.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestProgram {
    /// The folder of the package, in which its tests expect to run.
    folder: PathBuf,
    path: PathBuf,
}

impl Programs {
    /// Builds them. `TROUPE_BIN` is taken for the node when it is set.
    pub(crate) fn build(kafka: bool) -> Result<Self> {
        let mut build = tests_of_all(kafka);
        build.args(["--no-run", "--message-format", "json-render-diagnostics"]);
        build.stderr(Stdio::inherit());
        let artifacts: Vec<Artifact> =
            process::capture(build)?.lines().filter_map(Artifact::read).collect();
        let program = |name: &str| {
            let found = artifacts.iter().find(|one| !one.is_test && one.name == name);
            found.map(|one| one.path.clone()).with_context(|| format!("cargo built no {name}"))
        };
        Ok(Self {
            troupe: variable("TROUPE_BIN")
                .map_or_else(|| program("troupe"), |bin| Ok(bin.into()))?,
            faults: program("faults")?,
            tests: artifacts.iter().filter(|one| one.is_test).map(Artifact::test).collect(),
        })
    }

    /// The tests of the packages in some folders.
    pub(crate) fn tests_in<'a>(
        &'a self,
        folders: &'a [PathBuf],
    ) -> impl Iterator<Item = &'a TestProgram> {
        self.tests.iter().filter(|test| folders.contains(&test.folder))
    }
}

impl TestProgram {
    /// How cargo would run it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        command
    }
}

/// `cargo test` of the whole workspace.
pub(crate) fn tests_of_all(kafka: bool) -> Command {
    let mut command = cargo();
    command.args(["test", "--workspace"]);
    if kafka {
        command.args(["--features", KAFKA_FEATURES]);
    }
    command
}

/// A program that cargo says it built.
struct Artifact {
    name: String,
    is_test: bool,
    folder: PathBuf,
    path: PathBuf,
}

impl Artifact {
    /// Reads one message of cargo; `None` for those about anything else.
    fn read(line: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(line).ok()?;
        let manifest = Path::new(message["manifest_path"].as_str()?);
        Some(Self {
            name: message["target"]["name"].as_str()?.to_owned(),
            is_test: message["profile"]["test"].as_bool()?,
            folder: manifest.parent()?.to_owned(),
            path: message["executable"].as_str()?.into(),
        })
    }

    fn test(&self) -> TestProgram {
        TestProgram { folder: self.folder.clone(), path: self.path.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_from_what_cargo_says_and_all_else_is_passed_over() {
        let message = |test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/repo/node/Cargo.toml","target":{{"name":"troupe"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let test = Artifact::read(&message(true, r#""/built/deps/troupe-1""#)).expect("a program");
        assert!(test.is_test);
        let expected =
            TestProgram { folder: "/repo/node".into(), path: "/built/deps/troupe-1".into() };
        assert_eq!(test.test(), expected);
        assert!(!Artifact::read(&message(false, r#""/built/troupe""#)).expect("a program").is_test);
        assert!(Artifact::read(&message(false, "null")).is_none());
        assert!(Artifact::read(r#"{"reason":"build-finished","success":true}"#).is_none());
    }
}
