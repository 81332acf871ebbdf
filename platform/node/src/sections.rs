//! Checks the whole configuration before anything is opened, so that its faults come all at once.
//!
//! It knows every section of the product. One that is missing here would be called unknown only
//! together with other faults; the test of `config print` keeps the list complete.

use troupe_audit::AuditConfig;
use troupe_auth::AuthConfig;
use troupe_authz::AuthzConfig;
use troupe_blobs::BlobsConfig;
use troupe_blog::config::BlogConfig;
use troupe_cache::CacheConfig;
use troupe_console::ConsoleConfig;
use troupe_database::DatabaseConfig;
use troupe_edge::EdgeConfig;
use troupe_events::EventsConfig;
use troupe_files::config::FilesConfig;
use troupe_identity::IdentityConfig;
use troupe_jobs::JobsConfig;
use troupe_kernel::config::{ConfigFault, ConfigSection, ConfigTree, units};
use troupe_notify::NotifyConfig;
use troupe_telemetry::{SentryConfig, TelemetryConfig, TracesConfig};

use crate::config::refuse;
use crate::failure::Stop;
use crate::node_config::NodeConfig;

/// Every fault of every section, and every section that nobody knows.
pub fn check(tree: &ConfigTree) -> Result<(), Stop> {
    let mut faults = Vec::new();
    for read in [
        faults_of::<NodeConfig>,
        faults_of::<TelemetryConfig>,
        faults_of::<TracesConfig>,
        faults_of::<SentryConfig>,
        faults_of::<EdgeConfig>,
        faults_of::<DatabaseConfig>,
        faults_of::<CacheConfig>,
        faults_of::<BlobsConfig>,
        faults_of::<FilesConfig>,
        faults_of::<EventsConfig>,
        faults_of::<JobsConfig>,
        faults_of::<AuditConfig>,
        faults_of::<AuthzConfig>,
        faults_of::<IdentityConfig>,
        faults_of::<AuthConfig>,
        faults_of::<NotifyConfig>,
        faults_of::<ConsoleConfig>,
        faults_of::<BlogConfig>,
    ] {
        faults.extend(read(tree));
    }
    faults.extend(contradictions(tree));
    faults.extend(tree.unclaimed());
    if faults.is_empty() { Ok(()) } else { Err(refuse(&faults)) }
}

/// What sections ask of each other.
fn contradictions(tree: &ConfigTree) -> Option<ConfigFault> {
    let (files, blobs) = (tree.section::<FilesConfig>().ok()?, tree.section::<BlobsConfig>().ok()?);
    (files.size_max > blobs.size_max).then(|| {
        let [ours, theirs] = [files.size_max, blobs.size_max].map(units::format_size);
        let detail = format!(
            "is {ours}, and blobs.size_max lets no blob be larger than {theirs}; lower this or raise that"
        );
        ConfigFault::new("files.size_max", detail)
    })
}

fn faults_of<T: ConfigSection>(tree: &ConfigTree) -> Vec<ConfigFault> {
    tree.section::<T>().err().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use troupe_kernel::Layers;

    use super::*;

    #[test]
    fn files_cannot_be_larger_than_the_blobs_that_hold_them() {
        let checked = |text: &str| {
            let tree = Layers::new().file("troupe.toml", text).build().unwrap();
            check(&tree).map_err(|stop| stop.message)
        };
        let fault = checked("[blobs]\nsize_max = \"16MiB\"").unwrap_err();
        assert!(fault.contains("files.size_max: is 32MiB"), "{fault}");
        assert!(fault.contains("larger than 16MiB"), "{fault}");
        checked("[blobs]\nsize_max = \"16MiB\"\n[files]\nsize_max = \"16MiB\"").unwrap();
        checked("").unwrap();
    }
}
