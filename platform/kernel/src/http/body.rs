//! Reads a JSON body into a type and says where it is wrong.
//!
//! A body that is not JSON or has another shape is [`FailureKind::Malformed`] with a pointer to the
//! place. A string with a NUL character is refused as invalid: PostgreSQL cannot store it.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Failure, FailureKind};

/// Reads JSON. Unknown fields are refused by types with `deny_unknown_fields`.
///
/// # Errors
/// `kernel.body.malformed` with a JSON pointer to the place; `kernel.body.nul` for a string with a
/// NUL character.
pub fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(malformed("", "the body is empty; send a JSON document"));
    }
    if escapes_nul(body) {
        return Err(nul(body));
    }
    // The plain reader is the fast one; only a faulty body is read again to find the place.
    serde_json::from_slice(body).or_else(|_| locate(body))
}

fn locate<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value: T = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer_of(error.path());
        malformed(&pointer, &error.inner().to_string())
    })?;
    reader.end().map_err(|error| malformed("", &error.to_string()))?;
    Ok(value)
}

fn malformed(pointer: &str, detail: &str) -> Failure {
    Failure::new(
        FailureKind::Malformed,
        "kernel.body.malformed",
        "the body is not the JSON document this operation takes; see `errors` for the place",
    )
    .field(pointer, detail)
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => push_key(&mut pointer, key),
            Segment::Enum { variant } => push_key(&mut pointer, variant),
            Segment::Unknown => {}
        }
    }
    pointer
}

fn push_key(pointer: &mut String, key: &str) {
    pointer.push('/');
    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
}

/// Whether a string of the document holds an escaped NUL. Raw control characters are not JSON.
fn escapes_nul(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let escape = &rest[at + 1..];
        if escape.starts_with(b"u0000") {
            return true;
        }
        rest = escape.get(1..).unwrap_or_default();
    }
    false
}

fn nul(body: &[u8]) -> Failure {
    let pointer = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|value| {
            let mut pointer = String::new();
            find_nul(&value, &mut pointer).then_some(pointer)
        })
        .unwrap_or_default();
    Failure::invalid("kernel.body.nul", "text must not hold the NUL character (\\u0000); remove it")
        .field(pointer, "holds \\u0000")
}

/// Depth is bounded by the reader's own limit of 128 levels.
fn find_nul(value: &Value, pointer: &mut String) -> bool {
    let length = pointer.len();
    match value {
        Value::String(text) => return text.contains('\0'),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointer.push_str(&format!("/{index}"));
                if find_nul(item, pointer) {
                    return true;
                }
                pointer.truncate(length);
            }
        }
        Value::Object(fields) => {
            for (key, item) in fields {
                push_key(pointer, key);
                if key.contains('\0') || find_nul(item, pointer) {
                    return true;
                }
                pointer.truncate(length);
            }
        }
        _ => {}
    }
    false
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Post {
        title: String,
        #[serde(default)]
        tags: Vec<Tag>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Tag {
        name: String,
        weight: u8,
    }

    fn fault(body: &str) -> (String, String, FailureKind) {
        let failure = from_json::<Post>(body.as_bytes()).unwrap_err();
        let field = &failure.fields()[0];
        (field.pointer.clone(), field.detail.clone(), failure.kind())
    }

    #[test]
    fn a_body_is_read_into_its_type() {
        let post: Post =
            from_json(br#"{"title":"A \\u0000 b","tags":[{"name":"x","weight":1}]}"#).unwrap();
        assert_eq!(post.title, "A \\u0000 b");
        assert_eq!(post.tags[0].weight, 1);
    }

    #[test]
    fn the_place_of_a_fault_is_named() {
        let (pointer, detail, kind) = fault(r#"{"title":"a","tags":[{"name":"x","weight":"1"}]}"#);
        assert_eq!((pointer.as_str(), kind), ("/tags/0/weight", FailureKind::Malformed));
        assert!(detail.contains("expected u8"), "{detail}");
        let (pointer, detail, _) = fault(r#"{"title":"a","tags":[{"name":"x","wieght":1}]}"#);
        assert_eq!(pointer, "/tags/0/wieght");
        assert!(detail.contains("unknown field"), "{detail}");
        assert_eq!(fault("").0, "");
        assert!(fault("{").1.contains("EOF"));
        assert!(fault(r#"{"title":"a"} {"#).1.contains("trailing"));
        assert!(fault("{}").1.contains("missing field `title`"));
    }

    #[test]
    fn a_nul_character_is_refused_with_its_place() {
        let (pointer, _, kind) = fault(r#"{"title":"a","tags":[{"name":"x\u0000","weight":1}]}"#);
        assert_eq!((pointer.as_str(), kind), ("/tags/0/name", FailureKind::Invalid));
        assert_eq!(fault(r#"{"ti\u0000":1}"#).2, FailureKind::Invalid);
    }

    #[test]
    fn deep_nesting_is_refused_without_a_crash() {
        let deep = "[".repeat(100_000);
        assert_eq!(from_json::<Value>(deep.as_bytes()).unwrap_err().kind(), FailureKind::Malformed);
    }
}
