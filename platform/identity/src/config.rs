//! The `[identity]` section: links in mails, lifetimes and limits.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection, units};

use crate::naming;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Settings of the identity module.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityConfig {
    /// Address under which people reach this platform; the start of links in mails.
    pub public_url: String,
    /// Path of the page that confirms an address; `{token}` is replaced.
    pub verification_path: String,
    /// Path of the page that shows an invitation; `{token}` is replaced.
    pub invitation_path: String,
    /// How long a link that proves an address works.
    #[serde(with = "units::duration")]
    pub verification_valid: Duration,
    /// Shortest time between two such mails to one user.
    #[serde(with = "units::duration")]
    pub verification_interval: Duration,
    /// Such mails one user may ask for in a day.
    pub verifications_per_day_max: usize,
    /// How long an invitation is open.
    #[serde(with = "units::duration")]
    pub invitation_valid: Duration,
    /// How often one invitation may be sent, the first time included.
    pub invitation_sends_max: i32,
    /// Open invitations one organisation may have.
    pub invitations_open_max: i64,
    /// Time between the request to be deleted and the deletion.
    #[serde(with = "units::duration")]
    pub deletion_grace: Duration,
    /// Language of users who chose none.
    pub default_locale: String,
    /// Time zone of users who chose none.
    pub default_time_zone: String,
    /// How long a found slug is kept in memory; a change on this node is seen at once.
    #[serde(with = "units::duration")]
    pub slug_cache_time: Duration,
    /// Slugs kept in memory.
    pub slug_cache_entries_max: usize,
    /// Requests each of the three services handles at once.
    pub workers: usize,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8080".to_owned(),
            verification_path: "/v1/email-verification/{token}".to_owned(),
            invitation_path: "/v1/invitations/{token}".to_owned(),
            verification_valid: 2 * DAY,
            verification_interval: MINUTE,
            verifications_per_day_max: 5,
            invitation_valid: 7 * DAY,
            invitation_sends_max: 5,
            invitations_open_max: 500,
            deletion_grace: 14 * DAY,
            default_locale: "en".to_owned(),
            default_time_zone: "UTC".to_owned(),
            slug_cache_time: MINUTE,
            slug_cache_entries_max: 4096,
            workers: 8,
        }
    }
}

impl ConfigSection for IdentityConfig {
    const NAME: &'static str = "identity";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, detail: &str| faults.push(ConfigFault::new(path, detail));
        if !self.public_url.starts_with("http://") && !self.public_url.starts_with("https://") {
            fault("public_url", "must start with http:// or https://");
        }
        for (path, value) in [
            ("verification_path", &self.verification_path),
            ("invitation_path", &self.invitation_path),
        ] {
            if !value.starts_with('/') || !value.contains("{token}") {
                fault(path, "must start with / and contain {token}");
            }
        }
        for (path, value) in [
            ("verification_valid", self.verification_valid),
            ("invitation_valid", self.invitation_valid),
        ] {
            if value < 5 * MINUTE {
                fault(path, "must be at least 5m, or people cannot follow the link in time");
            }
        }
        if self.verification_interval > HOUR {
            fault("verification_interval", "must be at most 1h");
        }
        if !(1..=100).contains(&self.verifications_per_day_max) {
            fault("verifications_per_day_max", "must be between 1 and 100");
        }
        if !(1..=100).contains(&self.invitation_sends_max) {
            fault("invitation_sends_max", "must be between 1 and 100");
        }
        if !(1..=10_000).contains(&self.invitations_open_max) {
            fault("invitations_open_max", "must be between 1 and 10000");
        }
        if let Err(detail) = naming::locale(&self.default_locale) {
            fault("default_locale", detail);
        }
        if let Err(detail) = naming::time_zone(&self.default_time_zone) {
            fault("default_time_zone", detail);
        }
        if self.slug_cache_time > HOUR {
            fault("slug_cache_time", "must be at most 1h");
        }
        if !(1..=1_000_000).contains(&self.slug_cache_entries_max) {
            fault("slug_cache_entries_max", "must be between 1 and 1000000");
        }
        if !(1..=256).contains(&self.workers) {
            fault("workers", "must be between 1 and 256");
        }
        faults
    }
}

impl IdentityConfig {
    /// The link that proves an address.
    #[must_use]
    pub fn verification_link(&self, token: &str) -> String {
        self.link(&self.verification_path, token)
    }

    /// The link that shows an invitation.
    #[must_use]
    pub fn invitation_link(&self, token: &str) -> String {
        self.link(&self.invitation_path, token)
    }

    fn link(&self, path: &str, token: &str) -> String {
        format!("{}{}", self.public_url.trim_end_matches('/'), path.replace("{token}", token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_make_links() {
        let config = IdentityConfig::default();
        assert!(config.validate().is_empty(), "{:?}", config.validate());
        assert_eq!(
            config.verification_link("abc"),
            "http://127.0.0.1:8080/v1/email-verification/abc"
        );
    }

    #[test]
    fn every_bad_value_is_reported_at_once() {
        let config = IdentityConfig {
            public_url: "troupe.example".to_owned(),
            invitation_path: "/invitations".to_owned(),
            verification_valid: Duration::from_secs(1),
            verifications_per_day_max: 0,
            default_locale: "english".to_owned(),
            workers: 0,
            ..IdentityConfig::default()
        };
        let paths: Vec<_> = config.validate().into_iter().map(|fault| fault.path).collect();
        let expected = [
            "public_url",
            "invitation_path",
            "verification_valid",
            "verifications_per_day_max",
            "default_locale",
            "workers",
        ];
        assert_eq!(paths, expected);
    }
}
