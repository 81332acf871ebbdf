//! Front matter: the YAML (`---`) or TOML (`+++`) block at the head of a document.
//!
//! [`split`] cuts it off, [`parse`] reads it, [`write()`] makes the YAML form that
//! an export uses. Keys that mean nothing here are named, not refused: documents
//! come from many site generators. What the keys amount to is `document.rs`'s
//! business.

use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::limits::FRONT_MATTER_BYTES_MAX;

/// The language of a front matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Between `---` lines.
    Yaml,
    /// Between `+++` lines.
    Toml,
}

impl Language {
    const fn name(self) -> &'static str {
        match self {
            Self::Yaml => "YAML",
            Self::Toml => "TOML",
        }
    }
}

/// A document cut in two.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts<'text> {
    /// The front matter without its fences, if there is one.
    pub front: Option<(Language, &'text str)>,
    /// What follows.
    pub body: &'text str,
}

/// Why a front matter was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrontMatterError {
    /// The opening line has no closing one.
    #[error("the front matter opened by `{0}` on line 1 is never closed by a line `{0}`")]
    Unclosed(&'static str),
    /// Larger than [`FRONT_MATTER_BYTES_MAX`].
    #[error("the front matter has {0} bytes, at most {FRONT_MATTER_BYTES_MAX} are read")]
    TooLarge(usize),
    /// Not valid in its language, or a value of the wrong type.
    #[error("the {language} front matter cannot be read: {message}")]
    Syntax {
        /// `YAML` or `TOML`.
        language: &'static str,
        /// What the parser said, on one line.
        message: String,
    },
}

/// The keys that the blog understands, as they were written. Lists and strings
/// are not checked here.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct FrontMatter {
    /// The post's id, in a document that was exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// `draft`, `scheduled` or `published`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The other way to say `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<bool>,
    /// When it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// When it is to be published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_at: Option<String>,
    /// The tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The author's excerpt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// Whether readers may comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments: Option<bool>,
    /// Older slugs that lead here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirects: Option<Vec<String>>,
    /// Keys that mean nothing to the blog.
    #[serde(skip)]
    pub unused: Vec<String>,
}

/// Cuts a document into front matter and body. A byte order mark is dropped; one
/// blank line after the front matter belongs to the fence.
///
/// # Errors
/// [`FrontMatterError::Unclosed`] and [`FrontMatterError::TooLarge`].
pub fn split(document: &str) -> Result<Parts<'_>, FrontMatterError> {
    let document = document.strip_prefix('\u{feff}').unwrap_or(document);
    let first = document.split_inclusive('\n').next().unwrap_or("");
    let (language, fence) = match first.trim_end() {
        "---" => (Language::Yaml, "---"),
        "+++" => (Language::Toml, "+++"),
        _ => return Ok(Parts { front: None, body: document }),
    };
    let start = first.len();
    let mut end = start;
    for line in document[start..].split_inclusive('\n') {
        let after = end + line.len();
        let text = line.trim_end();
        if text == fence || (text == "..." && language == Language::Yaml) {
            let rest = &document[after..];
            let body =
                rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).unwrap_or(rest);
            return Ok(Parts { front: Some((language, &document[start..end])), body });
        }
        end = after;
        if end - start > FRONT_MATTER_BYTES_MAX {
            return Err(FrontMatterError::TooLarge(end - start));
        }
    }
    Err(FrontMatterError::Unclosed(fence))
}

