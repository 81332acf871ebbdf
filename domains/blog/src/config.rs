//! The section `[blog]` of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::units;
use troupe_kernel::{ConfigFault, ConfigSection};

/// Settings of the blog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlogConfig {
    /// Where the node is reached from outside, for links in feeds, without a slash at the end.
    pub public_url: String,
    /// The address of a post on a site of its own, with `{organisation}` and `{slug}`; empty: the
    /// post's address in this API.
    pub post_url: String,
    /// The address of an organisation's blog on a site of its own, with `{organisation}`; empty:
    /// the list of posts in this API.
    pub home_url: String,
    /// How long a public answer may be kept in the cache. Changes are visible at once on this node
    /// and within this time everywhere.
    #[serde(with = "units::duration")]
    pub cache_ttl: Duration,
    /// Posts in a feed.
    pub feed_items: u32,
    /// Saves of one post that are kept; older ones are forgotten.
    pub revisions_max: u32,
    /// Older slugs of one post that still lead to it.
    pub redirects_max: u32,
    /// Concurrent commands and queries on posts.
    pub post_workers: usize,
    /// Concurrent public reads.
    pub public_workers: usize,
    /// Concurrent imports and exports; each may hold a document of 1 MiB.
    pub transfer_workers: usize,
    /// Comments.
    pub comments: CommentConfig,
    /// Uploads.
    pub media: MediaConfig,
}

/// Settings of comments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CommentConfig {
    /// Whether readers may comment on a new post unless it says otherwise.
    pub enabled: bool,
    /// Whether comments of signed-in members of the organisation are public at once.
    pub members_approved: bool,
    /// Comments from one address in one organisation within `window`.
    pub per_address_max: u32,
    /// See `per_address_max`.
    #[serde(with = "units::duration")]
    pub window: Duration,
    /// Comments on one post that may wait for a moderator.
    pub pending_max: u32,
    /// A comment with more links is taken for spam.
    pub links_max: u32,
    /// Concurrent commands and queries.
    pub workers: usize,
}

/// Settings of uploads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MediaConfig {
    /// The largest upload.
    #[serde(with = "units::size")]
    pub bytes_max: u64,
    /// All uploads of one organisation together.
    #[serde(with = "units::size")]
    pub tenant_bytes_max: u64,
    /// Concurrent uploads and reads; each holds its content in memory.
    pub workers: usize,
}

impl Default for BlogConfig {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8080".to_owned(),
            post_url: String::new(),
            home_url: String::new(),
            cache_ttl: Duration::from_secs(60),
            feed_items: 20,
            revisions_max: 200,
            redirects_max: 20,
            post_workers: 8,
            public_workers: 16,
            transfer_workers: 2,
            comments: CommentConfig::default(),
            media: MediaConfig::default(),
        }
    }
}

impl Default for CommentConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            members_approved: true,
            per_address_max: 5,
            window: Duration::from_secs(600),
            pending_max: 500,
            links_max: 3,
            workers: 4,
        }
    }
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self { bytes_max: 10 << 20, tenant_bytes_max: 1 << 30, workers: 4 }
    }
}

impl BlogConfig {
    /// The address of a post.
    #[must_use]
    pub fn post_link(&self, organisation: &str, slug: &str) -> String {
        if self.post_url.is_empty() {
            return format!("{}/v1/public/{organisation}/posts/{slug}", self.public_url);
        }
        self.post_url.replace("{organisation}", organisation).replace("{slug}", slug)
    }

    /// The address of an organisation's blog.
    #[must_use]
    pub fn home_link(&self, organisation: &str) -> String {
        if self.home_url.is_empty() {
            return format!("{}/v1/public/{organisation}/posts", self.public_url);
        }
        self.home_url.replace("{organisation}", organisation)
    }

    /// The address of a feed.
    #[must_use]
    pub fn feed_link(&self, organisation: &str, file: &str) -> String {
        format!("{}/v1/public/{organisation}/{file}", self.public_url)
    }
}

impl ConfigSection for BlogConfig {
    const NAME: &'static str = "blog";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut refuse = |path: &str, detail: &str| faults.push(ConfigFault::new(path, detail));
        if !is_web_address(&self.public_url) || self.public_url.ends_with('/') {
            refuse("public_url", "must begin with http:// or https:// and not end with a slash");
        }
        let names_the_post = is_web_address(&self.post_url) && self.post_url.contains("{slug}");
        if !self.post_url.is_empty() && !names_the_post {
            refuse("post_url", "must begin with http:// or https:// and hold {slug}, or be empty");
        }
        if !self.home_url.is_empty() && !is_web_address(&self.home_url) {
            refuse("home_url", "must begin with http:// or https://, or be empty");
        }
        if self.cache_ttl > Duration::from_secs(86_400) {
            refuse("cache_ttl", "must be at most 24h");
        }
        if !(1..=100).contains(&self.feed_items) {
            refuse("feed_items", "must be between 1 and 100");
        }
        if !(1..=10_000).contains(&self.revisions_max) {
            refuse("revisions_max", "must be between 1 and 10000");
        }
        if !(1..=100).contains(&self.redirects_max) {
            refuse("redirects_max", "must be between 1 and 100");
        }
        if self.comments.window.is_zero() || self.comments.window > Duration::from_secs(86_400) {
            refuse("comments.window", "must be between 1ms and 24h");
        }
        if self.media.bytes_max == 0 || self.media.bytes_max > 100 << 20 {
            refuse("media.bytes_max", "must be between 1B and 100MiB");
        }
        for (path, workers) in [
            ("post_workers", self.post_workers),
            ("public_workers", self.public_workers),
            ("transfer_workers", self.transfer_workers),
            ("comments.workers", self.comments.workers),
            ("media.workers", self.media.workers),
        ] {
            if !(1..=256).contains(&workers) {
                refuse(path, "must be between 1 and 256");
            }
        }
        faults
    }
}

fn is_web_address(text: &str) -> bool {
    (text.starts_with("http://") || text.starts_with("https://"))
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_links_into_this_api() {
        let config = BlogConfig::default();
        assert!(config.validate().is_empty());
        assert_eq!(
            config.post_link("acme", "hello"),
            "http://127.0.0.1:8080/v1/public/acme/posts/hello"
        );
        let own = BlogConfig {
            post_url: "https://{organisation}.example/{slug}".to_owned(),
            ..BlogConfig::default()
        };
        assert_eq!(own.post_link("acme", "hello"), "https://acme.example/hello");
    }

    #[test]
    fn every_value_out_of_range_is_named() {
        let config = BlogConfig {
            public_url: "ftp://x/".to_owned(),
            post_url: "https://x/".to_owned(),
            feed_items: 0,
            revisions_max: 0,
            post_workers: 0,
            media: MediaConfig { bytes_max: 0, ..MediaConfig::default() },
            ..BlogConfig::default()
        };
        let paths: Vec<_> = config.validate().into_iter().map(|fault| fault.path).collect();
        assert_eq!(
            paths,
            [
                "public_url",
                "post_url",
                "feed_items",
                "revisions_max",
                "media.bytes_max",
                "post_workers"
            ]
        );
    }
}
