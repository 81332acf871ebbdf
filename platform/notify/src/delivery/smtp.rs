//! Mails to an SMTP server (RFC 5321), with a pool of connections.
//!
//! A 4xx answer, a server that is away, a slow one and a refused login can be over soon: the job tries
//! again. Any other 5xx answer is about this mail and ends it; one that says that there is no such
//! recipient is about every mail to it.
//!
//! A delivery that does not end leaves its connection between two answers, where the next mail would
//! take the late answer for its own. Such a delivery takes the whole pool with it.

use std::time::Duration;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, Error, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use parking_lot::Mutex;
use troupe_kernel::Failure;

use super::letter::Letter;
use crate::config::{Encryption, SmtpConfig};
use crate::error::DeliveryFault;

/// Answers to a login (RFC 4954, 6): the configuration is wrong, not the mail.
const LOGIN_ANSWERS: [&str; 5] = ["454", "530", "534", "535", "538"];

/// How long another login is tried.
const TRY_WITHIN: Duration = Duration::from_secs(5);

type Pool = AsyncSmtpTransport<Tokio1Executor>;

/// Hands mails to an SMTP server.
pub(super) struct SmtpDelivery {
    builder: AsyncSmtpTransportBuilder,
    pool: Mutex<Pool>,
    timeout: Duration,
}

impl SmtpDelivery {
    /// Prepares the pool; connects with the first mail.
    ///
    /// # Errors
    /// When the certificates of the system cannot be used.
    pub(super) fn new(config: &SmtpConfig) -> Result<Self, Failure> {
        let tls = match config.encryption {
            Encryption::None => Tls::None,
            Encryption::Starttls => Tls::Required(parameters(config)?),
            Encryption::Tls => Tls::Wrapper(parameters(config)?),
        };
        let mut builder = Pool::builder_dangerous(&config.host)
            .port(config.effective_port())
            .tls(tls)
            .timeout(Some(config.timeout))
            .pool_config(PoolConfig::new().max_size(config.connections_max));
        if !config.hello_name.is_empty() {
            builder = builder.hello_name(ClientId::Domain(config.hello_name.clone()));
        }
        if !config.username.is_empty() {
            let password = config.password.expose().to_owned();
            builder = builder.credentials(Credentials::new(config.username.clone(), password));
        }
        let pool = Mutex::new(builder.clone().build());
        Ok(Self { builder, pool, timeout: config.timeout })
    }

    /// Why the server refuses this login; a server that is away refuses nobody.
    pub(super) async fn refusal(&self) -> Option<String> {
        let pool: Pool = self.builder.clone().build();
        let within = self.timeout.min(TRY_WITHIN);
        let tried = tokio::time::timeout(within, pool.test_connection()).await;
        let error = tried.ok()?.err()?;
        is_login(&error).then(|| {
            format!("the mail server refuses the new login ({error}); make it there first")
        })
    }

    /// Hands a mail over; done when the server has taken it.
    pub(super) async fn deliver(&self, letter: Letter) -> Result<(), DeliveryFault> {
        let pool = self.pool.lock().clone();
        let mut turn = Turn { delivery: self, ended: false };
        // The library bounds the connect only, not the wait for an answer.
        let sent = tokio::time::timeout(self.timeout, pool.send(letter.message)).await;
        match sent {
            Err(_) => Err(DeliveryFault::transient("the mail server took too long to answer")),
            Ok(sent) => {
                turn.ended = true;
                sent.map(|_| ()).map_err(|error| fault_of(&error))
            }
        }
    }
}

/// A delivery under way; when it is dropped before its end, the pool is replaced.
struct Turn<'a> {
    delivery: &'a SmtpDelivery,
    ended: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let fresh = self.delivery.builder.clone().build();
            *self.delivery.pool.lock() = fresh;
        }
    }
}

fn parameters(config: &SmtpConfig) -> Result<TlsParameters, Failure> {
    let fault = |error: &dyn std::fmt::Display| {
        Failure::unavailable(
            "notify.smtp.tls",
            format!("TLS to the mail server cannot be prepared: {error}"),
        )
    };
    let mut builder = TlsParameters::builder(config.host.clone());
    if !config.ca_file.as_os_str().is_empty() {
        let pem = std::fs::read(&config.ca_file).map_err(|error| {
            fault(&format!("notify.smtp.ca_file {}: {error}", config.ca_file.display()))
        })?;
        let authority = Certificate::from_pem(&pem).map_err(|error| fault(&error))?;
        builder = builder.add_root_certificate(authority);
    }
    builder.build().map_err(|error| fault(&error))
}

fn is_login(error: &Error) -> bool {
    error.status().is_some_and(|code| LOGIN_ANSWERS.contains(&code.to_string().as_str()))
}

fn fault_of(error: &Error) -> DeliveryFault {
    let code = error.status().map(|code| code.to_string());
    if is_login(error) {
        return DeliveryFault::transient(&format!(
            "the mail server refused the login; check notify.smtp.username and password ({error})"
        ));
    }
    let text = error.to_string();
    match code {
        Some(code) if error.is_permanent() && is_about_recipient(&code, &text) => {
            DeliveryFault::no_recipient(&text)
        }
        _ if error.is_permanent() => DeliveryFault::permanent(&text),
        _ => DeliveryFault::transient(&text),
    }
}

/// Whether a refusal says that the recipient is none: by its enhanced code (RFC 3463: an address, or a
/// mailbox that is disabled; not the address of the sender), without one by codes that mean nothing else
/// (RFC 5321, 4.2.3; 550 alone is a matter of policy as often).
fn is_about_recipient(code: &str, text: &str) -> bool {
    match enhanced(text) {
        Some((1, detail)) => !matches!(detail, 7 | 8),
        Some((2, 1)) => true,
        Some(_) => false,
        None => matches!(code, "551" | "553"),
    }
}

/// Subject and detail of an enhanced code `5.x.y`.
fn enhanced(text: &str) -> Option<(u16, u16)> {
    text.split(|char: char| !char.is_ascii_digit() && char != '.').find_map(|word| {
        let mut parts = word.trim_end_matches('.').split('.');
        let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
        let is_whole = class == "5" && parts.next().is_none();
        is_whole.then_some((subject.parse().ok()?, detail.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_the_recipient_counts_as_a_bounce() {
        for (code, text, expected) in [
            ("550", "550 5.1.1 no such mailbox", true),
            ("550", "550 no such mailbox: 5.1.1.", true),
            ("550", "permanent error (550): 5.1.0 mailbox unavailable", true),
            ("556", "556 5.1.10 recipient null MX", true),
            ("525", "525 5.2.1 mailbox disabled", true),
            ("553", "553 mailbox name not allowed", true),
            ("551", "551 user not local", true),
            ("550", "550 5.7.1 spam", false),
            ("554", "554 5.7.1 blocked by 192.0.2.1, see 5.1.1.1", false),
            ("550", "550 rejected by policy", false),
            ("550", "550 5.1.8 sender's domain does not exist", false),
            ("552", "552 5.2.2 mailbox full", false),
            ("554", "554 transaction failed", false),
        ] {
            assert_eq!(is_about_recipient(code, text), expected, "{text}");
        }
    }
}
