//! `Idempotency-Key`: the caller's promise that a repeated request is the same one.
//!
//! The edge reads the key and fingerprints the request; the unit of work stores and replays.

use http::{HeaderMap, Method};
use sha2::{Digest, Sha256};
use troupe_actors::{Failure, FailureKind, Idempotency};

/// The name of the field.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
const KEY_BYTES_MAX: usize = 255;

/// Reads the key of an unsafe request; safe requests need none and it is ignored there.
///
/// The field is a structured string (`"8e03978e"`), a bare token is taken as well.
///
/// # Errors
/// `edge.idempotency.malformed` for anything but one key of 1 to 255 visible ASCII characters.
pub fn read(method: &Method, headers: &HeaderMap) -> Result<Option<String>, Failure> {
    if method.is_safe() {
        return Ok(None);
    }
    let mut fields = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (field, more) = (fields.next(), fields.next());
    let Some(field) = field else { return Ok(None) };
    let text = field.to_str().unwrap_or_default().trim();
    let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if more.is_some() || key.is_empty() || key.len() > KEY_BYTES_MAX || !key.bytes().all(plain) {
        return Err(Failure::new(
            FailureKind::Malformed,
            "edge.idempotency.malformed",
            "send one Idempotency-Key of 1 to 255 visible ASCII characters, best a UUID",
        ));
    }
    Ok(Some(key.to_owned()))
}

/// The key with a hash of what is asked, so that the same key for something else is found out.
pub(crate) fn fingerprint(key: String, method: &Method, target: &str, body: &[u8]) -> Idempotency {
    let mut hash = Sha256::new();
    hash.update(method.as_str());
    hash.update([0]);
    hash.update(target);
    hash.update([0]);
    hash.update(body);
    let fingerprint = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Idempotency { key, fingerprint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, http::HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_key_is_read_on_unsafe_methods_only() {
        let sent = headers(&["\"abc-1\""]);
        assert_eq!(read(&Method::POST, &sent).unwrap().as_deref(), Some("abc-1"));
        assert_eq!(read(&Method::DELETE, &headers(&["abc-1"])).unwrap().as_deref(), Some("abc-1"));
        assert_eq!(read(&Method::GET, &sent).unwrap(), None);
        assert_eq!(read(&Method::POST, &headers(&[])).unwrap(), None);
    }

    #[test]
    fn a_faulty_key_is_refused() {
        for values in [&[""][..], &["\"\""], &["a b"], &["a", "b"], &["a\"b"]] {
            let failure = read(&Method::POST, &headers(values)).unwrap_err();
            assert_eq!(failure.code(), "edge.idempotency.malformed", "{values:?}");
        }
    }

    #[test]
    fn the_fingerprint_tells_method_target_and_body_apart() {
        let print = |method, target, body: &str| {
            fingerprint("k".to_owned(), &method, target, body.as_bytes()).fingerprint
        };
        let first = print(Method::POST, "/a", "b");
        assert_eq!(first, print(Method::POST, "/a", "b"));
        assert_eq!(first.len(), 64);
        for other in [
            print(Method::PUT, "/a", "b"),
            print(Method::POST, "/ab", ""),
            print(Method::POST, "/a", "c"),
        ] {
            assert_ne!(first, other);
        }
    }
}
