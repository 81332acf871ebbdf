//! Markdown to the two texts that are stored beside it: sanitised HTML for
//! readers and plain text for search and excerpts.
//!
//! Invariant: [`Rendered::html`] has passed the sanitiser and contains no script,
//! no event handler, no style but text alignment in tables, no `data:` or
//! `javascript:` address, and no element id outside the `user-content-` space. It is made once at
//! save; readers get it as it is stored. The work is linear in practice but not
//! free (about 40 ms for the largest body): callers on a runtime thread move it
//! to the blocking pool.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use ammonia::Builder;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};

use super::limits::BODY_BYTES_MAX;
use super::nesting::{self, BLOCKS_MAX, TAGS_MAX};
use super::slug::slugify;

/// Every id in the rendered HTML begins with this, so that no document can name
/// an element that a page or a script relies on.
const ID_PREFIX: &str = "user-content-";

/// Why a body was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Larger than [`BODY_BYTES_MAX`].
    #[error("the body has {0} bytes, at most {BODY_BYTES_MAX} are kept")]
    TooLarge(usize),
    /// Contains U+0000, which neither HTML nor PostgreSQL can hold.
    #[error("the body contains a NUL character")]
    Nul,
    /// Lists, quotes or HTML elements inside each other too often.
    #[error("the body nests deeper than {BLOCKS_MAX} blocks or {TAGS_MAX} HTML elements")]
    Nesting,
}

/// A body in the forms that are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Sanitised HTML.
    pub html: String,
    /// The text without markup, blocks separated by line ends.
    pub plain: String,
}

/// The first heading of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// Its text without markup, white space folded.
    pub text: String,
    /// Where it stands in the source.
    pub range: Range<usize>,
    /// Whether nothing precedes it.
    pub leads: bool,
}

/// The form in which a body is stored: LF line ends, no blank lines before or
/// after it.
///
/// # Errors
/// [`BodyError`] when it is too large or contains U+0000.
pub fn normalise(body: &str) -> Result<String, BodyError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(BodyError::TooLarge(body.len()));
    }
    if body.contains('\0') {
        return Err(BodyError::Nul);
    }
    let body = if body.contains('\r') {
        Cow::Owned(body.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(body)
    };
    let mut start = 0;
    for line in body.split_inclusive('\n') {
        if !line.trim().is_empty() {
            break;
        }
        start += line.len();
    }
    Ok(body[start..].trim_end().to_owned())
}

/// Renders a post.
///
/// # Errors
/// [`BodyError::Nesting`].
pub fn render(body: &str) -> Result<Rendered, BodyError> {
    let mut events: Vec<Event<'_>> = Parser::new_ext(body, options()).collect();
    if !nesting::is_bounded(&events) {
        return Err(BodyError::Nesting);
    }
    let plain = plain_text(&events);
    name_headings(&mut events);
    let mut unsafe_html = String::with_capacity(body.len() + body.len() / 2);
    html::push_html(&mut unsafe_html, events.into_iter());
    Ok(Rendered { html: POST.clean(&unsafe_html).to_string(), plain })
}

/// Renders a comment: emphasis, code, lists, quotes and links only; raw HTML is
/// shown as text, and links tell search engines not to follow them.
///
/// # Errors
/// [`BodyError::Nesting`].
pub fn render_comment(body: &str) -> Result<String, BodyError> {
    let events: Vec<Event<'_>> = Parser::new_ext(body, Options::ENABLE_STRIKETHROUGH)
        .map(|event| match event {
            Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
            Event::SoftBreak => Event::HardBreak,
            other => other,
        })
        .collect();
    if !nesting::is_bounded(&events) {
        return Err(BodyError::Nesting);
    }
    let mut unsafe_html = String::with_capacity(body.len() * 2);
    html::push_html(&mut unsafe_html, events.into_iter());
    Ok(COMMENT.clean(&unsafe_html).to_string())
}

/// The number of links in a comment, for the spam rule.
#[must_use]
pub fn count_links(body: &str) -> usize {
    let lower = body.to_ascii_lowercase();
    lower.matches("http://").count() + lower.matches("https://").count()
}

