//! etcd, one member on loopback.

use std::path::Path;

use anyhow::{Result, ensure};

use super::install::Cache;
use super::install::debian::Debian;
use super::place::Place;
use super::settings::{Port, Settings};
use super::{Export, Service, ask};

const ETCD: Debian = Debian { package: "etcd-server", program: "etcd" };

/// One member that is the whole cluster.
pub(super) struct Etcd {
    port: Port,
    peer: Port,
}

impl Etcd {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        let port = settings.port("ETCD", 12379)?;
        Ok(Self { peer: port.plus(1)?, port })
    }
}

impl Service for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn ports(&self) -> Vec<Port> {
        vec![self.port.clone(), self.peer.clone()]
    }

    fn exports(&self, _folder: &Path) -> Vec<Export> {
        vec![("TROUPE_TEST_ETCD_URL", self.port.url())]
    }

    fn install(&self, cache: &Cache) -> Result<()> {
        ETCD.command(cache).map(drop)
    }

    fn start(&self, cache: &Cache, place: &Place) -> Result<()> {
        let (client, peer) = (self.port.url(), self.peer.url());
        let mut server = ETCD.command(cache)?;
        server.arg("--data-dir").arg(place.make("data")?);
        server.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        server.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        server.args(["--initial-cluster", &format!("default={peer}"), "--log-level", "warn"]);
        // The other one of this version writes everything.
        server.args(["--logger", "zap"]);
        place.spawn("server", server)
    }

    fn healthy(&self) -> Result<()> {
        let health = ask::get(self.port.number, "/health")?;
        ensure!(health.contains("\"true\""), "it says of its health {health}");
        Ok(())
    }
}
