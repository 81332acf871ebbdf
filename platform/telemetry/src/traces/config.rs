//! The section `traces` of the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection, Secret, units};

use super::Sampling;

/// Where traces go and which.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TracesConfig {
    /// The collector's address for OTLP over HTTP, without `/v1/traces`: `http://HOST:4318`. Empty
    /// records nothing.
    pub url: String,
    /// Fields that are sent along, such as `authorization`. Secrets: write `${file:PATH}`.
    pub headers: BTreeMap<String, Secret>,
    /// The share of requests that are recorded, 0 to 1, where the caller has not decided.
    pub ratio: f64,
    /// Whether a request that fails by our fault leaves its span also when it is not recorded.
    pub failures: bool,
    /// What the node is called among services (`service.name`).
    pub service: String,
    /// Where it runs: `production`, `staging` (`deployment.environment.name`). Empty says nothing.
    pub environment: String,
    /// Spans that may wait to be sent; more are thrown away and counted.
    pub waiting_max: usize,
    /// Spans that are sent together.
    pub batch_max: usize,
    /// How long a span waits for others at most.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// How long the collector may take for an answer.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// How long a batch is tried again before it is thrown away.
    #[serde(with = "units::duration")]
    pub retry_max: Duration,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            headers: BTreeMap::new(),
            ratio: 0.01,
            failures: true,
            service: "troupe".to_owned(),
            environment: String::new(),
            waiting_max: 16_384,
            batch_max: 512,
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            retry_max: Duration::from_secs(60),
        }
    }
}

impl ConfigSection for TracesConfig {
    const NAME: &'static str = "traces";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        if self.is_on() && self.endpoint().is_none() {
            faults.push(ConfigFault::new("url", "is http://HOST:PORT or https://HOST:PORT"));
        }
        for (name, value) in &self.headers {
            let sound =
                name.parse::<HeaderName>().is_ok() && HeaderValue::from_str(value.expose()).is_ok();
            if !sound {
                let path = format!("headers.{name}");
                faults.push(ConfigFault::new(path, "is the name and value of an HTTP field"));
            }
        }
        if !(0.0..=1.0).contains(&self.ratio) {
            faults.push(ConfigFault::new("ratio", "is between 0 and 1"));
        }
        if self.service.is_empty() {
            faults.push(ConfigFault::new("service", "is a name, such as troupe"));
        }
        if !(1..=1_000_000).contains(&self.waiting_max) {
            faults.push(ConfigFault::new("waiting_max", "is between 1 and 1000000"));
        }
        if !(1..=8_192).contains(&self.batch_max) {
            faults.push(ConfigFault::new("batch_max", "is between 1 and 8192"));
        }
        let (least, most) = (Duration::from_millis(10), Duration::from_secs(600));
        for (name, time) in
            [("every", self.every), ("timeout", self.timeout), ("retry_max", self.retry_max)]
        {
            if !(least..=most).contains(&time) {
                faults.push(ConfigFault::new(name, "is between 10ms and 10m"));
            }
        }
        faults
    }
}

impl TracesConfig {
    /// Whether anything is recorded.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.url.is_empty()
    }

    /// Which requests are recorded.
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        match self.is_on() {
            true => Sampling::new(self.ratio, self.failures),
            false => Sampling::default(),
        }
    }

    /// Where spans are sent.
    pub(super) fn endpoint(&self) -> Option<Uri> {
        let uri: Uri = format!("{}/v1/traces", self.url.trim_end_matches('/')).parse().ok()?;
        let web = matches!(uri.scheme_str(), Some("http" | "https"));
        (web && uri.host().is_some_and(|host| !host.is_empty())).then_some(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_address_nothing_is_recorded() {
        let config = TracesConfig::default();
        assert!(config.validate().is_empty());
        assert_eq!(config.sampling(), Sampling::default());
    }

    #[test]
    fn faults_are_all_reported() {
        let config = TracesConfig {
            url: "collector:4318".to_owned(),
            headers: BTreeMap::from([("a b".to_owned(), Secret::new("c"))]),
            ratio: 2.0,
            service: String::new(),
            waiting_max: 0,
            batch_max: 0,
            every: Duration::ZERO,
            ..TracesConfig::default()
        };
        let paths: Vec<_> = config.validate().into_iter().map(|fault| fault.path).collect();
        let expected =
            ["url", "headers.a b", "ratio", "service", "waiting_max", "batch_max", "every"];
        assert_eq!(paths, expected);
    }

    #[test]
    fn the_path_of_otlp_follows_the_address() {
        let at = |url: &str| {
            let config = TracesConfig { url: url.to_owned(), ..TracesConfig::default() };
            config.endpoint().map(|uri| uri.to_string())
        };
        assert_eq!(at("http://c:4318/").as_deref(), Some("http://c:4318/v1/traces"));
        assert_eq!(at("https://c/otlp").as_deref(), Some("https://c/otlp/v1/traces"));
        assert_eq!(at("ftp://c"), None);
    }
}
