//! The `[notify.webhooks]` section: what is offered, where it may go, and how often it is tried.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, units};

use crate::webhooks::filter;
use crate::webhooks::guard::{Guard, Network};
use crate::webhooks::schedule::Schedule;
use crate::webhooks::target::Rule;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Settings of webhooks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookConfig {
    /// Patterns of the kinds of event that are offered to organisations. Only events of the own
    /// organisation are sent to it.
    pub events: Vec<String>,
    /// Endpoints that an organisation may have.
    pub endpoints_max: u32,
    /// Waits after failed attempts; an attempt more than waits is made.
    pub retry_waits: Vec<String>,
    /// How much of a wait is added or taken away by chance, in percent.
    pub retry_jitter_percent: u32,
    /// Longest time for one attempt, from the look-up of the host to the end of the answer.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// An endpoint to which nothing was delivered for so long, and at least one attempt failed, is
    /// disabled.
    #[serde(with = "units::duration")]
    pub disable_after: Duration,
    /// How long the secret before the present one signs, too.
    #[serde(with = "units::duration")]
    pub secret_overlap: Duration,
    /// Deliveries are removed from the log so long after their event.
    #[serde(with = "units::duration")]
    pub keep: Duration,
    /// Attempts that this node makes at once; `jobs.queues.webhooks.concurrency` bounds them as well.
    pub workers: usize,
    /// Attempts at one endpoint that are made at once.
    pub per_endpoint_max: u16,
    /// Whether endpoints must begin with `https://`.
    pub https_only: bool,
    /// Networks that endpoints may be in although they are not the public internet, such as
    /// `127.0.0.0/8` on the machine of a developer.
    pub allow_networks: Vec<String>,
    /// A PEM file of authorities that are trusted beside those of the system; empty takes none.
    pub ca_file: PathBuf,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        let list = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Self {
            events: list(&[
                "blog.*",
                "files.*",
                "identity.organisation.*",
                "identity.member.*",
                "identity.invitation.*",
            ]),
            endpoints_max: 20,
            retry_waits: list(&["5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h"]),
            retry_jitter_percent: 20,
            timeout: 15 * SECOND,
            disable_after: 5 * DAY,
            secret_overlap: DAY,
            keep: 30 * DAY,
            workers: 8,
            per_endpoint_max: 4,
            https_only: true,
            allow_networks: Vec::new(),
            ca_file: PathBuf::new(),
        }
    }
}

impl WebhookConfig {
    /// The waits between attempts; those that are none are left out, which `validate` refuses.
    pub(crate) fn schedule(&self) -> Schedule {
        let waits = self.retry_waits.iter().filter_map(|text| units::parse_duration(text));
        Schedule { waits: waits.collect(), jitter_percent: self.retry_jitter_percent }
    }

    /// Which URLs are accepted.
    pub(crate) fn rule(&self) -> Rule {
        let allowed: Vec<Network> =
            self.allow_networks.iter().filter_map(|text| text.parse().ok()).collect();
        Rule { https_only: self.https_only, guard: Guard::new(allowed) }
    }

    /// How endpoints prove who they are. Reads the authorities; blocks.
    ///
    /// # Errors
    /// What is wrong with the file, or that nobody is trusted.
    pub(crate) fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if !self.ca_file.as_os_str().is_empty() {
            let path = self.ca_file.display();
            let unusable =
                |detail: String| format!("{path} is no PEM file of certificates: {detail}");
            let certificates = CertificateDer::pem_file_iter(&self.ca_file)
                .map_err(|error| unusable(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    pub(super) fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, detail: String| {
            faults.push(ConfigFault::new(format!("webhooks.{path}"), detail));
        };
        let mut wrong = |path: &str, fits: bool, detail: &str| {
            if !fits {
                fault(path, detail.to_owned());
            }
        };
        let (waits, schedule) = (self.retry_waits.len(), self.schedule());
        let total: Duration = schedule.waits.iter().sum();
        let between = |value: Duration, least, most| (least..=most).contains(&value);
        wrong(
            "events",
            !self.events.is_empty() && self.events.iter().all(|text| filter::is_pattern(text)),
            "must be a list of patterns like blog.* or blog.post.published",
        );
        wrong("endpoints_max", (1..=50).contains(&self.endpoints_max), "must be between 1 and 50");
        wrong(
            "retry_waits",
            waits <= 30 && schedule.waits.len() == waits,
            "must be a list of at most 30 durations like 5s or 2h",
        );
        wrong(
            "retry_jitter_percent",
            self.retry_jitter_percent <= 100,
            "must be between 0 and 100",
        );
        wrong("timeout", between(self.timeout, SECOND, 30 * SECOND), "must be between 1s and 30s");
        wrong(
            "disable_after",
            between(self.disable_after, SECOND, 90 * DAY),
            "must be between 1s and 90d",
        );
        wrong("secret_overlap", self.secret_overlap <= 30 * DAY, "must be at most 30d");
        wrong(
            "keep",
            self.keep > total * 2 && self.keep <= 400 * DAY,
            "must be more than twice the sum of retry_waits and at most 400d",
        );
        wrong("workers", (1..=256).contains(&self.workers), "must be between 1 and 256");
        wrong(
            "per_endpoint_max",
            (1..=64).contains(&self.per_endpoint_max),
            "must be between 1 and 64",
        );
        for text in &self.allow_networks {
            if let Err(error) = text.parse::<Network>() {
                fault("allow_networks", format!("`{text}` {error}"));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(config: &WebhookConfig) -> Vec<String> {
        config.faults().into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn the_defaults_are_valid_and_are_the_schedule_of_the_specification() {
        let config = WebhookConfig::default();
        assert_eq!(paths(&config), [""; 0]);
        let schedule = config.schedule();
        assert_eq!(schedule.waits.len(), 9);
        let total: Duration = schedule.waits.iter().sum();
        assert_eq!(total, Duration::from_secs(75 * 3_600 + 35 * 60 + 5));
        assert!(config.rule().https_only);
    }

    #[test]
    fn every_bad_value_is_reported_at_once() {
        let config = WebhookConfig {
            events: vec!["blog.po*".to_owned()],
            endpoints_max: 0,
            retry_waits: vec!["5".to_owned()],
            retry_jitter_percent: 101,
            timeout: Duration::ZERO,
            disable_after: Duration::ZERO,
            secret_overlap: 31 * DAY,
            keep: Duration::ZERO,
            workers: 0,
            per_endpoint_max: 0,
            allow_networks: vec!["localhost".to_owned()],
            ..WebhookConfig::default()
        };
        let expected = [
            "events",
            "endpoints_max",
            "retry_waits",
            "retry_jitter_percent",
            "timeout",
            "disable_after",
            "secret_overlap",
            "keep",
            "workers",
            "per_endpoint_max",
            "allow_networks",
        ]
        .map(|path| format!("webhooks.{path}"));
        assert_eq!(paths(&config), expected);
    }

    #[test]
    fn a_file_that_holds_no_certificates_is_named() {
        let config = WebhookConfig { ca_file: "/nowhere.pem".into(), ..WebhookConfig::default() };
        assert!(config.tls().unwrap_err().contains("/nowhere.pem"));
    }
}
