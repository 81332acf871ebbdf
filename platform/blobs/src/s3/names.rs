//! How blobs are named on S3, and what is written beside their content.
//!
//! The key of an object is the prefix, the key of the blob and `!`. The mark sorts before every
//! character of a key, so that objects come in the order of keys, and lets a key be the folder of
//! another also on servers that keep objects as files.

use object_store::path::Path;
use object_store::{Attribute, Attributes, GetResult, ObjectMeta};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ports::BlobInfo;

use crate::checks;
use crate::error::BlobError;
use crate::key::BlobKey;

const MARK: &str = "!";
const DIGEST: &str = "digest";
const STORED: &str = "stored";
/// The header field of the digest on a request that a link allows.
pub(crate) const DIGEST_HEADER: &str = "x-amz-meta-digest";

/// The names of one bucket.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// Empty, or with a `/` at the end.
    root: String,
}

impl Names {
    pub(crate) fn new(prefix: &str) -> Self {
        let root = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { root }
    }

    /// The object of a blob.
    pub(crate) fn object(&self, key: &BlobKey) -> Path {
        Path::from(self.text(key.as_str()))
    }

    /// The object's key as S3 sorts it.
    pub(crate) fn text(&self, key: &str) -> String {
        format!("{}{key}{MARK}", self.root)
    }

    /// What the objects begin with whose blobs begin with `prefix`.
    pub(crate) fn below(&self, prefix: &str) -> String {
        format!("{}{prefix}", self.root)
    }

    /// The blob of an object; none when the object is none of ours.
    pub(crate) fn key(&self, object: &Path) -> Option<BlobKey> {
        let key = object.as_ref().strip_prefix(&self.root)?.strip_suffix(MARK)?;
        BlobKey::parse(key).ok()
    }
}

/// What is written beside the content of a blob.
pub(crate) fn attributes(info: &BlobInfo) -> Attributes {
    [
        (Attribute::ContentType, info.content_type.clone()),
        (Attribute::Metadata(DIGEST.into()), info.digest.clone()),
        (Attribute::Metadata(STORED.into()), info.stored.to_string()),
    ]
    .into_iter()
    .collect()
}

/// What is known of a blob whose object was asked for. One that was stored by a link has the server's
/// time.
pub(crate) fn info(key: &BlobKey, found: &GetResult) -> Result<BlobInfo, BlobError> {
    let ObjectMeta { size, last_modified, .. } = &found.meta;
    let damaged = || BlobError::Damaged(key.to_string());
    let value = |attribute| found.attributes.get(&attribute).map(|value| value.to_string());
    let digest = value(Attribute::Metadata(DIGEST.into())).ok_or_else(damaged)?;
    checks::digest(&digest).map_err(|_| damaged())?;
    let stored = value(Attribute::Metadata(STORED.into())).and_then(|stored| stored.parse().ok());
    Ok(BlobInfo {
        key: key.to_string(),
        content_type: value(Attribute::ContentType).ok_or_else(damaged)?,
        size_bytes: *size,
        digest,
        stored: stored.unwrap_or_else(|| Timestamp::from_datetime(*last_modified)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_sort_like_keys_and_are_read_back() {
        let names = Names::new("prod/eu");
        let mut keys = ["a", "a-b", "a.b", "a/b", "a/b/c", "a/c", "a0", "aA", "aa", "a_b", "b"];
        keys.sort_unstable();
        let objects: Vec<String> = keys.iter().map(|key| names.text(key)).collect();
        assert!(objects.is_sorted(), "{objects:?}");
        for key in keys {
            let object = names.object(&BlobKey::parse(key).unwrap());
            assert_eq!(object.as_ref(), names.text(key));
            assert_eq!(names.key(&object).unwrap().as_str(), key);
        }
    }

    #[test]
    fn objects_of_others_are_no_blobs() {
        let names = Names::new("prod");
        for object in ["prod/a", "a!", "production/a!", "prod/!", "prod/a@b!"] {
            assert!(names.key(&Path::from(object)).is_none(), "{object}");
        }
        assert!(Names::new("").key(&Path::from("a!")).is_some());
    }
}
