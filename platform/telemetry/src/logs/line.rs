//! One log line as bytes: JSON for machines, one line of text for people.
//!
//! A line is always one line: control characters that came from outside are escaped, so that
//! nobody can write a line of their own into the log.

use serde_json::Value;
use tracing::{Level, Metadata};
use troupe_kernel::clock::Timestamp;

use super::fields::Fields;
use super::layer::Ids;

/// The form of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Json,
    Pretty { colour: bool },
}

/// Names that a line has of its own; a field of the same name gets an underscore.
const RESERVED: [&str; 4] = ["time", "level", "target", "message"];

/// What a line is made of.
pub(crate) struct Line<'a> {
    pub(crate) time: Timestamp,
    pub(crate) metadata: &'static Metadata<'static>,
    pub(crate) event: &'a Fields,
    /// Fields of the spans around it; of two with one name, the inner one's.
    pub(crate) spans: &'a [(&'static str, Value)],
    pub(crate) ids: &'a Ids,
}

impl Line<'_> {
    /// The bytes, with the line break.
    pub(crate) fn bytes(&self, style: Style) -> Vec<u8> {
        let mut text = match style {
            Style::Json => self.json(),
            Style::Pretty { colour } => self.pretty(colour),
        };
        text.push('\n');
        text.into_bytes()
    }

    fn json(&self) -> String {
        let mut text = String::with_capacity(256);
        text.push('{');
        put(&mut text, "time", &Value::String(self.time.to_string()));
        let level = self.metadata.level().as_str().to_ascii_lowercase();
        put(&mut text, "level", &Value::String(level));
        put(&mut text, "target", &Value::String(self.metadata.target().to_owned()));
        put(&mut text, "message", &Value::String(self.event.message.clone()));
        for (name, value) in self.rest() {
            if RESERVED.contains(&name) {
                put(&mut text, &format!("{name}_"), &value);
            } else {
                put(&mut text, name, &value);
            }
        }
        text.push('}');
        text
    }

    fn pretty(&self, colour: bool) -> String {
        let time = self.time.to_string();
        // The time of day is enough for a person who watches.
        let time = time.split('T').nth(1).and_then(|time| time.get(..12)).unwrap_or(&time);
        let level = *self.metadata.level();
        let (dim, paint, plain) = match (colour, level) {
            (false, _) => ("", "", ""),
            (true, Level::ERROR) => ("\x1b[2m", "\x1b[31m", "\x1b[0m"),
            (true, Level::WARN) => ("\x1b[2m", "\x1b[33m", "\x1b[0m"),
            (true, Level::INFO) => ("\x1b[2m", "\x1b[32m", "\x1b[0m"),
            (true, _) => ("\x1b[2m", "\x1b[34m", "\x1b[0m"),
        };
        let target = self.metadata.target();
        let mut text =
            format!("{dim}{time}{plain} {paint}{level:>5}{plain} {dim}{target}:{plain} ");
        escape(&mut text, &self.event.message);
        for (name, value) in self.rest() {
            text.push_str(&format!(" {dim}{name}={plain}"));
            match value {
                Value::String(value) => escape(&mut text, &value),
                other => text.push_str(&other.to_string()),
            }
        }
        text
    }

    /// The fields of the event, those of the spans that it does not have itself, and the ids.
    fn rest(&self) -> Vec<(&'static str, Value)> {
        let mut rest: Vec<(&'static str, Value)> = Vec::new();
        let ids = self.ids.pairs().into_iter().map(|(name, id)| (name, Value::String(id)));
        for (name, value) in self.event.named.iter().chain(self.spans).cloned().chain(ids) {
            if !rest.iter().any(|(known, _)| *known == name) {
                rest.push((name, value));
            }
        }
        rest
    }
}

fn put(text: &mut String, name: &str, value: &Value) {
    if !text.ends_with('{') {
        text.push(',');
    }
    text.push_str(&Value::String(name.to_owned()).to_string());
    text.push(':');
    text.push_str(&value.to_string());
}

fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
}
