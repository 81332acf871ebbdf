//! A mail as it travels: headers and both parts (RFC 5322, RFC 2046).

use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use troupe_kernel::{Failure, Timestamp, Uuid};

use crate::config::NotifyConfig;
use crate::error::DeliveryFault;
use crate::templates::Rendered;

/// What is the same in every letter.
pub(super) struct Letterhead {
    from: Mailbox,
    reply_to: Option<Mailbox>,
}

impl Letterhead {
    pub(super) fn new(config: &NotifyConfig) -> Result<Self, Failure> {
        let mailbox = |text: &str| {
            text.parse::<Mailbox>().map_err(|error| {
                Failure::invalid(
                    "notify.config.address",
                    format!("`{text}` is no address: {error}"),
                )
            })
        };
        let reply_to = Some(config.reply_to.as_str()).filter(|text| !text.is_empty());
        Ok(Self { from: mailbox(&config.from)?, reply_to: reply_to.map(mailbox).transpose()? })
    }
}

/// A complete mail.
pub(super) struct Letter {
    pub(super) id: Uuid,
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) written: Timestamp,
    pub(super) message: Message,
}

/// What is known of a letter besides its text.
pub(super) struct Posting<'a> {
    pub(super) id: Uuid,
    pub(super) to: &'a str,
    pub(super) written: Timestamp,
    /// The link that switches its like off.
    pub(super) unsubscribe: Option<String>,
}

impl Letter {
    /// Writes a letter.
    ///
    /// # Errors
    /// When the recipient is no address.
    pub(super) fn write(
        letterhead: &Letterhead,
        rendered: Rendered,
        posting: Posting<'_>,
    ) -> Result<Self, DeliveryFault> {
        let Posting { id, to, written, unsubscribe } = posting;
        let recipient: Mailbox = to.parse().map_err(|error| {
            DeliveryFault::permanent(&format!("the recipient is no address: {error}"))
        })?;
        let domain = letterhead.from.email.domain();
        let mut builder = Message::builder()
            .from(letterhead.from.clone())
            .to(recipient)
            .subject(&rendered.subject)
            .date(system_time(written))
            .message_id(Some(format!("<{id}@{domain}>")));
        if let Some(reply_to) = &letterhead.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        if let Some(unsubscribe) = unsubscribe {
            // RFC 2369 and, for the button of the mail program, RFC 8058.
            let link = HeaderName::new_from_ascii_str("List-Unsubscribe");
            let one_click = HeaderName::new_from_ascii_str("List-Unsubscribe-Post");
            builder = builder
                .raw_header(HeaderValue::new(link, format!("<{unsubscribe}>")))
                .raw_header(HeaderValue::new(one_click, "List-Unsubscribe=One-Click".to_owned()));
        }
        // RFC 3834: no absence notes in answer to what a program sent.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let message = builder
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(rendered.text, rendered.html))
            .map_err(|error| DeliveryFault::permanent(&error.to_string()))?;
        Ok(Self { id, to: to.to_owned(), subject: rendered.subject, written, message })
    }
}

fn system_time(time: Timestamp) -> SystemTime {
    let micros = u64::try_from(time.as_micros()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use troupe_kernel::Clock;
    use troupe_kernel::clock::ManualClock;

    use super::*;

    fn rendered() -> Rendered {
        Rendered {
            subject: "Grüße".to_owned(),
            text: "Hallo".to_owned(),
            html: "<p>Hallo</p>".to_owned(),
            locale: "de".to_owned(),
        }
    }

    #[test]
    fn a_letter_has_a_stable_id_a_date_and_both_parts() {
        let letterhead = Letterhead::new(&NotifyConfig::default()).unwrap();
        let now = ManualClock::default().now();
        let id = Uuid::from_u128(7);
        let posting = Posting { id, to: "ada@example.org", written: now, unsubscribe: None };
        let letter = Letter::write(&letterhead, rendered(), posting).unwrap();
        let text = String::from_utf8(letter.message.formatted()).unwrap();
        for expected in [
            "Message-ID: <00000000-0000-0000-0000-000000000007@localhost>\r\n",
            "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n",
            "To: ada@example.org\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "multipart/alternative",
            "text/plain",
            "text/html",
        ] {
            assert!(text.contains(expected), "{expected} is missing in {text}");
        }
        assert!(!text.contains("Unsubscribe"), "{text}");
    }

    #[test]
    fn a_letter_that_may_be_switched_off_says_how() {
        let letterhead = Letterhead::new(&NotifyConfig::default()).unwrap();
        let link = format!("https://troupe.example/v1/notify/unsubscribe/{}", "a".repeat(120));
        let posting = Posting {
            id: Uuid::nil(),
            to: "ada@example.org",
            written: Timestamp::EPOCH,
            unsubscribe: Some(link.clone()),
        };
        let letter = Letter::write(&letterhead, rendered(), posting).unwrap();
        let text = String::from_utf8(letter.message.formatted()).unwrap().replace("\r\n ", " ");
        let link = format!("List-Unsubscribe: <{link}>\r\n");
        assert!(text.replace(":  <", ": <").contains(&link), "{text}");
        assert!(text.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"), "{text}");
    }

    #[test]
    fn a_recipient_that_is_no_address_is_refused_for_good() {
        let letterhead = Letterhead::new(&NotifyConfig::default()).unwrap();
        for to in ["", "ada", "ada@example.org\r\nBcc: b@example.org"] {
            let (id, written) = (Uuid::nil(), Timestamp::EPOCH);
            let posting = Posting { id, to, written, unsubscribe: None };
            let fault = Letter::write(&letterhead, rendered(), posting).err().expect(to);
            assert!(!fault.is_transient(), "{to}");
        }
    }
}
