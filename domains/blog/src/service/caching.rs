//! Public answers in the cache: keys, tags, entity tags, and when they are forgotten.
//!
//! A command forgets what it changed before it answers. A reader that read the database just before
//! the commit may still put the old answer back; the event of the change, which arrives a moment
//! later, forgets again, and `cache_ttl` bounds what neither reaches. A cache that is away makes
//! reads slower and nothing else.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use troupe_kernel::{Failure, TenantId};

use super::Blog;
use crate::content::document::hex;
use crate::messages::{PostId, Served};

/// The media type of an answer that is the path of another address.
pub(super) const MOVED: &str = "moved";

/// An answer that was just made.
pub(super) struct Made {
    /// Its media type.
    pub(super) content_type: &'static str,
    /// The bytes.
    pub(super) body: Vec<u8>,
    /// The tags under which it is forgotten, besides the organisation's.
    pub(super) tags: Vec<String>,
    /// Whether it may be kept; an answer that lacks something for now may not.
    pub(super) keep: bool,
}

/// The answer of a key: from the cache, or made now and kept.
pub(super) async fn serve(
    blog: &Blog,
    tenant: TenantId,
    key: &str,
    known: Option<&str>,
    make: impl Future<Output = Result<Made, Failure>> + Send,
) -> Result<Served, Failure> {
    if let Some(entry) = blog.cache.get(key).await
        && let Some(kept) = Kept::decode(entry)
    {
        return Ok(kept.served(known));
    }
    let made = make.await?;
    let kept = Kept {
        etag: etag(&made.body),
        content_type: made.content_type.to_owned(),
        body: made.body.into(),
    };
    if made.keep && !blog.config.cache_ttl.is_zero() {
        let mut tags = made.tags;
        tags.push(organisation_tag(tenant));
        blog.cache.put(key, kept.encode(), blog.config.cache_ttl, &tags).await;
    }
    Ok(kept.served(known))
}

/// An encoded answer as the cache keeps it: entity tag, media type and body, by lines.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    etag: String,
    content_type: String,
    body: Bytes,
}

impl Kept {
    fn encode(&self) -> Bytes {
        let mut bytes =
            Vec::with_capacity(self.etag.len() + self.content_type.len() + self.body.len() + 2);
        bytes.extend_from_slice(self.etag.as_bytes());
        bytes.push(b'\n');
        bytes.extend_from_slice(self.content_type.as_bytes());
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        bytes.into()
    }

    fn decode(entry: Bytes) -> Option<Self> {
        let first = entry.iter().position(|byte| *byte == b'\n')?;
        let second = first + 1 + entry[first + 1..].iter().position(|byte| *byte == b'\n')?;
        Some(Self {
            etag: std::str::from_utf8(&entry[..first]).ok()?.to_owned(),
            content_type: std::str::from_utf8(&entry[first + 1..second]).ok()?.to_owned(),
            body: entry.slice(second + 1..),
        })
    }

    fn served(self, known: Option<&str>) -> Served {
        if self.content_type == MOVED {
            return Served::Moved { location: String::from_utf8_lossy(&self.body).into_owned() };
        }
        if known.is_some_and(|known| knows(known, &self.etag)) {
            return Served::NotModified { etag: self.etag, immutable: false };
        }
        Served::Fresh {
            content_type: self.content_type,
            etag: self.etag,
            body: self.body,
            immutable: false,
        }
    }
}

/// Whether `If-None-Match` names the entity tag; compared weakly (RFC 9110, 13.1.2).
pub(super) fn knows(if_none_match: &str, etag: &str) -> bool {
    if_none_match.split(',').map(str::trim).any(|candidate| {
        let candidate = candidate.strip_prefix("W/").unwrap_or(candidate);
        candidate == "*"
            || candidate.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) == Some(etag)
    })
}

fn etag(body: &[u8]) -> String {
    hex(&Sha256::digest(body)[..16])
}

/// Everything public of an organisation.
pub(super) fn organisation_tag(tenant: TenantId) -> String {
    format!("blog:{tenant}")
}

/// Lists, feeds and searches of an organisation.
pub(super) fn lists_tag(tenant: TenantId) -> String {
    format!("blog:{tenant}:lists")
}

/// One post and the comments on it.
pub(super) fn post_tag(tenant: TenantId, post: PostId) -> String {
    format!("blog:{tenant}:post:{post}")
}

/// The key of an answer.
pub(super) fn key(tenant: TenantId, what: &str, parts: &[&str]) -> String {
    let mut key = format!("blog:{tenant}:{what}");
    for part in parts {
        // The length keeps parts apart that contain the separator.
        key.push_str(&format!(":{}:{part}", part.len()));
    }
    key
}

/// Forgets a post, the comments on it, and every list it may stand in.
pub(super) async fn forget_post(blog: &Blog, tenant: TenantId, post: PostId) {
    for tag in [post_tag(tenant, post), lists_tag(tenant)] {
        forget(blog, &tag).await;
    }
}

/// Forgets the comments on a post.
pub(super) async fn forget_comments(blog: &Blog, tenant: TenantId, post: PostId) {
    forget(blog, &post_tag(tenant, post)).await;
}

/// Forgets everything of an organisation.
pub(super) async fn forget_organisation(blog: &Blog, tenant: TenantId) {
    forget(blog, &organisation_tag(tenant)).await;
}

async fn forget(blog: &Blog, tag: &str) {
    const WITHIN: Duration = Duration::from_secs(2);
    match tokio::time::timeout(WITHIN, blog.cache.invalidate(tag)).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => tracing::warn!(tag, %failure, "the cache did not forget"),
        Err(_) => tracing::warn!(tag, "the cache did not forget in time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_back() {
        let kept = Kept {
            etag: "abc".to_owned(),
            content_type: "application/json".to_owned(),
            body: Bytes::from_static(b"{\n}"),
        };
        assert_eq!(Kept::decode(kept.encode()), Some(kept));
        assert_eq!(Kept::decode(Bytes::from_static(b"broken")), None);
    }

    #[test]
    fn if_none_match_is_compared_weakly() {
        assert!(knows("\"a\", W/\"b\"", "b"));
        assert!(knows("*", "b"));
        assert!(!knows("b", "b"));
        assert!(!knows("\"c\"", "b"));
    }

    #[test]
    fn keys_of_different_parts_differ() {
        let tenant = TenantId(uuid::Uuid::nil());
        assert_ne!(key(tenant, "list", &["a:b", ""]), key(tenant, "list", &["a", "b:"]));
    }
}
