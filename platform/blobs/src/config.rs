//! The section `blobs` of the configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection, units};

/// Largest blob that may be configured: a blob is held in memory while it is stored or read.
const SIZE_MAX_LIMIT: u64 = 1 << 30;

/// Where blobs lie and how large they may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlobsConfig {
    /// The directory; empty for `blobs` in the data directory of the node.
    pub directory: PathBuf,
    /// The largest blob.
    #[serde(with = "units::size")]
    pub size_max: u64,
}

impl Default for BlobsConfig {
    fn default() -> Self {
        Self { directory: PathBuf::new(), size_max: 32 << 20 }
    }
}

impl ConfigSection for BlobsConfig {
    const NAME: &'static str = "blobs";

    fn validate(&self) -> Vec<ConfigFault> {
        if (1..=SIZE_MAX_LIMIT).contains(&self.size_max) {
            return Vec::new();
        }
        vec![ConfigFault::new("size_max", "is between 1B and 1GiB")]
    }
}
