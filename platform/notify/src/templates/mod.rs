//! Mail templates: a text and an HTML part per name and language, the built-in ones overlaid by a
//! directory.
//!
//! A text part begins with `Subject: …` and an empty line. HTML parts extend `layout.html` and escape
//! every value. A variable that the data of a mail does not have is an error, not an empty place.
//! Besides the data a template sees `product`, `public_url`, `locale` and (in HTML) `subject`; the
//! filter `date_time` shows an RFC 3339 time for people.

mod embedded;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Map, Value};
use troupe_kernel::{Mail, Timestamp};

use crate::error::TemplateFault;

/// The language of the built-in templates that is always there.
const LAST_LOCALE: &str = "en";
const LAYOUT: &str = "layout.html";
const SUBJECT: &str = "Subject:";
/// A file of templates larger than this is refused.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// A longer subject is cut.
const SUBJECT_CHARS_MAX: usize = 200;

/// What every mail says about its sender.
#[derive(Debug, Clone)]
pub struct Branding {
    /// Name of the product.
    pub product: String,
    /// Address of the product.
    pub public_url: String,
    /// Language when a mail's own has no template.
    pub default_locale: String,
}

/// A mail ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The subject, one line.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// The language it is in.
    pub locale: String,
}

/// All templates of a node.
#[derive(Debug)]
pub struct TemplateSet {
    environment: Environment<'static>,
    /// Names to languages.
    names: BTreeMap<String, BTreeSet<String>>,
    branding: Branding,
}

impl TemplateSet {
    /// The built-in templates.
    ///
    /// # Errors
    /// A faulty template, which the tests of this crate find.
    pub fn builtin(branding: Branding) -> Result<Self, TemplateFault> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| {
            if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
        });
        environment.add_filter("date_time", date_time);
        let mut set = Self { environment, names: BTreeMap::new(), branding };
        set.add(LAYOUT, embedded::LAYOUT)?;
        for template in embedded::TEMPLATES {
            set.add_text(template.locale, template.name, template.text)?;
            set.add_html(template.locale, template.name, template.html)?;
        }
        Ok(set)
    }

    /// Puts the templates of a directory over those there are.
    ///
    /// # Errors
    /// A directory that cannot be read, a faulty template, a part without the other.
    pub fn overlay(&mut self, directory: &Path) -> Result<(), TemplateFault> {
        for entry in entries(directory)? {
            let (path, file) = entry;
            if path.is_dir() {
                self.overlay_locale(&file, &path)?;
            } else if file == LAYOUT {
                self.add(LAYOUT, &read(&path)?)?;
            }
        }
        self.check_complete()
    }

    fn overlay_locale(&mut self, locale: &str, directory: &Path) -> Result<(), TemplateFault> {
        let locale = locale.to_ascii_lowercase();
        for (path, file) in entries(directory)? {
            if let Some(name) = file.strip_suffix(".txt") {
                self.add_text(&locale, name, &read(&path)?)?;
            } else if let Some(name) = file.strip_suffix(".html") {
                self.add_html(&locale, name, &read(&path)?)?;
            }
        }
        Ok(())
    }

    /// Names and languages of all templates.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().flat_map(|(name, locales)| {
            locales.iter().map(move |each| (name.as_str(), each.as_str()))
        })
    }

    /// Renders a mail in its language, or in the nearest one there is.
    ///
    /// # Errors
    /// An unknown template, or data that lacks a variable.
    pub fn render(&self, mail: &Mail) -> Result<Rendered, TemplateFault> {
        let name = mail.template.as_str();
        let locale = self.locale_for(name, &mail.locale)?;
        let Value::Object(data) = &mail.data else { return Err(TemplateFault::Data) };
        let mut context = data.clone();
        context.insert("product".to_owned(), self.branding.product.clone().into());
        context.insert("public_url".to_owned(), self.branding.public_url.clone().into());
        context.insert("locale".to_owned(), locale.into());
        let subject = one_line(&self.part(&format!("{locale}/{name}.subject"), &context)?);
        let text = self.part(&format!("{locale}/{name}.txt"), &context)?;
        context.insert("subject".to_owned(), subject.clone().into());
        let html = self.part(&format!("{locale}/{name}.html"), &context)?;
        Ok(Rendered { subject, text, html, locale: locale.to_owned() })
    }

    fn part(&self, template: &str, context: &Map<String, Value>) -> Result<String, TemplateFault> {
        let fault = |error: &minijinja::Error| TemplateFault::Render {
            template: template.to_owned(),
            detail: described(error),
        };
        let found = self.environment.get_template(template).map_err(|error| fault(&error))?;
        found.render(context).map_err(|error| fault(&error))
    }

    /// `pt-BR` is answered by `pt-br`, `pt`, the default language, `en`: the first with a template.
    fn locale_for(&self, name: &str, wanted: &str) -> Result<&str, TemplateFault> {
        let unknown = || TemplateFault::Unknown { name: name.to_owned() };
        let known = self.names.get(name).ok_or_else(unknown)?;
        let wanted = wanted.to_ascii_lowercase();
        let language = wanted.split('-').next().unwrap_or_default();
        let default = self.branding.default_locale.to_ascii_lowercase();
        [wanted.as_str(), language, default.as_str(), LAST_LOCALE]
            .into_iter()
            .find_map(|candidate| known.get(candidate))
            .map(String::as_str)
            .ok_or_else(unknown)
    }

    fn add_text(&mut self, locale: &str, name: &str, source: &str) -> Result<(), TemplateFault> {
        let (subject, text) = split_subject(source).ok_or_else(|| TemplateFault::NoSubject {
            name: name.to_owned(),
            locale: locale.to_owned(),
        })?;
        self.add(&format!("{locale}/{name}.subject"), subject)?;
        self.add(&format!("{locale}/{name}.txt"), text)?;
        self.names.entry(name.to_owned()).or_default().insert(locale.to_owned());
        Ok(())
    }

    fn add_html(&mut self, locale: &str, name: &str, source: &str) -> Result<(), TemplateFault> {
        self.add(&format!("{locale}/{name}.html"), source)?;
        self.names.entry(name.to_owned()).or_default().insert(locale.to_owned());
        Ok(())
    }

    fn add(&mut self, template: &str, source: &str) -> Result<(), TemplateFault> {
        self.environment.add_template_owned(template.to_owned(), source.to_owned()).map_err(
            |error| TemplateFault::Syntax {
                template: template.to_owned(),
                detail: described(&error),
            },
        )
    }

    fn check_complete(&self) -> Result<(), TemplateFault> {
        for (name, locale) in self.names() {
            for part in ["txt", "html"] {
                if self.environment.get_template(&format!("{locale}/{name}.{part}")).is_err() {
                    let (name, locale) = (name.to_owned(), locale.to_owned());
                    return Err(TemplateFault::Incomplete { name, locale, part });
                }
            }
        }
        Ok(())
    }
}

