//! The `[notify]` section: how mails look and how they are delivered.

mod webhooks;

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection, Secret, units};

pub use webhooks::WebhookConfig;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Settings of the notify module.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotifyConfig {
    /// Where mails go.
    pub delivery: Delivery,
    /// Directory of mails when `delivery` is `file`. They hold one-time links.
    pub directory: PathBuf,
    /// Sender, as `Name <address>`.
    pub from: String,
    /// Address for answers; empty takes none.
    pub reply_to: String,
    /// Name of the product in mails.
    pub product: String,
    /// Address of the product in mails.
    pub public_url: String,
    /// Language when a mail's own has no template.
    pub default_locale: String,
    /// Directory with templates of your own, `LANGUAGE/NAME.txt` and `LANGUAGE/NAME.html` and
    /// `layout.html`; what it does not hold is taken from the built-in ones. Empty takes none.
    pub templates: PathBuf,
    /// The content of a mail is erased so long after its last attempt; until then it can be resent.
    #[serde(with = "units::duration")]
    pub erase_after: Duration,
    /// Mails that are delivered at once.
    pub workers: usize,
    /// The mail server when `delivery` is `smtp`.
    pub smtp: SmtpConfig,
    /// Events that are posted to endpoints of organisations.
    pub webhooks: WebhookConfig,
}

/// Where mails go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Into files, for development.
    File,
    /// To an SMTP server.
    Smtp,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// TLS from the first byte (RFC 8314), port 465.
    Tls,
    /// STARTTLS, which the server must offer, port 587.
    Starttls,
    /// None: only for a relay on this machine or a test, port 25.
    None,
}

/// The mail server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpConfig {
    /// Its host name, which its certificate must have.
    pub host: String,
    /// Its port; 0 takes the usual one of the encryption.
    pub port: u16,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// A PEM file of authorities that are trusted beside those of the system; empty takes none.
    pub ca_file: PathBuf,
    /// User for the login; empty does not log in.
    pub username: String,
    /// Password for the login. A secret: write `${file:PATH}` or `${env:NAME}`.
    pub password: Secret,
    /// Name this machine gives itself; empty takes its address.
    pub hello_name: String,
    /// Connections at once.
    pub connections_max: u32,
    /// Longest time for one delivery, from the connect to the last answer.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
}

impl SmtpConfig {
    /// The keys below `[notify]` whose values differ.
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let Self {
            host,
            port,
            encryption,
            ca_file,
            username,
            password,
            hello_name,
            connections_max,
            timeout,
        } = self;
        let all = [
            ("smtp.host", *host != other.host),
            ("smtp.port", *port != other.port),
            ("smtp.encryption", *encryption != other.encryption),
            ("smtp.ca_file", *ca_file != other.ca_file),
            ("smtp.username", *username != other.username),
            ("smtp.password", password.expose() != other.password.expose()),
            ("smtp.hello_name", *hello_name != other.hello_name),
            ("smtp.connections_max", *connections_max != other.connections_max),
            ("smtp.timeout", *timeout != other.timeout),
        ];
        all.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

impl Default for NotifyConfig {
    fn default() -> Self {
        Self {
            delivery: Delivery::File,
            directory: PathBuf::from("./troupe-data/mails"),
            from: "Troupe <no-reply@localhost>".to_owned(),
            reply_to: String::new(),
            product: "Troupe".to_owned(),
            public_url: "http://127.0.0.1:8080".to_owned(),
            default_locale: "en".to_owned(),
            templates: PathBuf::new(),
            erase_after: 7 * DAY,
            workers: 4,
            smtp: SmtpConfig::default(),
            webhooks: WebhookConfig::default(),
        }
    }
}

impl Default for SmtpConfig {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 0,
            encryption: Encryption::Starttls,
            ca_file: PathBuf::new(),
            username: String::new(),
            password: Secret::default(),
            hello_name: String::new(),
            connections_max: 4,
            timeout: 30 * SECOND,
        }
    }
}

impl SmtpConfig {
    /// The port to connect to.
    #[must_use]
    pub fn effective_port(&self) -> u16 {
        match (self.port, self.encryption) {
            (0, Encryption::Tls) => 465,
            (0, Encryption::Starttls) => 587,
            (0, Encryption::None) => 25,
            (port, _) => port,
        }
    }

    fn is_local(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1")
    }

    fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, detail: &str| faults.push(ConfigFault::new(path, detail));
        if self.host.trim().is_empty() {
            fault("smtp.host", "must name the mail server");
        }
        if self.username.is_empty() != self.password.is_empty() {
            fault("smtp.password", "user and password belong together; set both or none");
        }
        if self.encryption == Encryption::None && !self.is_local() && !self.username.is_empty() {
            fault(
                "smtp.encryption",
                "must be tls or starttls, or the password goes out in the clear",
            );
        }
        if !(1..=100).contains(&self.connections_max) {
            fault("smtp.connections_max", "must be between 1 and 100");
        }
        if !(SECOND..=90 * SECOND).contains(&self.timeout) {
            fault("smtp.timeout", "must be between 1s and 90s");
        }
        faults
    }
}

impl ConfigSection for NotifyConfig {
    const NAME: &'static str = "notify";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, detail: &str| faults.push(ConfigFault::new(path, detail));
        if self.from.parse::<Mailbox>().is_err() {
            fault("from", "must be an address like Troupe <no-reply@example.org>");
        }
        if !self.reply_to.is_empty() && self.reply_to.parse::<Mailbox>().is_err() {
            fault("reply_to", "must be an address like Help <help@example.org>, or empty");
        }
        if !self.public_url.starts_with("http://") && !self.public_url.starts_with("https://") {
            fault("public_url", "must start with http:// or https://");
        }
        if self.product.trim().is_empty() {
            fault("product", "must not be empty");
        }
        if self.default_locale.is_empty() {
            fault("default_locale", "must be a language with templates, like en");
        }
        if self.directory.as_os_str().is_empty() {
            fault("directory", "must name a directory");
        }
        if !(1..=64).contains(&self.workers) {
            fault("workers", "must be between 1 and 64");
        }
        if self.delivery == Delivery::Smtp {
            faults.extend(self.smtp.faults());
        }
        faults.extend(self.webhooks.faults());
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(config: &NotifyConfig) -> Vec<String> {
        config.validate().into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert!(paths(&NotifyConfig::default()).is_empty());
        let smtp = NotifyConfig { delivery: Delivery::Smtp, ..NotifyConfig::default() };
        assert!(paths(&smtp).is_empty());
        assert_eq!(smtp.smtp.effective_port(), 587);
    }

    #[test]
    fn every_bad_value_is_reported_at_once() {
        let config = NotifyConfig {
            delivery: Delivery::Smtp,
            from: "nobody".to_owned(),
            workers: 0,
            smtp: SmtpConfig {
                host: "mail.example.org".to_owned(),
                encryption: Encryption::None,
                username: "me".to_owned(),
                password: Secret::new("hunter2"),
                timeout: Duration::ZERO,
                ..SmtpConfig::default()
            },
            ..NotifyConfig::default()
        };
        assert_eq!(paths(&config), ["from", "workers", "smtp.encryption", "smtp.timeout"]);
    }

    #[test]
    fn a_printed_configuration_hides_the_password() {
        let smtp = SmtpConfig { password: Secret::new("hunter2"), ..SmtpConfig::default() };
        let config = NotifyConfig { smtp, ..NotifyConfig::default() };
        let shown = serde_json::to_string(&config).unwrap() + &format!("{config:?}");
        assert!(!shown.contains("hunter2"));
    }
}
