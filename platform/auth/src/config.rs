//! The `[auth]` section: who may register, how long credentials live, what guessing costs.

mod oidc;
mod passkeys;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection, Secret, units};

pub use self::oidc::{LinkRule, OidcProviderConfig};
pub use self::passkeys::{PasskeyConfig, RelyingPartySettings};
use crate::keys::KEY_BYTES;
use crate::lockout::LockoutRule;
use crate::password::hash::HashCost;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Settings of the auth module.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Whether anybody may register.
    pub registration: Registration,
    /// Address under which people reach this platform; the start of links in mails.
    pub public_url: String,
    /// `iss` of the tokens; empty takes `public_url`.
    pub issuer: String,
    /// Key that seals the signing keys in the database: 32 bytes, base64. A secret. When it is
    /// empty, one is made in `key_file`.
    pub key_encryption_key: Secret,
    /// File of the key-encryption key when none is configured; made with mode 0600.
    pub key_file: PathBuf,
    /// Lifetimes of access and refresh tokens.
    pub tokens: TokenConfig,
    /// Lifetimes of signing keys.
    pub signing_keys: SigningKeyConfig,
    /// Cost of a password hash.
    pub password_hash: HashCost,
    /// How many hashes are computed at once, and how many wait.
    pub password_pool: PoolConfig,
    /// Waits after failed attempts.
    pub lockout: LockoutConfig,
    /// Lifetimes of one-time links.
    pub links: LinkConfig,
    /// The second step of logins.
    pub second_factor: SecondFactorConfig,
    /// Passkeys.
    pub passkeys: PasskeyConfig,
    /// External providers by their names.
    pub oidc: BTreeMap<String, OidcProviderConfig>,
    /// API keys one organisation may have.
    pub api_keys_max: u32,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Anybody, by the API.
    Open,
    /// Nobody: accounts are made by whoever administers the platform.
    Closed,
}

/// Lifetimes of access and refresh tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenConfig {
    /// Lifetime of an access token.
    #[serde(with = "units::duration")]
    pub access: Duration,
    /// A session ends when it was not refreshed for so long.
    #[serde(with = "units::duration")]
    pub idle: Duration,
    /// A session ends so long after the login, whatever happens.
    #[serde(with = "units::duration")]
    pub absolute: Duration,
    /// For so long after a refresh the old token answers a conflict instead of ending the session,
    /// because two tabs of one person may refresh at the same moment. It never gives a token.
    #[serde(with = "units::duration")]
    pub refresh_race: Duration,
    /// How far the clock of another node may be ahead.
    #[serde(with = "units::duration")]
    pub clock_skew: Duration,
    /// Sessions one user may have; a further login ends the one that was idle longest.
    pub sessions_max: u32,
}

/// Lifetimes of signing keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SigningKeyConfig {
    /// How long a key signs.
    #[serde(with = "units::duration")]
    pub lifetime: Duration,
    /// How long before its first signature a key is published.
    #[serde(with = "units::duration")]
    pub publish_ahead: Duration,
    /// How often a node reads the keys anew.
    #[serde(with = "units::duration")]
    pub reload: Duration,
}

/// A bounded pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolConfig {
    /// Computations at once.
    pub workers: usize,
    /// Requests that wait; more are answered with 503.
    pub queue: usize,
}

/// Waits after failed attempts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LockoutConfig {
    /// Failures of one account without a wait.
    pub account_failures: u32,
    /// Failures from one network address, which many people may share, without a wait.
    pub address_failures: u32,
    /// Wait after the first failure that is not free; doubles with each further one.
    #[serde(with = "units::duration")]
    pub wait: Duration,
    /// Longest wait.
    #[serde(with = "units::duration")]
    pub wait_max: Duration,
    /// Time without a failure after which the count starts again.
    #[serde(with = "units::duration")]
    pub window: Duration,
}

impl LockoutConfig {
    /// The rule for one account.
    #[must_use]
    pub fn account(&self) -> LockoutRule {
        self.rule(self.account_failures)
    }

    /// The rule for one network address.
    #[must_use]
    pub fn address(&self) -> LockoutRule {
        self.rule(self.address_failures)
    }

    fn rule(&self, free_failures: u32) -> LockoutRule {
        LockoutRule { free_failures, base: self.wait, cap: self.wait_max, window: self.window }
    }
}

/// Lifetimes of one-time links.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkConfig {
    /// Of the set-up link.
    #[serde(with = "units::duration")]
    pub setup: Duration,
    /// Of a password reset.
    #[serde(with = "units::duration")]
    pub password_reset: Duration,
    /// Password resets one account may ask for in an hour; further ones are silently ignored.
    pub password_resets_per_hour: u32,
}

