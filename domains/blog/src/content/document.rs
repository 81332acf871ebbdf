//! A post as a file: what an import reads and an export writes.
//!
//! Invariant (tested by property): reading what [`write()`] wrote gives the same
//! title, slug, state, times, tags, excerpt, comment switch, redirects and body.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use sha2::{Digest, Sha256};
use thiserror::Error;
use troupe_kernel::clock::Timestamp;
use uuid::Uuid;

use super::front_matter::{self, FrontMatter, FrontMatterError};
use super::limits::{DOCUMENT_BYTES_MAX, EXCERPT_CHARACTERS_MAX};
use super::markdown::{self, BodyError};
use super::source_path::{self, PathError};
use super::status::PostStatus;
use super::tags::{self, TagError};
use super::title::{self, TitleError};
use super::{excerpt, slug};

/// The most old slugs that one document may claim.
pub const REDIRECTS_MAX: usize = 20;

/// A document as it was read: checked and normalised, not yet compared with
/// what is stored. `None` means that the document does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The id of the post that it was exported from.
    pub id: Option<Uuid>,
    /// The title; from the first heading or the file name when not given.
    pub title: String,
    /// The slug.
    pub slug: Option<String>,
    /// The state.
    pub status: Option<PostStatus>,
    /// When it was published.
    pub published_at: Option<Timestamp>,
    /// When it is to be published.
    pub publish_at: Option<Timestamp>,
    /// The tags.
    pub tags: Option<Vec<String>>,
    /// The author's excerpt. A front matter without one means none.
    pub excerpt: Option<String>,
    /// Whether readers may comment.
    pub comments: Option<bool>,
    /// Older slugs that lead here.
    pub redirects: Vec<String>,
    /// The Markdown body in its stored form.
    pub body: String,
    /// What was read but not used, one sentence each.
    pub warnings: Vec<String>,
}

/// The parts of a post that an export writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedPost {
    /// The id.
    pub id: Uuid,
    /// The title.
    pub title: String,
    /// The slug.
    pub slug: String,
    /// The state.
    pub status: PostStatus,
    /// When it was published, if it ever was.
    pub published_at: Option<Timestamp>,
    /// When it is to be published.
    pub publish_at: Option<Timestamp>,
    /// The tags.
    pub tags: Vec<String>,
    /// The author's excerpt.
    pub excerpt: Option<String>,
    /// Whether readers may comment.
    pub comments: bool,
    /// Older slugs that lead here, oldest first.
    pub redirects: Vec<String>,
    /// The Markdown body.
    pub body: String,
}

/// Why a document was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// The path breaks its rule.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Larger than [`DOCUMENT_BYTES_MAX`].
    #[error("the document has {0} bytes, at most {DOCUMENT_BYTES_MAX} are read")]
    TooLarge(usize),
    /// The front matter cannot be read.
    #[error(transparent)]
    FrontMatter(#[from] FrontMatterError),
    /// The title breaks its rule.
    #[error(transparent)]
    Title(#[from] TitleError),
    /// A tag breaks its rule.
    #[error(transparent)]
    Tags(#[from] TagError),
    /// The body breaks its rule.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The excerpt is too long.
    #[error("the excerpt has {0} characters, at most {EXCERPT_CHARACTERS_MAX} are kept")]
    Excerpt(usize),
    /// An unknown state.
    #[error("`status: {0}` is none of draft, scheduled, published")]
    Status(String),
    /// A time that cannot be read.
    #[error("`{key}: {value}` is not a date; write 2026-01-31 or 2026-01-31T09:30:00Z")]
    Time {
        /// `date` or `publish_at`.
        key: &'static str,
        /// What was written.
        value: String,
    },
    /// `status: scheduled` without a time.
    #[error("`status: scheduled` needs `publish_at`")]
    Unscheduled,
    /// More than [`REDIRECTS_MAX`] redirects.
    #[error("a document has at most {REDIRECTS_MAX} redirects, not {0}")]
    Redirects(usize),
}

impl DocumentError {
    /// The field of the import request that the error is about.
    #[must_use]
    pub const fn pointer(&self) -> &'static str {
        match self {
            Self::Path(_) => "/path",
            _ => "/content",
        }
    }
}

/// Reads a document.
///
/// # Errors
/// The first rule that it breaks.
pub fn read(path: &str, content: &str) -> Result<Document, DocumentError> {
    source_path::check(path)?;
    if content.len() > DOCUMENT_BYTES_MAX {
        return Err(DocumentError::TooLarge(content.len()));
    }
    let parts = front_matter::split(content)?;
    let front = match parts.front {
        Some((language, text)) => front_matter::parse(language, text)?,
        None => FrontMatter::default(),
    };
    let mut warnings: Vec<String> =
        front.unused.iter().map(|key| format!("`{key}` is not used")).collect();
    let mut body = markdown::normalise(parts.body)?;
    let title = match front.title.as_deref().map(title::normalise) {
        None | Some(Err(TitleError::Empty)) => derived_title(path, &mut body),
        Some(given) => given?,
    };
    let slug = given_slug(front.slug.as_deref(), &mut warnings);
    let id = given_id(front.id.as_deref(), &mut warnings);
    let publish_at = time("publish_at", front.publish_at.as_deref())?;
    let status = status(&front, publish_at)?;
    Ok(Document {
        id,
        title,
        slug,
        status,
        published_at: time("date", front.date.as_deref())?,
        publish_at: publish_at.filter(|_| status == Some(PostStatus::Scheduled)),
        tags: front.tags.as_deref().map(tags::normalise).transpose()?,
        excerpt: match front.excerpt.as_deref() {
            Some(text) => excerpt::given(text).map_err(DocumentError::Excerpt)?,
            None => None,
        },
        comments: front.comments,
        redirects: redirects(front.redirects.unwrap_or_default(), &mut warnings)?,
        body,
        warnings,
    })
}

/// Writes a post as a document.
#[must_use]
pub fn write(post: &ExportedPost) -> String {
    let front = FrontMatter {
        id: Some(post.id.to_string()),
        title: Some(post.title.clone()),
        slug: Some(post.slug.clone()),
        status: Some(post.status.as_str().to_owned()),
        draft: None,
        date: post.published_at.map(|time| time.to_string()),
        publish_at: post.publish_at.map(|time| time.to_string()),
        tags: Some(post.tags.clone()),
        excerpt: post.excerpt.clone(),
        comments: Some(post.comments),
        redirects: (!post.redirects.is_empty()).then(|| post.redirects.clone()),
        unused: Vec::new(),
    };
    front_matter::write(&front, &post.body)
}

/// The SHA-256 of a document in hexadecimal: what tells an unchanged file.
#[must_use]
pub fn digest(content: &str) -> String {
    hex(&Sha256::digest(content.as_bytes()))
}

/// Bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
    }
    text
}

