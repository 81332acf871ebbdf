//! Redis, and a replica of it: in memory only, on loopback, without a password.

use std::path::Path;

use anyhow::Result;

use super::install::Cache;
use super::install::debian::Debian;
use super::place::Place;
use super::settings::{Port, Settings};
use super::{Export, Service, ask};

const REDIS: Debian = Debian { package: "redis-server", program: "redis-server" };

/// One server.
pub(super) struct Redis {
    port: Port,
    /// The port of the one that it copies.
    primary: Option<Port>,
}

impl Redis {
    pub(super) fn primary(settings: &Settings) -> Result<Self> {
        Ok(Self { port: settings.port("REDIS", 16379)?, primary: None })
    }

    pub(super) fn replica(settings: &Settings) -> Result<Self> {
        let port = settings.port("REDIS_REPLICA", 16380)?;
        Ok(Self { port, primary: Some(Self::primary(settings)?.port) })
    }
}

impl Service for Redis {
    fn name(&self) -> &'static str {
        if self.primary.is_some() { "redis-replica" } else { "redis" }
    }

    fn needs(&self) -> Option<&'static str> {
        self.primary.as_ref().map(|_| "redis")
    }

    fn ports(&self) -> Vec<Port> {
        vec![self.port.clone()]
    }

    fn exports(&self, _folder: &Path) -> Vec<Export> {
        let variable = match self.primary {
            Some(_) => "TROUPE_TEST_REDIS_REPLICA_URL",
            None => "TROUPE_TEST_REDIS_URL",
        };
        vec![(variable, format!("redis://127.0.0.1:{}", self.port.number))]
    }

    fn install(&self, cache: &Cache) -> Result<()> {
        REDIS.command(cache).map(drop)
    }

    fn start(&self, cache: &Cache, place: &Place) -> Result<()> {
        let mut server = REDIS.command(cache)?;
        server.args(["--bind", "127.0.0.1", "--port", &self.port.number.to_string()]);
        server.args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"]);
        server.arg(place.make("data")?);
        if let Some(primary) = &self.primary {
            server.args(["--replicaof", "127.0.0.1", &primary.number.to_string()]);
        } else {
            // A replica gets its copy at once, not after five seconds in which a second one may ask.
            server.args(["--repl-diskless-sync-delay", "0"]);
        }
        place.spawn("server", server)
    }

    fn healthy(&self) -> Result<()> {
        if self.primary.is_some() {
            ask::exchange(self.port.number, "INFO replication\r\n", "master_link_status:up")?;
        } else {
            ask::exchange(self.port.number, "PING\r\n", "+PONG")?;
        }
        Ok(())
    }
}
