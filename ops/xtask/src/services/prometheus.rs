//! Prometheus, with the rules of the repository; it scrapes whatever a test writes into a folder.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::install::Cache;
use super::install::debian::Debian;
use super::place::Place;
use super::settings::{Port, Settings};
use super::{Export, Service, ask};

const PROMETHEUS: Debian = Debian { package: "prometheus", program: "prometheus" };
const PROMTOOL: Debian = Debian { package: "prometheus", program: "promtool" };
const CONFIGURATION: &str = include_str!("../../../services/prometheus/prometheus.yml");
const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../prometheus");
/// Where a container finds them.
const RULES_INSIDE: &str = "/rules";
/// The folder of the files that name what is scraped (`file_sd_configs`).
const TARGETS: &str = "targets";

/// One server.
pub(super) struct Prometheus {
    port: Port,
    cache: Cache,
}

impl Prometheus {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        Ok(Self { port: settings.port("PROMETHEUS", 19090)?, cache: settings.cache.clone() })
    }

    /// The program that checks rules, when it is installed.
    fn promtool(&self) -> Option<PathBuf> {
        let command = PROMTOOL.command(&self.cache.offline()).ok()?;
        Some(PathBuf::from(command.get_program()))
    }
}

impl Service for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn ports(&self) -> Vec<Port> {
        vec![self.port.clone()]
    }

    fn exports(&self, folder: &Path) -> Vec<Export> {
        let mut exports = vec![
            ("TROUPE_TEST_PROMETHEUS_URL", self.port.url()),
            ("TROUPE_TEST_PROMETHEUS_TARGETS", folder.join(TARGETS).display().to_string()),
        ];
        let promtool = self.promtool();
        exports.extend(
            promtool.map(|program| ("TROUPE_TEST_PROMTOOL", program.display().to_string())),
        );
        exports
    }

    fn install(&self, cache: &Cache) -> Result<()> {
        PROMETHEUS.command(cache).map(drop)
    }

    fn prepare(&self, place: &Place) -> Result<()> {
        place.make(TARGETS)?;
        place.write("prometheus.yml", CONFIGURATION).map(drop)
    }

    fn start(&self, cache: &Cache, place: &Place) -> Result<()> {
        let configuration = CONFIGURATION.replace(RULES_INSIDE, RULES);
        let configuration = place.write("prometheus.yml", &configuration)?;
        let mut server = PROMETHEUS.command(cache)?;
        server.arg(format!("--config.file={}", configuration.display()));
        server.arg(format!("--storage.tsdb.path={}", place.make("data")?.display()));
        server.arg(format!("--web.listen-address=127.0.0.1:{}", self.port.number));
        server.args(["--storage.tsdb.retention.time=1d", "--web.enable-lifecycle"]);
        server.arg("--log.level=warn");
        place.spawn("server", server)
    }

    fn healthy(&self) -> Result<()> {
        ask::get(self.port.number, "/-/ready").map(drop)
    }

    fn compose_variables(&self, place: &Place) -> Vec<(String, String)> {
        let folder = place.folder().display().to_string();
        vec![("TROUPE_SERVICES_PROMETHEUS_FOLDER".to_owned(), folder)]
    }
}
