//! The section `edge` of the configuration.

use std::net::SocketAddr;
use std::num::NonZero;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::units;
use troupe_kernel::{ConfigFault, ConfigSection};

use crate::http::forwarded::Network;

/// Verified tokens are kept no longer than this, whatever is configured.
pub(crate) const TOKEN_TTL_MAX: Duration = Duration::from_secs(60);
/// What a budget can count.
const BODIES_BYTES_LIMIT: u64 = 1 << 40;
const SHARDS_MAX: usize = 256;
/// hyper's own lower limit for its buffer.
const HEADER_BYTES_MIN: u64 = 8 * 1024;

/// How the node meets the outside.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeConfig {
    /// Address and port to listen on. Variable `TROUPE_EDGE__LISTEN`.
    pub listen: SocketAddr,
    /// The longest request body in bytes; a route may set its own.
    #[serde(with = "units::size")]
    pub body_bytes_max: u64,
    /// What the bodies of all requests at work may take together; further ones get 503.
    #[serde(with = "units::size")]
    pub bodies_bytes_max: u64,
    /// The longest request head (request line and fields) in bytes.
    #[serde(with = "units::size")]
    pub header_bytes_max: u64,
    /// The most header fields of a request.
    pub headers_max: usize,
    /// Time for a whole request, from its head to the answer; a route may set its own.
    #[serde(with = "units::duration")]
    pub request_timeout: Duration,
    /// Time for the head of a request to arrive from its first byte on, and for a TLS handshake.
    #[serde(with = "units::duration")]
    pub header_timeout: Duration,
    /// A connection without a request is kept so long. Longer than the one of a proxy in front of
    /// the node, so that it is the proxy that closes.
    #[serde(with = "units::duration")]
    pub idle_timeout: Duration,
    /// A connection is closed when its peer takes nothing of an answer for so long.
    #[serde(with = "units::duration")]
    pub write_timeout: Duration,
    /// The most connections at once; further ones get 503.
    pub connections_max: usize,
    /// Time for the requests at work when the node stops.
    #[serde(with = "units::duration")]
    pub drain_timeout: Duration,
    /// Actors per gate; requests are divided among them by key. One per core unless set: fewer drain
    /// more at once.
    pub shards: usize,
    /// Requests that may wait at each actor of a gate.
    pub mailbox: usize,
    /// Who may read `/metrics`.
    pub metrics: MetricsAccess,
    /// Whether `/docs` and `/openapi.json` are served.
    pub docs: bool,
    /// Networks of proxies whose `X-Forwarded-For` is believed: `10.0.0.0/8`.
    pub trusted_proxies: Vec<Network>,
    /// The limit per network address (IPv6: per /64), before authentication.
    pub address_limit: RateConfig,
    /// The limit per authenticated principal.
    pub principal_limit: RateConfig,
    /// The cache of verified tokens.
    pub tokens: TokenCacheConfig,
    /// Which pages of other origins may call the API.
    pub cors: CorsConfig,
    /// `Strict-Transport-Security`, for example `max-age=31536000`; sent when it is not empty.
    pub hsts: String,
    /// TLS; off when both files are empty.
    pub tls: TlsConfig,
}

/// Who may read `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricsAccess {
    /// Programs on this machine.
    Local,
    /// Everybody who reaches the address.
    Open,
    /// Nobody.
    Off,
}

/// A rate limit: `quota` requests in `window`, all at once if need be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateConfig {
    /// Requests in a window; zero is no limit.
    pub quota: u32,
    /// The window.
    #[serde(with = "units::duration")]
    pub window: Duration,
}

impl Default for RateConfig {
    fn default() -> Self {
        Self { quota: 600, window: Duration::from_secs(60) }
    }
}

/// The cache of verified tokens and compiled permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenCacheConfig {
    /// How long a verified token and its permissions are believed without asking again; at most a
    /// minute. Changes that this node makes are known at once; this bounds what is done beside it.
    #[serde(with = "units::duration")]
    pub ttl: Duration,
    /// The most tokens that are remembered.
    pub entries_max: usize,
}

impl Default for TokenCacheConfig {
    fn default() -> Self {
        Self { ttl: TOKEN_TTL_MAX, entries_max: 65_536 }
    }
}

/// Cross-origin resource sharing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsConfig {
    /// Origins that may call the API: `https://app.example`; `*` for all, without credentials.
    pub origins: Vec<String>,
    /// Whether cookies and client certificates may come along.
    pub credentials: bool,
    /// How long a browser may remember the permission.
    #[serde(with = "units::duration")]
    pub max_age: Duration,
}

impl Default for CorsConfig {
    fn default() -> Self {
        Self { origins: Vec::new(), credentials: false, max_age: Duration::from_secs(600) }
    }
}

/// TLS by rustls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file of the certificate chain.
    pub certificate: String,
    /// PEM file of the private key.
    pub key: String,
}

