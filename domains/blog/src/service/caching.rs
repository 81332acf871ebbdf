//! Public answers in the cache: keys, tags, entity tags, and when they are forgotten.
//!
//! A command forgets what it changed before it answers. An answer whose making began before that is
//! not kept: the cache is told its tags before anything is read for it (docs/adr/0015). A replica may
//! be behind all the same; the event of the change, which arrives a moment later, forgets again, and
//! `cache_ttl` bounds what neither reaches. A cache that is away makes reads slower and nothing else.

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
    /// Whether it may be kept; an answer that lacks something for now may not.
    pub(super) keep: bool,
}

/// Which answer, and what of it the caller has.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) tenant: TenantId,
    pub(super) key: &'a str,
    /// `If-None-Match`.
    pub(super) known: Option<&'a str>,
}

/// The answer of a key: from the cache, or made now and kept under its tags and the organisation's.
pub(super) async fn serve(
    blog: &Blog,
    wanted: Wanted<'_>,
    tags: Vec<String>,
    make: impl Future<Output = Result<Made, Failure>> + Send,
) -> Result<Served, Failure> {
    match kept(blog, wanted).await {
        Some(served) => Ok(served),
        None => fill(blog, wanted, tags, make).await,
    }
}

/// Whether answers are kept at all.
pub(super) fn keeps(blog: &Blog) -> bool {
    !blog.config.cache_ttl.is_zero()
}

/// The answer of a key from the cache, if it is there.
pub(super) async fn kept(blog: &Blog, wanted: Wanted<'_>) -> Option<Served> {
    let entry = blog.cache.get(wanted.key).await?;
    Some(Kept::decode(entry)?.served(wanted.known))
}

/// Makes an answer that is not in the cache and keeps it there, unless it is forgotten meanwhile.
pub(super) async fn fill(
    blog: &Blog,
    wanted: Wanted<'_>,
    mut tags: Vec<String>,
    make: impl Future<Output = Result<Made, Failure>> + Send,
) -> Result<Served, Failure> {
    if !keeps(blog) {
        return Ok(Kept::of(make.await?).served(wanted.known));
    }
    tags.push(organisation_tag(wanted.tenant));
    let (mut make, mut made) = (Some(Box::pin(make)), None);
    let load = Box::pin(async {
        let make = make.take().expect("a load runs once");
        let fresh = make.await?;
        let keep = fresh.keep;
        let kept = made.insert(Kept::of(fresh));
        if keep { Ok(kept.encode()) } else { Err(not_kept()) }
    });
    let filled = blog.cache.fill(wanted.key, blog.config.cache_ttl, &tags, load).await;
    let found = made.or_else(|| Kept::decode(filled.clone().ok()?));
    let kept = match (found, make) {
        (Some(found), _) => found,
        // Another caller was to make it and could not; that may lie in its own deadline.
        (None, Some(make)) => Kept::of(make.await?),
        (None, None) => return Err(filled.err().unwrap_or_else(not_kept)),
    };
    Ok(kept.served(wanted.known))
}

/// Why the cache gets nothing; whoever made the answer has it.
fn not_kept() -> Failure {
    Failure::unavailable("blog.answer.incomplete", "the answer lacks something for now")
}

/// An encoded answer as the cache keeps it: entity tag, media type and body, by lines.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    etag: String,
    content_type: String,
    body: Bytes,
}

impl Kept {
    fn of(made: Made) -> Self {
        Self {
            etag: etag(&made.body),
            content_type: made.content_type.to_owned(),
            body: made.body.into(),
        }
    }

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
