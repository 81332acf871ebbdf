//! The `[auth.passkeys]` section: the domain that passkeys are bound to, and the pages that use them.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, units};
use webauthn_rs::prelude::Url;

const MINUTE: Duration = Duration::from_secs(60);
const ORIGINS_MAX: usize = 20;

/// Passkeys (WebAuthn).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasskeyConfig {
    /// The domain that passkeys are bound to (the id of the relying party); empty takes the one of
    /// `public_url`. When it changes, no passkey works any more.
    pub domain: String,
    /// Name of this platform when a passkey is made.
    pub name: String,
    /// Origins of the pages that may use passkeys, on the domain or below it; empty takes the one of
    /// `public_url`, with `localhost` in place of a loopback address.
    pub origins: Vec<String>,
    /// How long a browser may take for an answer.
    #[serde(with = "units::duration")]
    pub ceremony: Duration,
    /// Passkeys one account may have.
    pub per_account_max: u32,
}

/// What the section says, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingPartySettings {
    /// The domain that passkeys are bound to.
    pub domain: String,
    /// The name to show.
    pub name: String,
    /// Origins of the pages that may use them; at least one.
    pub origins: Vec<Url>,
    /// How long a browser may take for an answer.
    pub ceremony: Duration,
}

impl Default for PasskeyConfig {
    fn default() -> Self {
        Self {
            domain: String::new(),
            name: "Troupe".to_owned(),
            origins: Vec::new(),
            ceremony: 5 * MINUTE,
            per_account_max: 10,
        }
    }
}

impl PasskeyConfig {
    /// The settings; none where the platform has no domain, so that no browser makes passkeys for it.
    ///
    /// # Errors
    /// Every fault, with its path below `[auth]`.
    pub fn read(&self, public_url: &str) -> Result<Option<RelyingPartySettings>, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, detail: &str| {
            faults.push(ConfigFault::new(format!("passkeys.{key}"), detail));
        };
        if self.name.trim().is_empty() {
            fault("name", "must not be empty");
        }
        if self.ceremony < MINUTE || self.ceremony > 60 * MINUTE {
            fault("ceremony", "must be from 1m to 1h");
        }
        if !(1..=100).contains(&self.per_account_max) {
            fault("per_account_max", "must be from 1 to 100");
        }
        let public = public_origin(public_url);
        if self.origins.len() > ORIGINS_MAX {
            fault("origins", "must be at most 20");
        }
        let mut origins = Vec::new();
        for (index, text) in self.origins.iter().enumerate() {
            match read_origin(text) {
                Some(origin) => origins.push(origin),
                None => fault(
                    &format!("origins.{index}"),
                    "must be scheme, host and port, such as https://app.example.org (http only for localhost)",
                ),
            }
        }
        if self.origins.is_empty() {
            origins.extend(public.clone());
        }
        let domain = Some(self.domain.clone()).filter(|domain| !domain.is_empty());
        let domain = domain.or_else(|| public.as_ref().and_then(Url::domain).map(str::to_owned));
        if let Some(domain) = &domain {
            if !origins.iter().all(|origin| is_below(origin, domain)) {
                fault(
                    "origins",
                    &format!(
                        "must all be on {domain} or below it; set passkeys.domain to what they share"
                    ),
                );
            }
        } else if !self.origins.is_empty() {
            fault("domain", "must be set: public_url has no domain to take");
        }
        if !self.domain.is_empty() && origins.is_empty() {
            fault("origins", "must name the pages that use passkeys: public_url has no domain");
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let name = self.name.trim().to_owned();
        let ceremony = self.ceremony;
        Ok(domain.map(|domain| RelyingPartySettings { domain, name, origins, ceremony }))
    }
}

/// The origin of the public address. Browsers know no passkeys of network addresses, so that a
/// loopback one is taken as `localhost`, under which a browser on the same machine finds it.
fn public_origin(address: &str) -> Option<Url> {
    let mut url = Url::parse(address).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']).parse::<IpAddr>();
    if host.is_ok_and(|address| address.is_loopback()) {
        url.set_host(Some("localhost")).ok()?;
    }
    url.domain()?;
    url.set_path("");
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

fn read_origin(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let domain = url.domain()?;
    let is_safe = match url.scheme() {
        "https" => true,
        "http" => domain == "localhost" || domain.ends_with(".localhost"),
        _ => false,
    };
    let is_bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty();
    (is_safe && is_bare).then_some(url)
}

fn is_below(origin: &Url, domain: &str) -> bool {
    let host = origin.domain().unwrap_or_default();
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(config: &PasskeyConfig, public_url: &str) -> Vec<String> {
        let settings = config.read(public_url).expect("valid").expect("a domain");
        settings.origins.iter().map(|origin| origin.origin().ascii_serialization()).collect()
    }

    fn faults(config: &PasskeyConfig, public_url: &str) -> Vec<String> {
        let faults = config.read(public_url).expect_err("faults");
        faults.into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn the_public_address_gives_domain_and_origin() {
        let config = PasskeyConfig::default();
        let read = |address: &str| config.read(address).expect("valid");
        let settings = read("https://troupe.example:8443/app").expect("a domain");
        assert_eq!(settings.domain, "troupe.example");
        assert_eq!(
            origins(&config, "https://troupe.example:8443/app"),
            ["https://troupe.example:8443"]
        );
        assert_eq!(read("http://127.0.0.1:8080").expect("a domain").domain, "localhost");
        assert_eq!(origins(&config, "http://127.0.0.1:8080"), ["http://localhost:8080"]);
        assert_eq!(origins(&config, "http://[::1]:8080"), ["http://localhost:8080"]);
        assert_eq!(read("https://192.0.2.1"), None, "no browser makes a passkey for it");
    }

    #[test]
    fn several_origins_share_the_domain() {
        let config = PasskeyConfig {
            domain: "troupe.example".to_owned(),
            origins: vec![
                "https://app.troupe.example".to_owned(),
                "https://troupe.example".to_owned(),
            ],
            ..PasskeyConfig::default()
        };
        assert_eq!(
            origins(&config, "https://192.0.2.1"),
            ["https://app.troupe.example", "https://troupe.example"]
        );
        let foreign =
            PasskeyConfig { origins: vec!["https://eviltroupe.example".to_owned()], ..config };
        assert_eq!(faults(&foreign, "https://troupe.example"), ["passkeys.origins"]);
    }

    #[test]
    fn every_fault_is_listed() {
        let config = PasskeyConfig {
            name: " ".to_owned(),
            origins: vec![
                "https://app.troupe.example/path".to_owned(),
                "http://app.troupe.example".to_owned(),
                "https://192.0.2.1".to_owned(),
            ],
            ceremony: Duration::ZERO,
            per_account_max: 0,
            ..PasskeyConfig::default()
        };
        assert_eq!(
            faults(&config, "https://192.0.2.1"),
            [
                "passkeys.name",
                "passkeys.ceremony",
                "passkeys.per_account_max",
                "passkeys.origins.0",
                "passkeys.origins.1",
                "passkeys.origins.2",
                "passkeys.domain"
            ]
        );
        let lost =
            PasskeyConfig { domain: "troupe.example".to_owned(), ..PasskeyConfig::default() };
        assert_eq!(faults(&lost, "https://192.0.2.1"), ["passkeys.origins"]);
    }
}
