//! The configuration section `audit`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection, Secret, units};

use crate::error::AuditError;
use crate::signing::{PublicKey, SigningKey};

/// How the trail is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// File of the private key that signs the trail (PKCS#8, PEM); made on the first start.
    pub key_file: PathBuf,
    /// The private key itself instead of a file. A secret.
    pub key: Option<Secret>,
    /// Public keys (SPKI, PEM) that signed before the current one.
    pub former_keys: Vec<String>,
    /// File outside of the database that names the newest checkpoint, so that a database that was set
    /// back is found; empty for none.
    pub anchor_file: PathBuf,
    /// Time between a commit and its sealing: commits within it are sealed together.
    #[serde(with = "units::duration")]
    pub delay: Duration,
    /// Records sealed in one transaction.
    pub batch: u32,
    /// A checkpoint is signed after so many entries.
    pub checkpoint_entries: u32,
    /// A checkpoint is signed at the latest after this time, when there are new entries.
    #[serde(with = "units::duration")]
    pub checkpoint_interval: Duration,
    /// Records from outside of transactions that may wait to be written.
    pub intake_capacity: usize,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            key_file: PathBuf::from("./troupe-data/audit-key.pem"),
            key: None,
            former_keys: Vec::new(),
            anchor_file: PathBuf::from("./troupe-data/audit-anchor.json"),
            delay: Duration::from_millis(50),
            batch: 500,
            checkpoint_entries: 1000,
            checkpoint_interval: Duration::from_secs(300),
            intake_capacity: 1024,
        }
    }
}

impl ConfigSection for AuditConfig {
    const NAME: &'static str = "audit";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        if self.delay > Duration::from_secs(60) {
            faults.push(ConfigFault::new("delay", "must be at most 1m"));
        }
        if !(1..=10_000).contains(&self.batch) {
            faults.push(ConfigFault::new("batch", "must be from 1 to 10000"));
        }
        if !(1..=1_000_000).contains(&self.checkpoint_entries) {
            faults.push(ConfigFault::new("checkpoint_entries", "must be from 1 to 1000000"));
        }
        let day = Duration::from_secs(24 * 3600);
        if self.checkpoint_interval < Duration::from_secs(1) || self.checkpoint_interval > day {
            faults.push(ConfigFault::new("checkpoint_interval", "must be from 1s to 1d"));
        }
        if !(1..=1_000_000).contains(&self.intake_capacity) {
            faults.push(ConfigFault::new("intake_capacity", "must be from 1 to 1000000"));
        }
        if self.former_keys.iter().any(|text| PublicKey::from_pem(text).is_err()) {
            faults.push(ConfigFault::new("former_keys", "must be Ed25519 public keys in PEM form"));
        }
        faults
    }
}

impl AuditConfig {
    /// The key that signs, read or made.
    ///
    /// # Errors
    /// When there is none that can be used.
    pub fn signing_key(&self) -> Result<SigningKey, AuditError> {
        match &self.key {
            Some(key) if !key.is_empty() => SigningKey::from_pem(&key.clone().into()),
            _ => SigningKey::open(&self.key_file),
        }
    }

    /// The keys that verify: the current one and those before it. Nothing is made: without a key
    /// there is nothing that it signed.
    ///
    /// # Errors
    /// When there is no key that can be used, or a former key is none.
    pub fn public_keys(&self) -> Result<Vec<PublicKey>, AuditError> {
        let own = match &self.key {
            Some(key) if !key.is_empty() => SigningKey::from_pem(&key.clone().into())?,
            _ => SigningKey::read(&self.key_file)?,
        };
        let mut keys = vec![own.public().clone()];
        for text in &self.former_keys {
            keys.push(PublicKey::from_pem(text)?);
        }
        Ok(keys)
    }
}
