//! The section `[files]` of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::units;
use troupe_kernel::{ConfigFault, ConfigSection};

/// Parts of one upload; their numbers have five digits.
const PARTS_MAX: u64 = 10_000;

/// Settings of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilesConfig {
    /// The largest file; the blob store's own limit holds besides.
    #[serde(with = "units::size")]
    pub size_max: u64,
    /// The length of each part but the last of an upload that goes through the node.
    #[serde(with = "units::size")]
    pub part_size: u64,
    /// All files and announced uploads of a tenant together.
    #[serde(with = "units::size")]
    pub tenant_size_max: u64,
    /// Uploads of a tenant that may be open at once.
    pub open_max: u32,
    /// How long an upload may take before it is removed.
    #[serde(with = "units::duration")]
    pub upload_time: Duration,
    /// How long a link to a file is good.
    #[serde(with = "units::duration")]
    pub link_time: Duration,
    /// Concurrent commands and queries; each may hold a part.
    pub workers: usize,
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self {
            size_max: 32 << 20,
            part_size: 8 << 20,
            tenant_size_max: 10 << 30,
            open_max: 100,
            upload_time: Duration::from_secs(24 * 3600),
            link_time: Duration::from_secs(15 * 60),
            workers: 8,
        }
    }
}

impl ConfigSection for FilesConfig {
    const NAME: &'static str = "files";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        for (key, size, most, shown) in [
            ("size_max", self.size_max, 5 << 30, "5GiB"),
            ("part_size", self.part_size, 64 << 20, "64MiB"),
            ("tenant_size_max", self.tenant_size_max, 1 << 50, "1048576GiB"),
        ] {
            if !(1..=most).contains(&size) {
                faults.push(ConfigFault::new(key, format!("is between 1B and {shown}")));
            }
        }
        if self.size_max.div_ceil(self.part_size.max(1)) > PARTS_MAX {
            faults.push(ConfigFault::new("part_size", "makes more than 10000 parts of size_max"));
        }
        if !(1..=10_000).contains(&self.open_max) {
            faults.push(ConfigFault::new("open_max", "is between 1 and 10000"));
        }
        if !(1..=256).contains(&self.workers) {
            faults.push(ConfigFault::new("workers", "is between 1 and 256"));
        }
        let week = Duration::from_secs(7 * 24 * 3600);
        for (key, time) in [("upload_time", self.upload_time), ("link_time", self.link_time)] {
            if time < Duration::from_secs(1) || time > week {
                faults.push(ConfigFault::new(key, "must be from 1s to 7d"));
            }
        }
        faults
    }
}
