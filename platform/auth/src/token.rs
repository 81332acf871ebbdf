//! Access tokens: JSON Web Tokens (RFC 7519) signed with Ed25519 (RFC 8037), in one strict form.
//!
//! A token that is not exactly what this module writes is refused: three base64url segments
//! without padding, a header of `alg`, `typ` and `kid` and nothing else, `alg` fixed to `EdDSA`,
//! a `kid` that is one of ours, and only the claims below. There is no algorithm to choose, so
//! there is none to confuse; header parameters that ask the reader for something (`crit`, `jwk`,
//! `jku`, `x5u`) are unknown fields and refuse the token. The signature is checked before a claim
//! is read. Not a general JWT library: see docs/adr/0008-tokens.md for why it is here.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use troupe_kernel::clock::Timestamp;
use uuid::Uuid;

use crate::keys::{KeySet, SigningKey};
use crate::secret::SecretText;

/// Longest token that is looked at; ours have about 450 bytes.
pub const TOKEN_BYTES_MAX: usize = 2048;
const ALGORITHM: &str = "EdDSA";
const KIND: &str = "JWT";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Who issued it: the node's configured issuer.
    pub iss: String,
    /// The user.
    pub sub: Uuid,
    /// The organisation the token works in; none for work outside any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tid: Option<Uuid>,
    /// The session, the unit of revocation.
    pub sid: Uuid,
    /// Issued at, in seconds since 1970.
    pub iat: i64,
    /// Valid before, in seconds since 1970.
    pub exp: i64,
    /// Valid from, in seconds since 1970; we issue none but honour one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: Cow<'a, str>,
    typ: Cow<'a, str>,
    kid: Cow<'a, str>,
}

/// Why a token is refused. The caller is told no more than that it is; this is for logs and tests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// It is not three segments of base64url with the JSON that we write.
    #[error("the token does not have the form of an access token")]
    Malformed,
    /// The header names another algorithm or type.
    #[error("the token names another algorithm or type")]
    Algorithm,
    /// No key that verifies now has this id.
    #[error("the token names the unknown key {0}")]
    UnknownKey(String),
    /// The signature is not the key's signature of this token.
    #[error("the token has a wrong signature")]
    Signature,
    /// It was issued by somebody else.
    #[error("the token was issued by somebody else")]
    Issuer,
    /// It is past its time.
    #[error("the token has expired")]
    Expired,
    /// It is from the future.
    #[error("the token is not valid yet")]
    NotYetValid,
}

/// What a reader expects of a token.
#[derive(Debug, Clone)]
pub struct Expectation<'a> {
    /// The only issuer that is accepted.
    pub issuer: &'a str,
    /// The time now.
    pub now: Timestamp,
    /// How far another node's clock may be ahead of ours; it never prolongs a token.
    pub skew: Duration,
}

/// Writes and signs a token.
#[must_use]
pub fn sign(claims: &Claims, key: &SigningKey) -> SecretText {
    let header = Header { alg: ALGORITHM.into(), typ: KIND.into(), kid: key.id().into() };
    let mut token = segment(&header);
    token.push('.');
    token.push_str(&segment(claims));
    let signature = key.sign(token.as_bytes());
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    SecretText::new(token)
}

/// Checks a token and answers its claims.
///
/// # Errors
/// The first reason found to refuse it.
pub fn verify(
    token: &str,
    keys: &KeySet,
    expected: &Expectation<'_>,
) -> Result<Claims, TokenFault> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenFault::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
    // A fourth segment would leave a dot in the payload, which base64url refuses.
    let header = decode(header)?;
    let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| TokenFault::Malformed)?;
    if header.alg != ALGORITHM || header.typ != KIND {
        return Err(TokenFault::Algorithm);
    }
    let key = keys
        .verifying(&header.kid, expected.now)
        .ok_or_else(|| TokenFault::UnknownKey(header.kid.chars().take(64).collect()))?;
    if !key.verify(signed.as_bytes(), &decode(signature)?) {
        return Err(TokenFault::Signature);
    }
    let claims: Claims =
        serde_json::from_slice(&decode(payload)?).map_err(|_| TokenFault::Malformed)?;
    check_claims(&claims, expected)?;
    Ok(claims)
}

fn check_claims(claims: &Claims, expected: &Expectation<'_>) -> Result<(), TokenFault> {
    if claims.iss != expected.issuer {
        return Err(TokenFault::Issuer);
    }
    let now = expected.now.as_secs();
    if claims.exp <= now {
        return Err(TokenFault::Expired);
    }
    let latest = now.saturating_add(i64::try_from(expected.skew.as_secs()).unwrap_or(i64::MAX));
    if claims.iat > latest || claims.nbf.is_some_and(|from| from > latest) {
        return Err(TokenFault::NotYetValid);
    }
    Ok(())
}

fn segment(part: &impl Serialize) -> String {
    let json = serde_json::to_vec(part).expect("headers and claims are plain data");
    URL_SAFE_NO_PAD.encode(json)
}

fn decode(segment: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| TokenFault::Malformed)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