/// Reads a front matter.
///
/// # Errors
/// [`FrontMatterError::Syntax`].
pub fn parse(language: Language, text: &str) -> Result<FrontMatter, FrontMatterError> {
    let fault = |message: String| FrontMatterError::Syntax {
        language: language.name(),
        message: message.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    if text.trim().is_empty() {
        return Ok(FrontMatter::default());
    }
    match language {
        Language::Yaml => serde_saphyr::from_str_with_options::<FrontMatter>(text, yaml_options())
            .map_err(|error| fault(error.to_string())),
        Language::Toml => {
            let table: toml::Table =
                toml::from_str(text).map_err(|error| fault(error.to_string()))?;
            FrontMatter::deserialize(dates_as_text(toml::Value::Table(table)))
                .map_err(|error| fault(error.to_string()))
        }
    }
}

/// The document of a front matter and a body, in the form that [`split`] and
/// [`parse`] read back.
#[must_use]
pub fn write(front: &FrontMatter, body: &str) -> String {
    let yaml = serde_saphyr::to_string(front)
        .expect("strings, booleans and lists of strings are always YAML");
    let mut document = String::with_capacity(yaml.len() + body.len() + 16);
    document.push_str("---\n");
    document.push_str(yaml.trim_end());
    document.push_str("\n---\n\n");
    document.push_str(body);
    document.push('\n');
    document
}

fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 20_000,
            max_nodes: 10_000,
            max_depth: 16,
            max_aliases: 64,
            max_anchors: 64,
            max_documents: 1,
        },
        with_snippet: false,
    }
}

fn dates_as_text(value: toml::Value) -> toml::Value {
    match value {
        toml::Value::Datetime(datetime) => toml::Value::String(datetime.to_string()),
        toml::Value::Array(list) => {
            toml::Value::Array(list.into_iter().map(dates_as_text).collect())
        }
        toml::Value::Table(table) => toml::Value::Table(
            table.into_iter().map(|(key, value)| (key, dates_as_text(value))).collect(),
        ),
        other => other,
    }
}

impl<'de> Deserialize<'de> for FrontMatter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FrontMatterVisitor)
    }
}

struct FrontMatterVisitor;

impl<'de> Visitor<'de> for FrontMatterVisitor {
    type Value = FrontMatter;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("keys and values, such as `title: …`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FrontMatter, A::Error> {
        let mut front = FrontMatter::default();
        let mut labels: Vec<String> = Vec::new();
        let mut labelled = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "id" => front.id = value(&mut map, &key)?,
                "title" => front.title = value(&mut map, &key)?,
                "slug" => front.slug = value(&mut map, &key)?,
                "status" => front.status = value(&mut map, &key)?,
                "draft" => front.draft = value(&mut map, &key)?,
                "date" | "published_at" => front.date = value(&mut map, &key)?,
                "publish_at" => front.publish_at = value(&mut map, &key)?,
                "excerpt" | "description" | "summary" => {
                    let text: Option<String> = value(&mut map, &key)?;
                    if key == "excerpt" || front.excerpt.is_none() {
                        front.excerpt = text;
                    }
                }
                "comments" => front.comments = value(&mut map, &key)?,
                "tags" | "categories" => {
                    if let Some(Labels(list)) = value(&mut map, &key)? {
                        labelled = true;
                        labels.extend(list);
                    }
                }
                "redirects" => {
                    front.redirects = value::<Labels, A>(&mut map, &key)?.map(|labels| labels.0);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    front.unused.push(key);
                }
            }
        }
        front.tags = labelled.then_some(labels);
        Ok(front)
    }
}

/// The next value, with its key in the error.
fn value<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    map: &mut A,
    key: &str,
) -> Result<Option<T>, A::Error> {
    map.next_value::<Option<T>>()
        .map_err(|error| de::Error::custom(format_args!("`{key}`: {error}")))
}

/// A list of strings, or one string with commas.
struct Labels(Vec<String>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LabelsVisitor)
    }
}

struct LabelsVisitor;

impl<'de> Visitor<'de> for LabelsVisitor {
    type Value = Labels;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of words, or words separated by commas")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Labels, E> {
        Ok(Labels(
            text.split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect(),
        ))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Labels, E> {
        Ok(Labels(Vec::new()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Labels, E> {
        Ok(Labels(vec![number.to_string()]))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Labels, E> {
        Ok(Labels(vec![number.to_string()]))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Labels, E> {
        Ok(Labels(vec![flag.to_string()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Labels, A::Error> {
        let mut list = Vec::new();
        while let Some(word) = seq.next_element::<String>()? {
            list.push(word);
        }
        Ok(Labels(list))
    }
}

#[cfg(test)]
#[path = "front_matter_tests.rs"]
mod tests;
