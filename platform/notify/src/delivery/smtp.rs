//! Mails to an SMTP server (RFC 5321), with a pool of connections.
//!
//! A 4xx answer, a server that is away, a slow one and a refused login can be over soon: the job tries
//! again. Any other 5xx answer is about this mail and ends it.
//!
//! A delivery that does not end leaves its connection between two answers, where the next mail would
//! take the late answer for its own. Such a delivery takes the whole pool with it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, Error, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use troupe_kernel::Failure;

use super::letter::Letter;
use crate::config::{Encryption, SmtpConfig};
use crate::error::DeliveryFault;

/// Answers to a login (RFC 4954, 6): the configuration is wrong, not the mail.
const LOGIN_ANSWERS: [&str; 5] = ["454", "530", "534", "535", "538"];

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

    /// Hands a mail over; done when the server has taken it.
    pub(super) async fn deliver(&self, letter: Letter) -> Result<(), DeliveryFault> {
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner).clone();
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
            *self.delivery.pool.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }
}

fn parameters(config: &SmtpConfig) -> Result<TlsParameters, Failure> {
    TlsParameters::new(config.host.clone()).map_err(|error| {
        Failure::unavailable(
            "notify.smtp.tls",
            format!("TLS to the mail server cannot be prepared: {error}"),
        )
    })
}

fn fault_of(error: &Error) -> DeliveryFault {
    let code = error.status().map(|code| code.to_string());
    let is_login = code.as_deref().is_some_and(|code| LOGIN_ANSWERS.contains(&code));
    if is_login {
        return DeliveryFault::transient(&format!(
            "the mail server refused the login; check notify.smtp.username and password ({error})"
        ));
    }
    if error.is_permanent() {
        return DeliveryFault::permanent(&error.to_string());
    }
    DeliveryFault::transient(&error.to_string())
}