/// The subject line and the text of a text part.
fn split_subject(source: &str) -> Option<(&str, &str)> {
    let (first, rest) = source.split_once('\n')?;
    let subject = first.strip_prefix(SUBJECT)?.trim();
    let text = rest.trim_start_matches('\r').strip_prefix('\n')?;
    (!subject.is_empty()).then_some((subject, text))
}

/// A subject is one line: what a value brings along must not become a header field.
fn one_line(text: &str) -> String {
    let clean: String =
        text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let words: Vec<&str> = clean.split_whitespace().collect();
    words.join(" ").chars().take(SUBJECT_CHARS_MAX).collect()
}

/// What is wrong and in which line; never a value, because values hold one-time links.
fn described(error: &minijinja::Error) -> String {
    match error.line() {
        Some(line) => format!("{} in line {line}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// `2026-01-31T12:00:00Z` as `2026-01-31 12:00 UTC`; other text stays.
fn date_time(text: String) -> String {
    match text.parse::<Timestamp>() {
        Ok(time) => time.to_datetime().format("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => text,
    }
}

/// Paths and names in a directory, in order.
fn entries(directory: &Path) -> Result<Vec<(std::path::PathBuf, String)>, TemplateFault> {
    let fault = |error: std::io::Error| TemplateFault::Directory {
        path: directory.to_owned(),
        detail: error.to_string(),
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        if let Some(name) = entry.file_name().to_str() {
            found.push((entry.path(), name.to_owned()));
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String, TemplateFault> {
    let fault = |detail: String| TemplateFault::Directory { path: path.to_owned(), detail };
    let size = std::fs::metadata(path).map_err(|error| fault(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(fault(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))
}

#[cfg(test)]
mod tests;
