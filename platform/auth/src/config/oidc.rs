//! The `[auth.oidc.NAME]` sections: external providers with which people log in.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, Secret, units};

const MINUTE: Duration = Duration::from_secs(60);
/// Longest name of a provider.
const NAME_CHARACTERS_MAX: usize = 32;

/// An external provider (OpenID Connect).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OidcProviderConfig {
    /// Its issuer, an `https` address; `http` is for the loopback address alone.
    pub issuer: String,
    /// Who this platform is at the provider.
    pub client_id: String,
    /// The secret of that client; empty for a client without one. A secret.
    pub client_secret: Secret,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// Its name on the button; empty takes the section's name.
    pub title: String,
    /// Where it sends browsers back; empty takes `PUBLIC_URL/v1/auth/oidc/NAME/callback`. A page of
    /// a front end below the same host hands the query it got to that route.
    pub redirect_url: String,
    /// Whose identity is linked by itself.
    pub link: LinkRule,
    /// How long a request waits for the provider, whatever it asks.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// How long its metadata and keys are kept.
    #[serde(with = "units::duration")]
    pub keep: Duration,
}

/// Whose identity is linked to an account that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkRule {
    /// The account with the same address, when provider and platform have both proven it.
    VerifiedEmail,
    /// Nobody's: who has an account logs in and links the identity. For providers that are not
    /// trusted with the addresses of others.
    Explicit,
}

impl Default for OidcProviderConfig {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            client_id: String::new(),
            client_secret: Secret::default(),
            scopes: vec!["email".to_owned(), "profile".to_owned()],
            title: String::new(),
            redirect_url: String::new(),
            link: LinkRule::VerifiedEmail,
            timeout: Duration::from_secs(5),
            keep: 60 * MINUTE,
        }
    }
}

impl OidcProviderConfig {
    /// Every fault, with its path below `[auth]`.
    pub(super) fn faults(&self, name: &str) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, detail: &str| {
            faults.push(ConfigFault::new(format!("oidc.{name}{key}"), detail));
        };
        let fits = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-';
        if name.is_empty() || name.len() > NAME_CHARACTERS_MAX || !name.chars().all(fits) {
            fault("", "must be named with 1 to 32 small letters, digits and hyphens");
        }
        if !is_safe(&self.issuer) {
            fault(".issuer", "must be an https address (http only for 127.0.0.1 or localhost)");
        }
        if self.client_id.is_empty() {
            fault(".client_id", "must be the id that the provider gave this platform");
        }
        if !self.redirect_url.is_empty() && !is_safe(&self.redirect_url) {
            fault(
                ".redirect_url",
                "must be an https address (http only for 127.0.0.1 or localhost)",
            );
        }
        if self.timeout < Duration::from_millis(100) || self.timeout > MINUTE {
            fault(".timeout", "must be from 100ms to 1m");
        }
        if self.keep < MINUTE || self.keep > 24 * 60 * MINUTE {
            fault(".keep", "must be from 1m to 1d");
        }
        faults
    }
}

fn is_safe(address: &str) -> bool {
    let Ok(url) = openidconnect::url::Url::parse(address) else { return false };
    match url.scheme() {
        "https" => url.host_str().is_some(),
        "http" => matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_safe_and_complete_or_every_fault_is_listed() {
        let good = OidcProviderConfig {
            issuer: "https://accounts.example".to_owned(),
            client_id: "troupe".to_owned(),
            ..OidcProviderConfig::default()
        };
        assert!(good.faults("example").is_empty());
        let local =
            OidcProviderConfig { issuer: "http://127.0.0.1:1/a".to_owned(), ..good.clone() };
        assert!(local.faults("example").is_empty());
        let bad = OidcProviderConfig {
            issuer: "http://accounts.example".to_owned(),
            client_id: String::new(),
            redirect_url: "javascript:alert(1)".to_owned(),
            timeout: Duration::ZERO,
            keep: Duration::ZERO,
            ..good
        };
        let paths: Vec<_> = bad.faults("A b").into_iter().map(|fault| fault.path).collect();
        assert_eq!(
            paths,
            [
                "oidc.A b",
                "oidc.A b.issuer",
                "oidc.A b.client_id",
                "oidc.A b.redirect_url",
                "oidc.A b.timeout",
                "oidc.A b.keep"
            ]
        );
    }
}
