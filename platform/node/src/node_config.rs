//! The section `node` of the configuration.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection, units};

/// What a node may take to stop.
const STOP_TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);

/// The node itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Name of the node: the root of every actor's path, and of its log lines.
    pub name: String,
    /// Address under which people reach the node, for links in mails, feeds and tokens. Empty takes
    /// the address that it listens on. Modules have a `public_url` each, which this one fills.
    pub public_url: String,
    /// `native`, or `always`: every message and reply is encoded and decoded even within the process,
    /// as between nodes. It finds what would only fail in a cluster, and costs speed.
    pub wire: Wire,
    /// `cores`: each core has a thread of its own for its connections and their gates, so that a
    /// request changes threads for its service at most. `shared`: one pool of threads does all.
    /// `auto`: `cores` where there are several.
    pub runtime: Runtime,
    /// Time for the whole node to stop: the requests at work (`edge.drain_timeout`), then the actors, one
    /// after the other. What is not done by then is given up, as it would be when the machine goes. A
    /// little less than what runs the node waits before it kills it.
    #[serde(with = "units::duration")]
    pub stop_timeout: Duration,
}

/// Which threads do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Runtime {
    /// As it pays on this machine.
    Auto,
    /// A thread with a runtime of its own for each core.
    Cores,
    /// One runtime.
    Shared,
}

impl Runtime {
    /// How many cores the actor system has on a machine with so many.
    pub fn cores(self, available: usize) -> usize {
        match self {
            Self::Auto if available == 1 => 0,
            Self::Auto | Self::Cores => available,
            Self::Shared => 0,
        }
    }
}

/// Whether messages are encoded within the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// Values move as they are.
    Native,
    /// Everything is encoded.
    Always,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            name: "node".to_owned(),
            public_url: String::new(),
            wire: Wire::Native,
            runtime: Runtime::Auto,
            stop_timeout: Duration::from_secs(25),
        }
    }
}

impl ConfigSection for NodeConfig {
    const NAME: &'static str = "node";

    fn validate(&self) -> Vec<ConfigFault> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let web = |url: &str| url.starts_with("http://") || url.starts_with("https://");
        if !self.public_url.is_empty() && !web(&self.public_url) {
            return vec![ConfigFault::new("public_url", "starts with http:// or https://")];
        }
        if self.name.is_empty() || self.name.len() > 63 || !self.name.bytes().all(plain) {
            return vec![ConfigFault::new("name", "has 1 to 63 letters, digits, - and _")];
        }
        if !STOP_TIMEOUT.contains(&self.stop_timeout) {
            return vec![ConfigFault::new("stop_timeout", "is between 1s and 10m")];
        }
        Vec::new()
    }
}
