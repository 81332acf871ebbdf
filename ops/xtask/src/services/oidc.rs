//! An OpenID Connect provider: `oidc-provider` by the script in `ops/services/oidc`.

use std::path::Path;

use anyhow::{Result, ensure};

use super::install::Cache;
use super::install::npm::{Npm, node};
use super::place::Place;
use super::settings::{Port, Settings};
use super::{Export, Service, ask};

const PACKAGES: Npm = Npm {
    name: "oidc-provider-9.13.3",
    manifest: include_str!("../../../services/oidc/package.json"),
    lock: include_str!("../../../services/oidc/package-lock.json"),
};
const SCRIPT: &str = include_str!("../../../services/oidc/provider.js");

/// One provider.
pub(super) struct Oidc {
    port: Port,
}

impl Oidc {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        Ok(Self { port: settings.port("OIDC", 15556)? })
    }
}

impl Service for Oidc {
    fn name(&self) -> &'static str {
        "oidc"
    }

    fn ports(&self) -> Vec<Port> {
        vec![self.port.clone()]
    }

    fn exports(&self, _folder: &Path) -> Vec<Export> {
        vec![
            ("TROUPE_TEST_OIDC_ISSUER", self.port.url()),
            ("TROUPE_TEST_OIDC_CLIENT", "troupe:troupe-secret".to_owned()),
        ]
    }

    fn install(&self, cache: &Cache) -> Result<()> {
        node()?;
        PACKAGES.packages(cache).map(drop)
    }

    fn start(&self, cache: &Cache, place: &Place) -> Result<()> {
        let mut server = node()?;
        server.arg(place.write("provider.mjs", SCRIPT)?).arg(self.port.number.to_string());
        server.arg(PACKAGES.packages(cache)?);
        place.spawn("server", server)
    }

    fn healthy(&self) -> Result<()> {
        let document = ask::get(self.port.number, "/.well-known/openid-configuration")?;
        ensure!(document.contains(&self.port.url()), "its issuer is not {}", self.port.url());
        Ok(())
    }
}
