//! Links of the local directory: a claim in the path, sealed with a key that only this node has.
//!
//! A link is `/v1/blobs/links/TOKEN`, where TOKEN is the claim and its HMAC-SHA-256 (RFC 2104), both in
//! base64url. The node serves it, see `routes`. S3 signs links of its own.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;
use serde::{Deserialize, Serialize};
use troupe_kernel::blob::LinkUse;
use troupe_kernel::clock::Timestamp;

use crate::checks;
use crate::error::BlobError;

/// Where the node serves links.
pub(crate) const PATH: &str = "/v1/blobs/links/";
/// The most bytes that the node sends or takes by one link: it holds them in memory.
pub(crate) const BYTES_MAX: u64 = 64 << 20;
/// S3 signs no longer links (Signature Version 4).
const VALID_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
const VALID_MIN: Duration = Duration::from_secs(1);
/// What may stand in an extended parameter as it is (RFC 8187).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// What a link lets its holder do, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// To which blob.
    pub key: String,
    /// What.
    pub usage: LinkUse,
    /// Until when.
    pub expires: Timestamp,
}

impl Claim {
    /// Refuses content of another type or length than the claim says; an unknown length is refused
    /// when the content has come.
    pub(crate) fn admits(
        &self,
        content_type: Option<&str>,
        size_bytes: Option<u64>,
    ) -> Result<(), BlobError> {
        let LinkUse::Write { content_type: announced_type, size_bytes: announced, .. } =
            &self.usage
        else {
            return Err(BlobError::Link);
        };
        if content_type != Some(announced_type) {
            return Err(BlobError::Link);
        }
        match size_bytes {
            Some(found) if found != *announced => {
                Err(BlobError::Size { found, announced: *announced })
            }
            _ => Ok(()),
        }
    }
}

/// The token of a claim.
pub(crate) fn seal(key: &hmac::Key, claim: &Claim) -> Result<String, BlobError> {
    let claim = serde_json::to_vec(claim).map_err(|_| BlobError::Link)?;
    let tag = hmac::sign(key, &claim);
    Ok(format!("{}.{}", URL_SAFE_NO_PAD.encode(&claim), URL_SAFE_NO_PAD.encode(tag)))
}

/// The claim of a token that this key sealed and that has not expired.
pub(crate) fn unseal(key: &hmac::Key, token: &str, now: Timestamp) -> Result<Claim, BlobError> {
    let (claim, tag) = token.split_once('.').ok_or(BlobError::Link)?;
    let decoded = |text| URL_SAFE_NO_PAD.decode(text).map_err(|_| BlobError::Link);
    let (claim, tag) = (decoded(claim)?, decoded(tag)?);
    hmac::verify(key, &claim, &tag).map_err(|_| BlobError::Link)?;
    let claim: Claim = serde_json::from_slice(&claim).map_err(|_| BlobError::Link)?;
    if claim.expires <= now { Err(BlobError::Link) } else { Ok(claim) }
}

/// What is refused of a link before it is made.
pub(crate) fn check(usage: &LinkUse, valid: Duration, size_max: u64) -> Result<(), BlobError> {
    if !(VALID_MIN..=VALID_MAX).contains(&valid) {
        return Err(BlobError::LinkTime);
    }
    if let LinkUse::Write { content_type, size_bytes, digest } = usage {
        checks::content_type(content_type)?;
        checks::digest(digest)?;
        checks::size(*size_bytes, size_max)?;
    }
    Ok(())
}

/// How a browser treats the answer (RFC 6266): it saves what has a file name.
pub(crate) fn disposition(file_name: Option<&str>) -> String {
    file_name.map_or_else(
        || "inline".to_owned(),
        |name| format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(name, ENCODED)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_key_until_it_expires() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let expires = Timestamp::from_secs(100);
        let usage = LinkUse::Read { file_name: None };
        let claim = Claim { key: "a/b".to_owned(), usage, expires };
        let token = seal(&key, &claim).unwrap();
        assert_eq!(unseal(&key, &token, Timestamp::from_secs(99)).unwrap(), claim);
        assert!(unseal(&key, &token, expires).is_err());
        let other = hmac::Key::new(hmac::HMAC_SHA256, &[8; 32]);
        assert!(unseal(&other, &token, Timestamp::from_secs(99)).is_err());

        let forged = Claim { key: "a/c".to_owned(), ..claim };
        let forged = seal(&other, &forged).unwrap();
        let mixed =
            format!("{}.{}", forged.split('.').next().unwrap(), token.split('.').nth(1).unwrap());
        for token in [mixed.as_str(), "", ".", "a.b", "a", &token[..token.len() - 1]] {
            assert!(unseal(&key, token, Timestamp::from_secs(99)).is_err(), "{token}");
        }
    }

    #[test]
    fn a_file_name_cannot_leave_its_parameter() {
        assert_eq!(disposition(None), "inline");
        assert_eq!(
            disposition(Some("räksmörgås \"1\";\r\n.pdf")),
            "attachment; filename*=UTF-8''r%C3%A4ksm%C3%B6rg%C3%A5s%20%221%22%3B%0D%0A.pdf"
        );
    }
}