/// A date or a time in one of the forms that site generators write. Without an
/// offset it is UTC.
#[must_use]
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(Timestamp::from_datetime(time.to_utc()));
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M %z"] {
        if let Ok(time) = DateTime::parse_from_str(text, format) {
            return Some(Timestamp::from_datetime(time.to_utc()));
        }
    }
    for format in
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
    {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Some(Timestamp::from_datetime(time.and_utc()));
        }
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(Timestamp::from_datetime(date.and_time(NaiveTime::MIN).and_utc()))
}

/// The first heading, or the file's name. A heading that leads the body leaves
/// it, because the page shows the title above the body.
fn derived_title(path: &str, body: &mut String) -> String {
    if let Some(heading) = markdown::first_heading(body)
        && let Some(title) = title::derive(&heading.text)
    {
        if heading.leads {
            let rest = markdown::normalise(&body[heading.range.end..])
                .expect("a part of a valid body is valid");
            *body = rest;
        }
        return title;
    }
    let name = source_path::stem(path).replace(['-', '_'], " ");
    title::derive(&name).unwrap_or_else(|| source_path::stem(path).to_owned())
}

fn given_slug(given: Option<&str>, warnings: &mut Vec<String>) -> Option<String> {
    let given = given?.trim();
    if slug::is_slug(given) {
        return Some(given.to_owned());
    }
    let last = given.trim_matches('/').rsplit('/').next().unwrap_or("");
    if !last.chars().any(char::is_alphanumeric) {
        warnings.push("`slug` has no letter or digit and is not used".to_owned());
        return None;
    }
    let slug = slug::slugify(last);
    warnings.push(format!("`slug` is not a slug; `{slug}` is used"));
    Some(slug)
}

fn given_id(given: Option<&str>, warnings: &mut Vec<String>) -> Option<Uuid> {
    let given = given?;
    match Uuid::parse_str(given.trim()) {
        Ok(id) => Some(id),
        Err(_) => {
            warnings.push("`id` is not the id of a post and is not used".to_owned());
            None
        }
    }
}

fn status(
    front: &FrontMatter,
    publish_at: Option<Timestamp>,
) -> Result<Option<PostStatus>, DocumentError> {
    let stated = match front.status.as_deref().map(str::trim) {
        Some("publish" | "public") => Some(PostStatus::Published),
        Some(name) => Some(
            PostStatus::parse(&name.to_ascii_lowercase())
                .ok_or_else(|| DocumentError::Status(name.to_owned()))?,
        ),
        None => {
            front.draft.map(|draft| if draft { PostStatus::Draft } else { PostStatus::Published })
        }
    };
    match (stated, publish_at) {
        (Some(PostStatus::Scheduled), None) => Err(DocumentError::Unscheduled),
        (None, Some(_)) => Ok(Some(PostStatus::Scheduled)),
        (stated, _) => Ok(stated),
    }
}

fn time(key: &'static str, given: Option<&str>) -> Result<Option<Timestamp>, DocumentError> {
    let Some(given) = given.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match parse_time(given) {
        Some(time) => Ok(Some(time)),
        None => Err(DocumentError::Time { key, value: given.to_owned() }),
    }
}

fn redirects(given: Vec<String>, warnings: &mut Vec<String>) -> Result<Vec<String>, DocumentError> {
    if given.len() > REDIRECTS_MAX {
        return Err(DocumentError::Redirects(given.len()));
    }
    let mut list: Vec<String> = Vec::with_capacity(given.len());
    for redirect in given {
        if !slug::is_slug(&redirect) {
            warnings.push("a redirect that is not a slug is not used".to_owned());
        } else if !list.contains(&redirect) {
            list.push(redirect);
        }
    }
    Ok(list)
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
