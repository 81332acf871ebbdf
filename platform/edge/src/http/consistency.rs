//! `Consistency-Token`: how far the caller has seen the data, so that a replica may answer it.
//!
//! An answer to a request that has changed something brings one when there is a replica; the caller
//! sends the last one it got with what it asks next. A replica answers only when it has reached the
//! token; without one the primary answers. A caller who has changed nothing yet sends sixteen zeros.
//! It is no secret and proves nothing: who makes one up only chooses who answers.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use troupe_actors::{Failure, FailureKind};

/// The name of the field.
pub const CONSISTENCY_TOKEN: &str = "consistency-token";
/// Hexadecimal digits, so that of two tokens the later one is the greater text.
const DIGITS: usize = 16;

/// Reads the token of a request.
///
/// # Errors
/// `edge.consistency.malformed` for anything but one token as an answer brings it.
pub fn read(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let mut fields = headers.get_all(CONSISTENCY_TOKEN).iter();
    let (field, more) = (fields.next(), fields.next());
    let Some(field) = field else { return Ok(None) };
    let text = field.to_str().unwrap_or_default();
    let is_plain = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u64::from_str_radix(text, 16) {
        Ok(place) if is_plain && more.is_none() => Ok(Some(place)),
        _ => Err(Failure::new(
            FailureKind::Malformed,
            "edge.consistency.malformed",
            "send one Consistency-Token as the last answer brought it, or none",
        )),
    }
}

/// Adds the token for what was written, if anything was and there is a replica.
pub(crate) fn report(place: u64, headers: &mut HeaderMap) {
    if place == 0 {
        return;
    }
    let value = HeaderValue::from_str(&format!("{place:016x}"));
    headers.insert(HeaderName::from_static(CONSISTENCY_TOKEN), value.expect("digits are visible"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONSISTENCY_TOKEN, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_an_answer_brings_is_read_again() {
        for place in [1, 0x1_6B37_42A8, u64::MAX] {
            let mut headers = HeaderMap::new();
            report(place, &mut headers);
            assert_eq!(read(&headers).unwrap(), Some(place));
        }
        let mut nothing = HeaderMap::new();
        report(0, &mut nothing);
        assert!(nothing.is_empty());
        assert_eq!(read(&nothing).unwrap(), None);
        assert_eq!(read(&headers(&["0000000000000000"])).unwrap(), Some(0));
    }

    #[test]
    fn anything_else_is_refused() {
        let one = "00000000000000ff";
        for values in
            [&[""][..], &["ff"], &["+0000000000000ff"], &[one, one], &["0/16B3742A8000000"]]
        {
            let failure = read(&headers(values)).unwrap_err();
            assert_eq!(failure.code(), "edge.consistency.malformed", "{values:?}");
        }
    }
}
