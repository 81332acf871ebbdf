//! The section `blobs` of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection, Secret, units};

/// Largest blob that may be configured: S3 takes no more in one request.
const SIZE_MAX_LIMIT: u64 = 5 << 30;
/// S3 takes no smaller part but the last.
const PART_SIZE_MIN: u64 = 5 << 20;
const PART_SIZE_MAX: u64 = 64 << 20;
const TIMEOUT_MAX: Duration = Duration::from_secs(300);
const RETRIES_MAX: usize = 10;

/// Where blobs lie and how large they may be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlobsConfig {
    /// `s3://BUCKET/PREFIX` for S3; empty for a local directory.
    pub url: String,
    /// The directory; empty for `blobs` in the data directory of the node. With S3 only what is
    /// streamed without a known digest lies there, until it is sent.
    pub directory: PathBuf,
    /// The largest blob.
    #[serde(with = "units::size")]
    pub size_max: u64,
    /// S3: address of the server, `https://HOST:PORT`; empty for Amazon's of the region.
    pub endpoint: String,
    /// S3: a PEM file with the certificates that the server's may lead to; none trusts what the system
    /// trusts. It is read at the start.
    pub tls_ca_file: Option<PathBuf>,
    /// S3: the region that requests are signed for.
    pub region: String,
    /// S3: the key id. A secret: write `${file:PATH}` or `${env:NAME}`.
    pub access_key: Secret,
    /// S3: the key. A secret: write `${file:PATH}` or `${env:NAME}`.
    pub secret_key: Secret,
    /// S3: the bucket is part of the path, as in `https://HOST/BUCKET/KEY`, and not of the host name.
    pub path_style: bool,
    /// S3: how long connecting may take.
    #[serde(with = "units::duration")]
    pub connect_timeout: Duration,
    /// S3: how long one request, with its retries, or the next piece of a stream may take.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// S3: how often a request is sent again that failed on the way or was refused for load.
    pub retries_max: usize,
    /// S3: streamed content that is larger goes in parts of this size, three at once.
    #[serde(with = "units::size")]
    pub part_size: u64,
}

impl Default for BlobsConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            directory: PathBuf::new(),
            size_max: 32 << 20,
            endpoint: String::new(),
            tls_ca_file: None,
            region: "us-east-1".to_owned(),
            access_key: Secret::default(),
            secret_key: Secret::default(),
            path_style: true,
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(15),
            retries_max: 3,
            part_size: 8 << 20,
        }
    }
}

impl ConfigSection for BlobsConfig {
    const NAME: &'static str = "blobs";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        if !(1..=SIZE_MAX_LIMIT).contains(&self.size_max) {
            faults.push(ConfigFault::new("size_max", "is between 1B and 5GiB"));
        }
        if self.url.is_empty() {
            return faults;
        }
        if self.bucket().is_none() {
            faults.push(ConfigFault::new(
                "url",
                "names no bucket; write s3://BUCKET or s3://BUCKET/PREFIX with letters, digits and \
                 -._/ in the prefix, or leave it empty for a local directory",
            ));
        }
        let schemes = ["https://", "http://"];
        if !self.endpoint.is_empty()
            && !schemes.iter().any(|scheme| self.endpoint.starts_with(scheme))
        {
            faults.push(ConfigFault::new("endpoint", "begins with https:// or http://"));
        }
        if let Some(path) = &self.tls_ca_file
            && !path.is_file()
        {
            let fault = format!("{} is no file; it must name one in PEM form", path.display());
            faults.push(ConfigFault::new("tls_ca_file", fault));
        }
        if self.region.is_empty() {
            faults.push(ConfigFault::new(
                "region",
                "is needed to sign; us-east-1 suits most servers",
            ));
        }
        for (key, secret) in [("access_key", &self.access_key), ("secret_key", &self.secret_key)] {
            if secret.is_empty() {
                faults.push(ConfigFault::new(
                    key,
                    "is missing; write ${file:PATH} or ${env:NAME} where S3's key is kept",
                ));
            }
        }
        for (key, wait) in [("connect_timeout", self.connect_timeout), ("timeout", self.timeout)] {
            if wait < Duration::from_millis(1) || wait > TIMEOUT_MAX {
                faults.push(ConfigFault::new(key, "must be from 1ms to 5m"));
            }
        }
        if self.retries_max > RETRIES_MAX {
            faults.push(ConfigFault::new("retries_max", "is at most 10"));
        }
        if !(PART_SIZE_MIN..=PART_SIZE_MAX).contains(&self.part_size) {
            faults.push(ConfigFault::new("part_size", "is between 5MiB and 64MiB"));
        }
        faults
    }
}

impl BlobsConfig {
    /// The bucket and the prefix of the URL.
    pub(crate) fn bucket(&self) -> Option<(&str, &str)> {
        let place = self.url.strip_prefix("s3://")?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.trim_matches('/');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let segments = prefix.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
        let fits = !bucket.is_empty()
            && bucket.bytes().all(plain)
            && (prefix.is_empty() || segments)
            && prefix.bytes().all(|byte| byte == b'/' || plain(byte));
        fits.then_some((bucket, prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_bucket_and_perhaps_a_prefix() {
        let parsed = |url: &str| {
            let config = BlobsConfig { url: url.to_owned(), ..BlobsConfig::default() };
            config.bucket().map(|(bucket, prefix)| format!("{bucket}|{prefix}"))
        };
        assert_eq!(parsed("s3://media").as_deref(), Some("media|"));
        assert_eq!(parsed("s3://media/").as_deref(), Some("media|"));
        assert_eq!(parsed("s3://media/prod/eu/").as_deref(), Some("media|prod/eu"));
        for url in ["s3://", "s3:///a", "https://media", "s3://m/a//b", "s3://m/../b", "s3://m/a b"]
        {
            assert_eq!(parsed(url), None, "{url}");
        }
    }

    #[test]
    fn every_fault_of_an_s3_section_is_named() {
        let config = BlobsConfig {
            url: "media".to_owned(),
            endpoint: "localhost".to_owned(),
            tls_ca_file: Some("/nowhere/ca.pem".into()),
            region: String::new(),
            timeout: Duration::ZERO,
            retries_max: 11,
            part_size: 1,
            size_max: 0,
            ..BlobsConfig::default()
        };
        let faults: Vec<String> = config.validate().iter().map(|fault| fault.to_string()).collect();
        assert_eq!(faults.len(), 10, "{faults:?}");
        assert!(BlobsConfig::default().validate().is_empty());
    }
}
