//! On what and of what was measured.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::server::psql;

/// The machine and the versions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// Model of the processor.
    pub cpu: String,
    /// Its cores.
    pub cores: usize,
    /// The kernel.
    pub kernel: String,
    /// Day of the run, UTC.
    pub date: String,
    /// The commit, with `+` when files were changed.
    pub commit: String,
    /// Versions by program.
    pub versions: BTreeMap<String, String>,
}

impl Machine {
    /// Asks the system; what does not answer is `unknown`.
    #[must_use]
    pub fn here(postgres: Option<&str>) -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name"));
        let model = model.map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let changed = !said("git", &["status", "--porcelain"]).is_empty();
        let commit = said("git", &["rev-parse", "--short", "HEAD"]);
        let mut versions = BTreeMap::from([("rustc".to_owned(), said("rustc", &["--version"]))]);
        if let Some(version) = postgres.and_then(|url| psql(url, "SHOW server_version").ok()) {
            versions.insert("postgres".to_owned(), version);
        }
        if let Some(fsync) = postgres.and_then(|url| psql(url, "SHOW fsync").ok()) {
            versions.insert("postgres fsync".to_owned(), fsync);
        }
        Self {
            cpu: model.unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: kernel.trim().to_owned(),
            date: said("date", &["--utc", "+%Y-%m-%d"]),
            commit: if changed { format!("{commit}+") } else { commit },
            versions,
        }
    }
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(super::catalog::folder())
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}
