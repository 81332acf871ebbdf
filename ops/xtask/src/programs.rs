//! The programs that the tour, the restore drill and the fault suite run, built as the tests are: nothing is
//! built twice for them.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process::{self, capture, cargo, variable};

/// What is built with Kafka when there is one.
pub(crate) const KAFKA_FEATURES: &str = "troupe-events/kafka,troupe-node/kafka,troupe-faults/kafka";

/// Where they are.
pub(crate) struct Programs {
    pub(crate) troupe: PathBuf,
    pub(crate) faults: PathBuf,
}

impl Programs {
    /// Builds them. `TROUPE_BIN` is taken for the node when it is set.
    pub(crate) fn build(kafka: bool) -> Result<Self> {
        let mut build = cargo();
        build.args(["test", "--workspace", "--no-run"]);
        if kafka {
            build.args(["--features", KAFKA_FEATURES]);
        }
        ensure!(process::run(build)?, "the programs do not build");
        let mut metadata = cargo();
        metadata.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]);
        let metadata: Value = serde_json::from_str(&capture(metadata)?)?;
        let target =
            metadata["target_directory"].as_str().context("cargo names no target directory")?;
        let folder = PathBuf::from(target).join("debug");
        let troupe = variable("TROUPE_BIN").map_or_else(|| folder.join("troupe"), PathBuf::from);
        Ok(Self { troupe, faults: folder.join("faults") })
    }
}
