//! The section `node` of the configuration.

use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection};

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
        Vec::new()
    }
}
