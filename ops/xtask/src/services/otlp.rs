//! An OpenTelemetry collector that writes the traces and log lines that it receives to files, one JSON
//! document for each batch.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::install::Cache;
use super::install::go::GoSource;
use super::place::Place;
use super::settings::{Port, Settings};
use super::{Export, Service, ask};

const COLLECTOR: GoSource = GoSource {
    name: "otlp-collector-v0.165.0",
    program: "otlp",
    files: [
        ("main.go", include_str!("../../../services/otlp/main.go")),
        ("go.mod", include_str!("../../../services/otlp/go.mod")),
        ("go.sum", include_str!("../../../services/otlp/go.sum")),
    ],
};
const CONFIGURATION: &str = include_str!("../../../services/otlp/collector.yaml");
/// Where the configuration expects what differs from place to place, in its form for Docker.
const INSIDE: [(&str, &str); 2] = [("0.0.0.0:4318", "address"), ("/received", "folder")];
/// What it writes to.
const RECEIVED: &str = "received";

/// One collector.
pub(super) struct Otlp {
    port: Port,
    cache: Cache,
}

impl Otlp {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        Ok(Self { port: settings.port("OTLP", 14318)?, cache: settings.cache.clone() })
    }

    /// The configuration for a collector beside us instead of one in a container.
    fn configuration(&self, received: &Path) -> String {
        let [(address, _), (folder, _)] = INSIDE;
        CONFIGURATION
            .replace(address, &format!("127.0.0.1:{}", self.port.number))
            .replace(folder, &received.display().to_string())
    }
}

impl Service for Otlp {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn ports(&self) -> Vec<Port> {
        vec![self.port.clone()]
    }

    fn exports(&self, folder: &Path) -> Vec<Export> {
        let file = folder.join(RECEIVED).join("traces.jsonl");
        let mut exports = vec![
            ("TROUPE_TEST_OTLP_URL", self.port.url()),
            ("TROUPE_TEST_OTLP_FILE", file.display().to_string()),
        ];
        // For tests that ship the log of a node with one of their own.
        let program = COLLECTOR.program(&self.cache.offline()).ok();
        exports
            .extend(program.map(|path| ("TROUPE_TEST_OTLP_COLLECTOR", path.display().to_string())));
        exports
    }

    fn install(&self, cache: &Cache) -> Result<()> {
        COLLECTOR.program(cache).map(drop)
    }

    fn prepare(&self, place: &Place) -> Result<()> {
        place.make(RECEIVED)?;
        place.write("collector.yaml", CONFIGURATION).map(drop)
    }

    fn start(&self, cache: &Cache, place: &Place) -> Result<()> {
        let received = place.make(RECEIVED)?;
        let configuration = place.write("collector.yaml", &self.configuration(&received))?;
        let mut server = Command::new(COLLECTOR.program(cache)?);
        server.arg("--config").arg(format!("file:{}", configuration.display()));
        place.spawn("server", server)
    }

    fn healthy(&self) -> Result<()> {
        // An export of nothing, which is all right.
        ask::post(self.port.number, "/v1/traces", "application/json", "{}").map(drop)
    }

    fn compose_variables(&self, place: &Place) -> Vec<(String, String)> {
        let folder = place.folder();
        [("FOLDER", folder.to_owned()), ("RECEIVED", folder.join(RECEIVED))]
            .map(|(name, path)| {
                (format!("TROUPE_SERVICES_OTLP_{name}"), path.display().to_string())
            })
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Purpose;
    use super::*;

    #[test]
    fn the_configuration_has_all_that_is_replaced_in_it() {
        let settings = Settings::read(None, Purpose::Tests, Cache::new(false).expect("a home"));
        let otlp = Otlp::new(&settings.expect("a folder")).expect("a port");
        let text = otlp.configuration(Path::new("/here"));
        assert!(
            text.contains(&format!("127.0.0.1:{}", otlp.port.number))
                && text.contains("/here/traces.jsonl"),
            "{text}"
        );
        for (inside, what) in INSIDE {
            assert!(!text.contains(inside), "the {what} is still {inside}");
        }
    }
}
