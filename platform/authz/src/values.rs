//! Values on their way into a condition and out into an explanation, with secrets taken out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cel::objects::{Key, Map};
use cel::{ExecutionError, Value};

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";
/// Longest text an explanation shows, in characters.
const SHOWN_CHARACTERS_MAX: usize = 120;
/// Most entries of a list or map that an explanation shows.
const SHOWN_ENTRIES_MAX: usize = 16;
/// A field whose name contains one of these is never shown.
const SECRET_WORDS: &[&str] = &[
    "password",
    "secret",
    "token",
    "credential",
    "authorization",
    "cookie",
    "private",
    "api_key",
    "apikey",
    "passphrase",
];

/// A text value.
#[must_use]
pub fn text(value: &str) -> Value {
    Value::String(Arc::new(value.to_owned()))
}

/// A text value, or null.
#[must_use]
pub fn optional(value: Option<String>) -> Value {
    value.map_or(Value::Null, |value| Value::String(Arc::new(value)))
}

/// A map value.
#[must_use]
pub fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let entries: HashMap<Key, Value> =
        entries.into_iter().map(|(name, value)| (Key::from(name), value)).collect();
    Value::Map(Map { map: Arc::new(entries) })
}

/// A JSON value as the language sees it.
#[must_use]
pub fn from_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => number.as_i64().map_or_else(
            || {
                number
                    .as_u64()
                    .map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)), Value::UInt)
            },
            Value::Int,
        ),
        serde_json::Value::String(value) => text(value),
        serde_json::Value::Array(items) => {
            Value::List(Arc::new(items.iter().map(from_json).collect()))
        }
        serde_json::Value::Object(entries) => {
            let entries: HashMap<Key, Value> = entries
                .iter()
                .map(|(name, value)| (Key::from(name.as_str()), from_json(value)))
                .collect();
            Value::Map(Map { map: Arc::new(entries) })
        }
    }
}

/// Named JSON values as the language sees them.
#[must_use]
pub fn from_attributes(attributes: &BTreeMap<String, serde_json::Value>) -> Value {
    let entries: HashMap<Key, Value> = attributes
        .iter()
        .map(|(name, value)| (Key::from(name.as_str()), from_json(value)))
        .collect();
    Value::Map(Map { map: Arc::new(entries) })
}

/// A value as an explanation shows it: secrets redacted, long things cut.
#[must_use]
pub fn shown(path: &str, value: &Value) -> serde_json::Value {
    // The key of a permission is no secret, whatever words it has.
    if !path.starts_with("permitted(") && path.split('.').any(is_secret) {
        return REDACTED.into();
    }
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::UInt(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::String(value) => cut(value).into(),
        Value::List(items) => {
            items.iter().take(SHOWN_ENTRIES_MAX).map(|item| shown("", item)).collect()
        }
        Value::Map(entries) => {
            let mut names: Vec<_> = entries.map.iter().collect();
            names.sort_by(|a, b| a.0.cmp(b.0));
            names
                .into_iter()
                .take(SHOWN_ENTRIES_MAX)
                .map(|(name, value)| {
                    let name = name.to_string();
                    let value = shown(&name, value);
                    (name, value)
                })
                .collect()
        }
        other => format!("({})", other.type_of()).into(),
    }
}

/// An evaluation error without the values it holds, which may be secret.
#[must_use]
pub fn describe_error(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("there is no field `{name}`"),
        ExecutionError::UndeclaredReference(name) => format!("`{name}` is not declared"),
        ExecutionError::NoSuchOverload(_)
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::ValuesNotComparable(..)
        | ExecutionError::UnexpectedType { .. } => {
            "the operator does not take values of these types".to_owned()
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "the number is too large".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "the index is out of bounds".to_owned(),
        _ => "it could not be evaluated".to_owned(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_redacted_at_any_depth() {
        let value =
            from_json(&json!({"status": "draft", "access_token": "abc", "inner": {"Password": 1}}));
        assert_eq!(
            shown("resource.attributes", &value),
            json!({"status": "draft", "access_token": REDACTED, "inner": {"Password": REDACTED}})
        );
        assert_eq!(shown("resource.attributes.secret_question", &text("x")), json!(REDACTED));
    }

    #[test]
    fn json_survives_the_way_in_and_out() {
        let value = json!({"a": [1, 2.5, true, null, "x"], "big": u64::MAX});
        assert_eq!(shown("", &from_json(&value)), value);
    }

    #[test]
    fn long_texts_are_cut() {
        let long = "é".repeat(500);
        let shown = shown("action", &text(&long));
        assert_eq!(shown.as_str().map(|text| text.chars().count()), Some(SHOWN_CHARACTERS_MAX + 1));
    }
}