/// The second step of logins.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecondFactorConfig {
    /// Name of this platform in authenticator apps.
    pub issuer: String,
    /// How long a login waits for its second step.
    #[serde(with = "units::duration")]
    pub challenge: Duration,
    /// How long a new authenticator app waits for the code that confirms it.
    #[serde(with = "units::duration")]
    pub enrolment: Duration,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            registration: Registration::Open,
            public_url: "http://127.0.0.1:8080".to_owned(),
            issuer: String::new(),
            key_encryption_key: Secret::default(),
            key_file: PathBuf::from("./troupe-data/auth.key"),
            tokens: TokenConfig::default(),
            signing_keys: SigningKeyConfig::default(),
            password_hash: HashCost::default(),
            password_pool: PoolConfig::default(),
            lockout: LockoutConfig::default(),
            links: LinkConfig::default(),
            second_factor: SecondFactorConfig::default(),
            passkeys: PasskeyConfig::default(),
            oidc: BTreeMap::new(),
            api_keys_max: 100,
        }
    }
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self {
            access: 10 * MINUTE,
            idle: 14 * DAY,
            absolute: 90 * DAY,
            refresh_race: Duration::from_secs(10),
            clock_skew: Duration::from_secs(5),
            sessions_max: 50,
        }
    }
}

impl Default for SigningKeyConfig {
    fn default() -> Self {
        Self { lifetime: 30 * DAY, publish_ahead: DAY, reload: MINUTE }
    }
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { workers: 2, queue: 64 }
    }
}

impl Default for LockoutConfig {
    fn default() -> Self {
        Self {
            account_failures: 5,
            address_failures: 50,
            wait: Duration::from_secs(2),
            wait_max: 15 * MINUTE,
            window: HOUR,
        }
    }
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self { setup: DAY, password_reset: HOUR, password_resets_per_hour: 5 }
    }
}

impl Default for SecondFactorConfig {
    fn default() -> Self {
        Self { issuer: "Troupe".to_owned(), challenge: 5 * MINUTE, enrolment: 15 * MINUTE }
    }
}

impl ConfigSection for AuthConfig {
    const NAME: &'static str = "auth";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = self.lifetime_faults();
        let mut fault = |path: &str, detail: &str| faults.push(ConfigFault::new(path, detail));
        if !self.public_url.starts_with("http://") && !self.public_url.starts_with("https://") {
            fault("public_url", "must start with http:// or https://");
        }
        if !self.key_encryption_key.is_empty() && self.configured_key().is_none() {
            fault(
                "key_encryption_key",
                "must be 32 bytes in base64, as `openssl rand -base64 32` makes them",
            );
        }
        if !self.password_hash.is_possible() {
            fault(
                "password_hash",
                "argon2 does not accept it; memory_kib must be at least 8 × parallelism, the others at least 1",
            );
        }
        if self.password_hash.memory_kib > 4 * 1024 * 1024 {
            fault("password_hash.memory_kib", "must be at most 4194304 (4 GiB)");
        }
        if !(1..=256).contains(&self.password_pool.workers) {
            fault("password_pool.workers", "must be from 1 to 256");
        }
        if !(1..=65_536).contains(&self.password_pool.queue) {
            fault("password_pool.queue", "must be from 1 to 65536");
        }
        let issuer = &self.second_factor.issuer;
        if issuer.trim().is_empty() || issuer.contains(':') {
            fault("second_factor.issuer", "must be a name without a colon");
        }
        if !(1..=1_000).contains(&self.tokens.sessions_max) {
            fault("tokens.sessions_max", "must be from 1 to 1000");
        }
        faults.extend(self.passkeys.read(&self.public_url).err().into_iter().flatten());
        faults.extend(self.oidc.iter().flat_map(|(name, provider)| provider.faults(name)));
        faults
    }
}

impl AuthConfig {
    /// `iss` of the tokens.
    #[must_use]
    pub fn token_issuer(&self) -> &str {
        if self.issuer.is_empty() { &self.public_url } else { &self.issuer }
    }