impl TlsConfig {
    /// Whether TLS is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.certificate.is_empty()
    }
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            body_bytes_max: 1 << 20,
            bodies_bytes_max: 256 << 20,
            header_bytes_max: 16 << 10,
            headers_max: 100,
            request_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            connections_max: 4096,
            drain_timeout: Duration::from_secs(25),
            shards: std::thread::available_parallelism().map_or(1, NonZero::get).min(SHARDS_MAX),
            mailbox: 1024,
            metrics: MetricsAccess::Local,
            docs: true,
            trusted_proxies: Vec::new(),
            address_limit: RateConfig::default(),
            principal_limit: RateConfig { quota: 1200, ..RateConfig::default() },
            tokens: TokenCacheConfig::default(),
            cors: CorsConfig::default(),
            hsts: String::new(),
            tls: TlsConfig::default(),
        }
    }
}

impl ConfigSection for EdgeConfig {
    const NAME: &'static str = "edge";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut refuse = |path: &str, detail: &str| faults.push(ConfigFault::new(path, detail));
        if self.body_bytes_max == 0 {
            refuse("body_bytes_max", "must be at least 1B");
        }
        if self.bodies_bytes_max < self.body_bytes_max {
            refuse("bodies_bytes_max", "must be at least body_bytes_max");
        }
        if self.bodies_bytes_max > BODIES_BYTES_LIMIT {
            refuse("bodies_bytes_max", "must be at most 1024GiB");
        }
        if self.header_bytes_max < HEADER_BYTES_MIN {
            refuse("header_bytes_max", "must be at least 8KiB");
        }
        for (path, number) in [
            ("headers_max", self.headers_max),
            ("connections_max", self.connections_max),
            ("shards", self.shards),
            ("mailbox", self.mailbox),
            ("tokens.entries_max", self.tokens.entries_max),
        ] {
            if number == 0 {
                refuse(path, "must be at least 1");
            }
        }
        if self.shards > SHARDS_MAX {
            refuse("shards", "must be at most 256; about one per core is right");
        }
        for (path, duration) in [
            ("request_timeout", self.request_timeout),
            ("header_timeout", self.header_timeout),
            ("idle_timeout", self.idle_timeout),
            ("write_timeout", self.write_timeout),
            ("tokens.ttl", self.tokens.ttl),
        ] {
            if duration.is_zero() {
                refuse(path, "must be longer than zero");
            }
        }
        if self.tokens.ttl > TOKEN_TTL_MAX {
            refuse(
                "tokens.ttl",
                "must be at most 60s, so that a revoked token ends soon everywhere",
            );
        }
        for (path, limit) in
            [("address_limit", self.address_limit), ("principal_limit", self.principal_limit)]
        {
            if limit.quota > 0 && limit.window < Duration::from_secs(1) {
                refuse(&format!("{path}.window"), "must be at least 1s");
            }
        }
        if self.cors.credentials && self.cors.origins.iter().any(|origin| origin == "*") {
            refuse("cors.credentials", "needs named origins; browsers refuse it together with `*`");
        }
        for origin in &self.cors.origins {
            let named = origin.starts_with("https://") || origin.starts_with("http://");
            if origin != "*" && (!named || origin.ends_with('/')) {
                refuse("cors.origins", "write origins like https://app.example, without a path");
            }
        }
        if self.tls.certificate.is_empty() != self.tls.key.is_empty() {
            refuse("tls", "set both tls.certificate and tls.key, or neither");
        }
        if !self.hsts.is_empty() && !self.hsts.starts_with("max-age=") {
            refuse("hsts", "write it like max-age=31536000; includeSubDomains");
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use troupe_kernel::Layers;

    #[test]
    fn the_defaults_are_valid_and_survive_printing() {
        let config = EdgeConfig::default();
        assert_eq!(config.validate(), []);
        let printed = toml::Table::try_from(&config).unwrap();
        let tree = Layers::new()
            .table("printed", toml::Table::from_iter([("edge".to_owned(), printed.into())]))
            .build()
            .unwrap();
        let again: EdgeConfig = tree.section().unwrap();
        assert_eq!(again.request_timeout, config.request_timeout);
        assert_eq!(again.listen, config.listen);
    }

    #[test]
    fn every_fault_is_found_at_once() {
        let text = "[edge]\nshards = 0\nheader_bytes_max = \"1KiB\"\nrequest_timeout = \"0ms\"\n\
                    tokens.ttl = \"5m\"\ntls.key = \"k.pem\"\nhsts = \"yes\"\n\
                    cors.origins = [\"app.example\"]\naddress_limit.window = \"1ms\"\n\
                    trusted_proxies = [\"nowhere\"]";
        let tree = Layers::new().file("troupe.toml", text).build().unwrap();
        let faults = tree.section::<EdgeConfig>().unwrap_err();
        let mut paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(
            paths,
            [
                "edge.address_limit.window",
                "edge.cors.origins",
                "edge.header_bytes_max",
                "edge.hsts",
                "edge.request_timeout",
                "edge.shards",
                "edge.tls",
                "edge.tokens.ttl",
                "edge.trusted_proxies",
            ]
        );
    }
}
