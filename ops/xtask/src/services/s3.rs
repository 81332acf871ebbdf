//! An S3-compatible store: the Versity gateway over a folder, in which a folder is a bucket.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::install::Cache;
use super::install::go::Go;
use super::place::Place;
use super::settings::{Port, Settings};
use super::{Export, Service, ask};

const GATEWAY: Go = Go {
    package: "github.com/versity/versitygw/cmd/versitygw",
    version: "v1.8.0",
    program: "versitygw",
};
const KEY: &str = "troupe";
const SECRET: &str = "troupe-secret";
const BUCKET: &str = "troupe-test";

/// One store with one bucket.
pub(super) struct S3 {
    port: Port,
}

impl S3 {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        Ok(Self { port: settings.port("S3", 17070)? })
    }
}

impl Service for S3 {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn ports(&self) -> Vec<Port> {
        vec![self.port.clone()]
    }

    fn exports(&self, _folder: &Path) -> Vec<Export> {
        let port = self.port.number;
        vec![("TROUPE_TEST_S3_URL", format!("http://{KEY}:{SECRET}@127.0.0.1:{port}/{BUCKET}"))]
    }

    fn install(&self, cache: &Cache) -> Result<()> {
        GATEWAY.program(cache).map(drop)
    }

    fn start(&self, cache: &Cache, place: &Place) -> Result<()> {
        place.make(&format!("data/{BUCKET}"))?;
        let mut server = Command::new(GATEWAY.program(cache)?);
        server.envs([("ROOT_ACCESS_KEY", KEY), ("ROOT_SECRET_KEY", SECRET)]);
        server.args(["--port", &format!("127.0.0.1:{}", self.port.number)]);
        server.args(["--health", "/health", "--keep-alive", "--quiet", "posix", "--sidecar"]);
        // What S3 knows of an object beside its bytes; a file system without attributes is enough.
        server.arg(place.make("attributes")?).arg(place.make("data")?);
        place.spawn("server", server)
    }

    fn healthy(&self) -> Result<()> {
        ask::get(self.port.number, "/health").map(drop)
    }
}
