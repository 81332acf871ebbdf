//! Conditional reads: `If-None-Match` turns an answer the caller already has into 304 (RFC 9110).

use http::header::{self, HeaderMap};
use http::{Method, StatusCode};
use troupe_kernel::HttpResponse;

/// Fields that a 304 keeps (RFC 9110, section 15.4.5); the rest described the body.
const ABOUT_BODY: [header::HeaderName; 3] =
    [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING];

/// Turns a successful read into 304 when the caller has this version.
pub(crate) fn apply(method: &Method, headers: &HeaderMap, response: &mut HttpResponse) {
    let readable = matches!(*method, Method::GET | Method::HEAD);
    if !readable || response.status != StatusCode::OK {
        return;
    }
    let Some(tag) = response.headers.get(header::ETAG).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|field| matches(field, tag));
    if known {
        response.status = StatusCode::NOT_MODIFIED;
        response.body = bytes::Bytes::new();
        for name in ABOUT_BODY {
            response.headers.remove(name);
        }
    }
}

/// Weak comparison of a list of tags with one; a tag may hold commas.
fn matches(field: &str, tag: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let wanted = opaque(tag);
    let mut rest = field.trim();
    if rest == "*" {
        return true;
    }
    while !rest.is_empty() {
        let weak = rest.strip_prefix("W/").unwrap_or(rest);
        let Some(inner) = weak.strip_prefix('"') else { return false };
        let Some(end) = inner.find('"') else { return false };
        if wanted == weak[..end + 2] {
            return true;
        }
        rest = inner[end + 1..].trim_start_matches([',', ' ', '\t']);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly_and_whole() {
        for (field, tag, expected) in [
            ("\"1\"", "\"1\"", true),
            ("W/\"1\"", "\"1\"", true),
            ("\"0\", \"1\"", "W/\"1\"", true),
            ("\"a,b\",\"1\"", "\"1\"", true),
            ("*", "\"1\"", true),
            ("\"11\"", "\"1\"", false),
            ("1", "\"1\"", false),
            ("\"1", "\"1\"", false),
            ("", "\"1\"", false),
        ] {
            assert_eq!(matches(field, tag), expected, "{field} {tag}");
        }
    }

    #[test]
    fn a_change_is_never_answered_with_304() {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, "*".parse().unwrap());
        let answer = || HttpResponse::ok(&1).etag(1);
        for (method, expected) in [
            (Method::GET, StatusCode::NOT_MODIFIED),
            (Method::HEAD, StatusCode::NOT_MODIFIED),
            (Method::PUT, StatusCode::OK),
        ] {
            let mut response = answer();
            apply(&method, &headers, &mut response);
            assert_eq!(response.status, expected, "{method}");
            assert!(response.headers.contains_key(header::ETAG));
        }
    }
}
