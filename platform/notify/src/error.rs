//! What can go wrong with a mail, and the failures that callers get.

use std::path::PathBuf;
use std::time::Duration;

use troupe_kernel::{Failure, FailureKind};

/// Longest error that is kept of a delivery, in characters.
const REASON_CHARS_MAX: usize = 300;

/// What is wrong with a template, or with a mail for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    /// No language has a template of this name.
    #[error("there is no template {name}")]
    Unknown {
        /// The name.
        name: String,
    },
    /// A template has a text part without an HTML part, or the other way round.
    #[error("the template {name} lacks its {part} part in the language {locale}")]
    Incomplete {
        /// The name.
        name: String,
        /// The language.
        locale: String,
        /// The part.
        part: &'static str,
    },
    /// The text part does not begin with its subject.
    #[error(
        "the template {name} in the language {locale} must begin with a line `Subject: …` and an empty line"
    )]
    NoSubject {
        /// The name.
        name: String,
        /// The language.
        locale: String,
    },
    /// The text of a template is no template.
    #[error("the template {template} is faulty: {detail}")]
    Syntax {
        /// Language, name and part.
        template: String,
        /// What and where.
        detail: String,
    },
    /// The data of a mail does not fit: mostly a variable is missing.
    #[error("the template {template} cannot be rendered: {detail}")]
    Render {
        /// Language, name and part.
        template: String,
        /// What and where; never a value.
        detail: String,
    },
    /// The data of a mail is no object.
    #[error("the data of a mail must be an object")]
    Data,
    /// The directory of templates cannot be read.
    #[error("the templates in {} cannot be read: {detail}", path.display())]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// The system's answer.
        detail: String,
    },
}

/// Why a mail was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryFault {
    /// Another attempt will end the same way.
    #[error("the mail was refused: {reason}")]
    Permanent {
        /// What the server or the system said.
        reason: String,
    },
    /// There is no such recipient; another mail to it will end the same way.
    #[error("the recipient was refused: {reason}")]
    NoRecipient {
        /// What the server said.
        reason: String,
    },
    /// Another attempt may succeed.
    #[error("the mail could not be delivered now: {reason}")]
    Transient {
        /// What the server or the system said.
        reason: String,
    },
}

impl DeliveryFault {
    /// A refusal for good.
    #[must_use]
    pub fn permanent(reason: &str) -> Self {
        Self::Permanent { reason: without_secrets(reason) }
    }

    /// A refusal of the recipient for good.
    #[must_use]
    pub fn no_recipient(reason: &str) -> Self {
        Self::NoRecipient { reason: without_secrets(reason) }
    }

    /// A failure for now.
    #[must_use]
    pub fn transient(reason: &str) -> Self {
        Self::Transient { reason: without_secrets(reason) }
    }

    /// What is kept of it.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Permanent { reason }
            | Self::NoRecipient { reason }
            | Self::Transient { reason } => reason,
        }
    }

    /// Whether another attempt may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }
}

impl From<TemplateFault> for DeliveryFault {
    fn from(fault: TemplateFault) -> Self {
        Self::permanent(&fault.to_string())
    }
}

impl From<&DeliveryFault> for Failure {
    fn from(fault: &DeliveryFault) -> Self {
        match fault {
            DeliveryFault::Permanent { reason } | DeliveryFault::NoRecipient { reason } => {
                Self::invalid("notify.mail.refused", format!("the mail was refused: {reason}"))
            }
            DeliveryFault::Transient { reason } => Self::new(
                FailureKind::Unavailable,
                "notify.mail.deferred",
                format!("the mail could not be delivered now and is tried again: {reason}"),
            )
            .retry_after(Duration::from_secs(30)),
        }
    }
}

/// A report's words as they are kept.
pub(crate) fn one_line(text: &str) -> String {
    without_secrets(text)
}

/// One line without links and without words that look like tokens: a server may quote the mail.
fn without_secrets(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        let looks_secret = word.contains("://") || longest_run(word) >= 32;
        line.push_str(if looks_secret { "[…]" } else { word });
        if line.chars().count() > REASON_CHARS_MAX {
            break;
        }
    }
    line.chars().filter(|char| !char.is_control()).take(REASON_CHARS_MAX).collect()
}

/// The longest run of characters that tokens consist of.
fn longest_run(word: &str) -> usize {
    word.split(|char: char| !char.is_ascii_alphanumeric() && char != '-' && char != '_')
        .map(str::len)
        .max()
        .unwrap_or(0)
}

pub(crate) fn mail_not_found() -> Failure {
    Failure::not_found("notify.mail.not_found", "there is no such mail")
}

pub(crate) fn mail_erased() -> Failure {
    Failure::conflict(
        "notify.mail.erased",
        "the content of the mail is erased by now; let the recipient ask for a new one",
    )
}

pub(crate) fn mail_queued() -> Failure {
    Failure::conflict("notify.mail.queued", "the mail waits for its next attempt already")
}

pub(crate) fn bounce_not_found() -> Failure {
    Failure::not_found("notify.bounce.not_found", "mail to this address is not held back")
}

pub(crate) fn bounce_invalid() -> Failure {
    Failure::invalid(
        "notify.bounce.invalid",
        "the recipient must be an address like ada@example.org",
    )
    .field("/recipient", "must be an address like ada@example.org")
}

pub(crate) fn no_preference() -> Failure {
    Failure::not_found(
        "notify.preference.not_found",
        "there is no such kind of letter that may be switched off",
    )
}

pub(crate) fn bad_unsubscribe() -> Failure {
    Failure::not_found(
        "notify.unsubscribe.invalid",
        "this link is not one of ours; open it again as it stands in the letter",
    )
}

pub(crate) fn no_user() -> Failure {
    Failure::forbidden("notify.preference.not_a_user", "only people have preferences; sign in")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_reason_holds_no_link_and_no_token() {
        let token = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmE";
        let text = format!("554 spam: https://x.example/{token}\r\n see {token}, or ({token})");
        let reason = DeliveryFault::permanent(&text).reason().to_owned();
        assert_eq!(reason, "554 spam: […] see […] or […]");
        assert!(DeliveryFault::transient(&"a ".repeat(1000)).reason().chars().count() <= 300);
    }
}
