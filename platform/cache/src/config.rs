//! The section `cache` of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use redis::IntoConnectionInfo as _;
use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection, Secret, units};

const URL_FORMS: &str = "write redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// for TLS";
const PREFIX_BYTES_MAX: usize = 32;

/// How much the cache holds and for how long, and whether nodes share one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Memory for keys, values and what it takes to keep them. With Redis, of the tier before it.
    #[serde(with = "units::size")]
    pub size_max: u64,
    /// Nothing is kept for longer than this, whatever its owner asks for.
    #[serde(with = "units::duration")]
    pub ttl_max: Duration,
    /// The Redis that the nodes share: `redis://USER:PASSWORD@HOST:PORT/DATABASE`. Empty keeps
    /// everything in this process. A secret.
    pub url: Secret,
    /// `rediss://`: a PEM file with the certificates that the server's may lead to; none trusts what
    /// the system trusts. It is read at each connection, so that it may be changed while the node runs.
    pub tls_ca_file: Option<PathBuf>,
    /// Begins every key and channel in Redis; installations that share a Redis need different ones,
    /// in different databases as well.
    pub prefix: String,
    /// Connections to Redis; one more carries what nodes tell each other.
    pub connections: u32,
    /// How long connecting to Redis may take.
    #[serde(with = "units::duration")]
    pub connect_timeout: Duration,
    /// How long a call of Redis may take. After a call that takes longer, Redis counts as away until
    /// it answers again.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// How long this process keeps what it read from Redis: the longest that it can miss an
    /// invalidation by another node. `0s` reads from Redis each time.
    #[serde(with = "units::duration")]
    pub local_ttl: Duration,
    /// How long one node may take to load a value for all.
    #[serde(with = "units::duration")]
    pub load_lease: Duration,
    /// How long a node waits for the load of another before it loads by itself.
    #[serde(with = "units::duration")]
    pub load_wait: Duration,
    /// While Redis is away, the gates forget tokens and permissions this often: revocations by other
    /// nodes cannot be heard.
    #[serde(with = "units::duration")]
    pub away_forget: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            size_max: 32 << 20,
            ttl_max: Duration::from_secs(24 * 3600),
            url: Secret::default(),
            tls_ca_file: None,
            prefix: "troupe".to_owned(),
            connections: 4,
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_millis(250),
            local_ttl: Duration::from_secs(2),
            load_lease: Duration::from_secs(5),
            load_wait: Duration::from_millis(500),
            away_forget: Duration::from_secs(5),
        }
    }
}

impl CacheConfig {
    /// Whether the nodes share a Redis.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        !self.url.is_empty()
    }
}

impl ConfigSection for CacheConfig {
    const NAME: &'static str = "cache";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, detail: String| faults.push(ConfigFault::new(key, detail));
        if self.size_max < 1 << 20 || usize::try_from(self.size_max).is_err() {
            fault("size_max", "is at least 1MiB".to_owned());
        }
        if self.ttl_max < Duration::from_secs(1) {
            fault("ttl_max", "is at least 1s".to_owned());
        }
        // The driver's own words may repeat the URL.
        if self.is_shared() && self.url.expose().into_connection_info().is_err() {
            fault("url", format!("is no address of a Redis; {URL_FORMS}"));
        }
        if let Some(path) = &self.tls_ca_file
            && !path.is_file()
        {
            fault(
                "tls_ca_file",
                format!("{} is no file; it must name one in PEM form", path.display()),
            );
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if self.prefix.is_empty()
            || self.prefix.len() > PREFIX_BYTES_MAX
            || !self.prefix.bytes().all(plain)
        {
            fault("prefix", "has 1 to 32 letters, digits, `-`, `_` and `.`".to_owned());
        }
        if !(1..=64).contains(&self.connections) {
            fault("connections", format!("is {}; it must be from 1 to 64", self.connections));
        }
        let (short, minute) = (Duration::from_millis(1), Duration::from_secs(60));
        let waits = [
            ("connect_timeout", self.connect_timeout, short, minute),
            ("timeout", self.timeout, short, minute),
            ("local_ttl", self.local_ttl, Duration::ZERO, minute),
            ("load_lease", self.load_lease, 10 * short, 10 * minute),
            ("load_wait", self.load_wait, Duration::ZERO, minute),
            ("away_forget", self.away_forget, 100 * short, minute),
        ];
        for (key, value, least, most) in waits {
            if value < least || value > most {
                let [least, most] = [least, most].map(units::format_duration);
                fault(key, format!("must be from {least} to {most}"));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_reported_and_none_repeats_the_secret() {
        assert!(CacheConfig::default().validate().is_empty());
        let wrong = CacheConfig {
            url: Secret::new("http://:hunter2@example"),
            tls_ca_file: Some("/nowhere/ca.pem".into()),
            prefix: "a b".to_owned(),
            connections: 0,
            timeout: Duration::ZERO,
            ..CacheConfig::default()
        };
        let faults = wrong.validate();
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["url", "tls_ca_file", "prefix", "connections", "timeout"]);
        assert!(!format!("{faults:?} {wrong:?}").contains("hunter2"));
        let right = Secret::new("rediss://user:hunter2@example:6380/1");
        assert!(CacheConfig { url: right, ..CacheConfig::default() }.validate().is_empty());
    }
}