    /// A link below the public address.
    #[must_use]
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.trim_end_matches('/'))
    }

    /// The configured key-encryption key; none when it is not set or not a key.
    #[must_use]
    pub fn configured_key(&self) -> Option<[u8; KEY_BYTES]> {
        read_key(self.key_encryption_key.expose())
    }

    fn lifetime_faults(&self) -> Vec<ConfigFault> {
        let second = Duration::from_secs(1);
        let ranges = [
            ("tokens.access", self.tokens.access, 10 * second, DAY),
            ("tokens.idle", self.tokens.idle, MINUTE, 365 * DAY),
            ("tokens.absolute", self.tokens.absolute, MINUTE, 3_650 * DAY),
            ("tokens.refresh_race", self.tokens.refresh_race, Duration::ZERO, MINUTE),
            ("tokens.clock_skew", self.tokens.clock_skew, Duration::ZERO, 5 * MINUTE),
            ("signing_keys.lifetime", self.signing_keys.lifetime, HOUR, 3_650 * DAY),
            ("signing_keys.publish_ahead", self.signing_keys.publish_ahead, MINUTE, 365 * DAY),
            ("signing_keys.reload", self.signing_keys.reload, second, HOUR),
            ("lockout.wait", self.lockout.wait, Duration::ZERO, HOUR),
            ("lockout.wait_max", self.lockout.wait_max, Duration::ZERO, DAY),
            ("lockout.window", self.lockout.window, MINUTE, 30 * DAY),
            ("links.setup", self.links.setup, MINUTE, 30 * DAY),
            ("links.password_reset", self.links.password_reset, MINUTE, 7 * DAY),
            ("second_factor.challenge", self.second_factor.challenge, MINUTE, HOUR),
            ("second_factor.enrolment", self.second_factor.enrolment, MINUTE, DAY),
        ];
        let mut faults: Vec<_> = ranges
            .into_iter()
            .filter(|(_, value, least, most)| value < least || value > most)
            .map(|(path, _, least, most)| {
                let (least, most) = (units::format_duration(least), units::format_duration(most));
                ConfigFault::new(path, format!("must be from {least} to {most}"))
            })
            .collect();
        if self.signing_keys.publish_ahead >= self.signing_keys.lifetime {
            faults.push(ConfigFault::new(
                "signing_keys.publish_ahead",
                "must be shorter than signing_keys.lifetime",
            ));
        }
        if self.tokens.idle > self.tokens.absolute {
            faults.push(ConfigFault::new("tokens.idle", "must not be longer than tokens.absolute"));
        }
        faults
    }
}

/// Reads a key of 32 bytes in either base64 alphabet.
#[must_use]
pub fn read_key(text: &str) -> Option<[u8; KEY_BYTES]> {
    let text = text.trim();
    let bytes = STANDARD
        .decode(text)
        .or_else(|_| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')))
        .ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(change: impl FnOnce(&mut AuthConfig)) -> Vec<String> {
        let mut config = AuthConfig::default();
        change(&mut config);
        config.validate().into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert!(faults(|_| {}).is_empty());
        assert_eq!(AuthConfig::default().token_issuer(), "http://127.0.0.1:8080");
    }

    #[test]
    fn every_fault_is_listed() {
        let found = faults(|config| {
            config.public_url = "troupe.example".to_owned();
            config.key_encryption_key = Secret::new("short");
            config.tokens.access = Duration::from_secs(1);
            config.tokens.idle = 100 * DAY;
            config.signing_keys.publish_ahead = 40 * DAY;
            config.password_hash.iterations = 0;
            config.password_pool.workers = 0;
            config.second_factor.challenge = Duration::from_secs(1);
            config.second_factor.issuer = "a:b".to_owned();
        });
        assert_eq!(
            found,
            [
                "tokens.access",
                "second_factor.challenge",
                "signing_keys.publish_ahead",
                "tokens.idle",
                "public_url",
                "key_encryption_key",
                "password_hash",
                "password_pool.workers",
                "second_factor.issuer"
            ]
        );
    }

    #[test]
    fn a_key_reads_in_both_alphabets() {
        let bytes = [0xfb; KEY_BYTES];
        assert_eq!(read_key(&STANDARD.encode(bytes)), Some(bytes));
        assert_eq!(read_key(&format!("{}\n", URL_SAFE_NO_PAD.encode(bytes))), Some(bytes));
        assert_eq!(read_key(&STANDARD.encode([1; 31])), None);
        assert_eq!(read_key("not base64!"), None);
    }

    #[test]
    fn a_printed_configuration_shows_no_key() {
        let key = STANDARD.encode([5; KEY_BYTES]);
        let config =
            AuthConfig { key_encryption_key: Secret::new(key.clone()), ..AuthConfig::default() };
        assert!(!format!("{config:?}").contains(&key));
        assert!(!serde_json::to_string(&config).expect("plain data").contains(&key));
    }
}
