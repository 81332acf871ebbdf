//! The fields of an event or a span, collected and bounded.

use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};

/// Fields that one event or span may have.
const FIELDS_MAX: usize = 32;
/// Bytes of one value.
const VALUE_BYTES_MAX: usize = 8 * 1024;
/// The field that is the message itself.
const MESSAGE: &str = "message";

/// The fields of one event or span.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    pub(crate) message: String,
    pub(crate) named: Vec<(&'static str, Value)>,
}

impl Fields {
    /// The value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.named.iter().find_map(|(known, value)| (*known == name).then_some(value))
    }

    fn add(&mut self, field: &Field, value: Value) {
        if let Some(known) = self.named.iter_mut().find(|(name, _)| *name == field.name()) {
            known.1 = value;
        } else if self.named.len() < FIELDS_MAX {
            self.named.push((field.name(), value));
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = cut(format!("{value:?}"));
        if field.name() == MESSAGE {
            self.message = text;
        } else {
            self.add(field, Value::String(text));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.message = cut(value.to_owned());
        } else {
            self.add(field, Value::String(cut(value.to_owned())));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        self.add(field, Value::String(cut(text)));
    }
}

fn cut(mut text: String) -> String {
    if text.len() > VALUE_BYTES_MAX {
        let mut end = VALUE_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_at_a_character() {
        let text = cut("é".repeat(VALUE_BYTES_MAX));
        assert!(text.len() <= VALUE_BYTES_MAX + '…'.len_utf8());
        assert!(text.ends_with("é…"));
        assert_eq!(cut("short".to_owned()), "short");
    }
}