/// The first heading, at whatever level and place.
#[must_use]
pub fn first_heading(body: &str) -> Option<Heading> {
    let mut leads = true;
    let mut found: Option<Heading> = None;
    for (event, range) in Parser::new_ext(body, options()).into_offset_iter() {
        match (&mut found, event) {
            (None, Event::Start(Tag::Heading { .. })) => {
                found = Some(Heading { text: String::new(), range, leads });
            }
            (None, _) => leads = false,
            (Some(_), Event::End(TagEnd::Heading(_))) => break,
            (Some(heading), event) => push_text(&mut heading.text, &event),
        }
    }
    let mut heading = found?;
    heading.text = heading.text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!heading.text.is_empty()).then_some(heading)
}

fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
}

fn plain_text(events: &[Event<'_>]) -> String {
    let mut plain = String::new();
    for event in events {
        push_text(&mut plain, event);
        if let Event::End(tag) = event
            && ends_a_block(tag)
            && !plain.is_empty()
            && !plain.ends_with('\n')
        {
            plain.push('\n');
        }
    }
    let kept = plain.trim_end().len();
    plain.truncate(kept);
    plain
}

fn push_text(target: &mut String, event: &Event<'_>) {
    match event {
        Event::Text(text) | Event::Code(text) => target.push_str(text),
        Event::SoftBreak | Event::HardBreak => target.push(' '),
        _ => {}
    }
}

fn ends_a_block(tag: &TagEnd) -> bool {
    matches!(
        tag,
        TagEnd::Paragraph
            | TagEnd::Heading(_)
            | TagEnd::CodeBlock
            | TagEnd::Item
            | TagEnd::TableCell
            | TagEnd::FootnoteDefinition
    )
}

/// Gives each heading the id of its text, so that a table of contents can link to it.
fn name_headings(events: &mut [Event<'_>]) {
    let mut used: HashMap<String, usize> = HashMap::new();
    for index in 0..events.len() {
        if !matches!(events[index], Event::Start(Tag::Heading { .. })) {
            continue;
        }
        let mut text = String::new();
        for event in &events[index + 1..] {
            if matches!(event, Event::End(TagEnd::Heading(_))) {
                break;
            }
            push_text(&mut text, event);
        }
        let base = slugify(&text);
        let count = used.entry(base.clone()).or_insert(0);
        *count += 1;
        let name = if *count == 1 { base } else { format!("{base}-{count}") };
        if let Event::Start(Tag::Heading { id, .. }) = &mut events[index] {
            *id = Some(name.into());
        }
    }
}

static POST: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .rm_tags(["area", "map", "nav", "header", "footer", "hgroup"])
        .add_tags(["input"])
        .add_generic_attributes(["id"])
        .id_prefix(Some(ID_PREFIX))
        .add_tag_attributes("input", ["checked"])
        .set_tag_attribute_value("input", "type", "checkbox")
        .set_tag_attribute_value("input", "disabled", "")
        .add_tag_attributes("code", ["class"])
        .add_tag_attributes("sup", ["class"])
        .add_tag_attributes("div", ["class"])
        .add_tag_attributes("td", ["style"])
        .add_tag_attributes("th", ["style"])
        .filter_style_properties(HashSet::from(["text-align"]))
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .link_rel(Some("noopener noreferrer"))
        .attribute_filter(keep_attribute);
    builder
});

static COMMENT: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from([
            "a",
            "blockquote",
            "br",
            "code",
            "del",
            "em",
            "li",
            "ol",
            "p",
            "pre",
            "strong",
            "ul",
        ]))
        .add_tag_attributes("a", ["href"])
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .link_rel(Some("nofollow ugc noopener noreferrer"));
    builder
});

/// Keeps the classes that the renderer itself writes, and points links inside
/// the document to the prefixed ids.
fn keep_attribute<'value>(
    element: &str,
    attribute: &str,
    value: &'value str,
) -> Option<Cow<'value, str>> {
    match (element, attribute) {
        ("code", "class") => {
            let language = value.strip_prefix("language-")?;
            let plain = language
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '#' | '.'));
            (plain && language.len() <= 40).then_some(Cow::Borrowed(value))
        }
        ("sup", "class") => matches!(value, "footnote-reference" | "footnote-definition-label")
            .then_some(Cow::Borrowed(value)),
        ("div", "class") => (value == "footnote-definition").then_some(Cow::Borrowed(value)),
        ("a", "href") => match value.strip_prefix('#') {
            Some(target) if !target.starts_with(ID_PREFIX) => {
                Some(Cow::Owned(format!("#{ID_PREFIX}{target}")))
            }
            _ => Some(Cow::Borrowed(value)),
        },
        _ => Some(Cow::Borrowed(value)),
    }
}

#[cfg(test)]
#[path = "markdown_tests.rs"]
mod tests;
