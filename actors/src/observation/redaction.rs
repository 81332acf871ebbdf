//! Masks secret fields of a message before it leaves its actor.

use serde_json::Value;

use crate::message::Message;

const MASK: &str = "[redacted]";

/// The message as JSON with every field on its redact list masked, at any depth.
///
/// A message that does not serialise shows its kind alone.
#[must_use]
pub fn redacted<M: Message>(message: &M) -> Value {
    match serde_json::to_value(message) {
        Ok(mut value) => {
            mask(&mut value, M::REDACT);
            value
        }
        Err(_) => Value::String(message.kind().to_owned()),
    }
}

fn mask(value: &mut Value, secrets: &[&str]) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if secrets.contains(&name.as_str()) && !field.is_null() {
                    *field = Value::String(MASK.to_owned());
                } else {
                    mask(field, secrets);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, secrets)),
        _ => {}
    }
}

/// The JSON text of a preview, cut to at most `bytes_max` bytes at a character border.
pub(crate) fn preview(value: &Value, bytes_max: usize) -> (String, bool) {
    let mut text = value.to_string();
    if text.len() <= bytes_max {
        return (text, false);
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    (text, true)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct SignIn {
        email: String,
        password: String,
        devices: Vec<Device>,
    }

    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Device {
        name: String,
        token: Option<String>,
    }

    crate::protocol! {
        enum Door("door", 1) redact ["password", "token"] {
            SignIn => bool,
        }
    }

    #[test]
    fn secret_fields_are_masked_at_any_depth() {
        let message = Door::SignIn(SignIn {
            email: "ada@example.org".into(),
            password: "correct horse".into(),
            devices: vec![
                Device { name: "desk".into(), token: Some("t0p".into()) },
                Device { name: "phone".into(), token: None },
            ],
        });
        let shown = redacted(&message).to_string();
        assert!(shown.contains("ada@example.org") && shown.contains("desk"));
        assert!(!shown.contains("correct horse") && !shown.contains("t0p"));
    }

    #[test]
    fn a_preview_ends_at_a_character() {
        let (text, cut) = preview(&Value::String("ééééé".into()), 4);
        assert!(cut);
        assert_eq!(text, "\"é");
    }
}
