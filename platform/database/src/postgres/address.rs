//! Where a server of PostgreSQL is, how it is reached and how its sessions are set up.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use parking_lot::RwLock;
use tokio_postgres::config::{Config, Host, SslMode};
use tokio_postgres::{Connection, NoTls, Socket};
use troupe_kernel::config::Secret;

use super::tls::Trust;
use crate::config::{DatabaseConfig, DatabaseTls};
use crate::error::{DbError, DbResult};

const PORT: u16 = 5432;
/// A server that says nothing for so long is asked whether it is there, so often, so many times.
const SILENCE: Duration = Duration::from_secs(10);
const QUESTIONS_EVERY: Duration = Duration::from_secs(5);
const QUESTIONS: u32 = 3;
/// What was sent must be acknowledged by the other machine in this time.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(15);

/// One server. Clones share the login, so that another counts from the next connection on.
#[derive(Clone)]
pub(super) struct Address {
    server: Arc<RwLock<Config>>,
    name: Arc<str>,
    trust: Option<Trust>,
    settings: Arc<str>,
    timeout: Duration,
}

impl Address {
    /// The servers that a URL names, in its order; nothing connects yet.
    pub(super) fn all(url: &Secret, config: &DatabaseConfig) -> DbResult<Vec<Self>> {
        let given = parse(url.expose()).map_err(|detail| DbError::Url { detail })?;
        let hosts = given.get_hosts();
        let settings: Arc<str> = settings(config).into();
        let of = |(place, host): (usize, &Host)| {
            let ports = given.get_ports();
            let port = ports.get(place).or(ports.first()).copied().unwrap_or(PORT);
            let mut server = copied(&given);
            let (name, is_near) = match host {
                Host::Tcp(name) => {
                    server.host(name);
                    (format!("{name}:{port}"), is_loopback(name))
                }
                Host::Unix(path) => {
                    server.host_path(path);
                    (path.display().to_string(), true)
                }
            };
            server.port(port);
            let is_secured = match config.tls {
                Some(tls) => tls == DatabaseTls::VerifyFull && matches!(host, Host::Tcp(_)),
                None => !is_near,
            };
            server.ssl_mode(if is_secured { SslMode::Require } else { SslMode::Disable });
            Self {
                server: Arc::new(RwLock::new(server)),
                name: name.into(),
                trust: is_secured.then(|| Trust { ca_file: config.tls_ca_file.clone() }),
                settings: Arc::clone(&settings),
                timeout: config.connect_timeout,
            }
        };
        Ok(hosts.iter().enumerate().map(of).collect())
    }

    /// Host and port, for people.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is the same server and database, whatever the login.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        let (server, others) = (self.server.read(), other.server.read());
        self.name == other.name
            && server.get_dbname() == others.get_dbname()
            && server.get_options() == others.get_options()
    }

    /// Whether the login is the same.
    pub(super) fn logs_in_like(&self, other: &Self) -> bool {
        let (server, others) = (self.server.read(), other.server.read());
        server.get_user() == others.get_user() && server.get_password() == others.get_password()
    }

    /// Takes the login of another for the connections that are made from then on.
    pub(super) fn log_in_like(&self, other: &Self) {
        let login = other.server.read().clone();
        *self.server.write() = login;
    }

    /// A session that is set up.
    pub(super) async fn connect(&self) -> ConnectionResult<AsyncPgConnection> {
        let server = self.server.read().clone();
        let connecting = async {
            let mut connection = match &self.trust {
                None => driven(server.connect(NoTls).await).await?,
                Some(trust) => {
                    let connector = trust.connector().await.map_err(|detail| {
                        ConnectionError::BadConnection(format!("{TLS_HANDSHAKE}: {detail}"))
                    })?;
                    driven(server.connect(connector).await).await?
                }
            };
            let set_up = connection.batch_execute(&self.settings).await;
            set_up.map_err(ConnectionError::CouldntSetupConfiguration)?;
            Ok(connection)
        };
        tokio::time::timeout(self.timeout, connecting)
            .await
            .unwrap_or_else(|_| {
                Err(ConnectionError::BadConnection("connecting took too long".to_owned()))
            })
            .map_err(|error| self.named(error))
    }

    /// The error with the server's name, but for what the server itself has said.
    fn named(&self, error: ConnectionError) -> ConnectionError {
        match error {
            ConnectionError::BadConnection(detail) => {
                ConnectionError::BadConnection(format!("{}: {detail}", self.name))
            }
            other => other,
        }
    }
}

/// How the driver begins what it says about TLS.
pub(crate) const TLS_HANDSHAKE: &str = "error performing TLS handshake";

type Connected<S> = Result<(tokio_postgres::Client, Connection<Socket, S>), tokio_postgres::Error>;

/// Lets the connection run.
async fn driven<S>(connected: Connected<S>) -> ConnectionResult<AsyncPgConnection>
where
    S: tokio_postgres::tls::TlsStream + Unpin + Send + 'static,
{
    let (client, connection) =
        connected.map_err(|error| ConnectionError::BadConnection(with_causes(&error)))?;
    AsyncPgConnection::try_from_client_and_connection(client, connection).await
}

/// The driver keeps its causes to itself.
fn with_causes(error: &tokio_postgres::Error) -> String {
    let mut text =
        error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned());
    if error.as_db_error().is_none() {
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
    }
    text
}

/// What a URL says, or why it is not understood; never a part of it that may be secret.
pub(crate) fn parse(url: &str) -> Result<Config, String> {
    let parameters = url.rsplit_once('?').map_or("", |(_, parameters)| parameters);
    let is_foreign = |parameter: &str| !parameter.is_empty() && !parameter.starts_with("options=");
    if parameters.split('&').any(is_foreign) {
        let hint = "only options may stand behind its ?; for sslmode set database.tls, and for the \
                    rest the other keys of database";
        return Err(hint.to_owned());
    }
    let parsed: Result<Config, tokio_postgres::Error> = url.parse();
    let config = parsed
        .map_err(|error| error.source().map_or_else(|| error.to_string(), ToString::to_string))?;
    if config.get_hosts().is_empty() {
        return Err(
            "it must name its servers as HOST:PORT, several with commas between them".to_owned()
        );
    }
    Ok(config)
}

/// Everything but the hosts.
fn copied(given: &Config) -> Config {
    let mut config = Config::new();
    if let Some(user) = given.get_user() {
        config.user(user);
    }
    if let Some(password) = given.get_password() {
        config.password(password);
    }
    if let Some(name) = given.get_dbname() {
        config.dbname(name);
    }
    if let Some(options) = given.get_options() {
        config.options(options);
    }
    config
        .keepalives_idle(SILENCE)
        .keepalives_interval(QUESTIONS_EVERY)
        .keepalives_retries(QUESTIONS)
        .tcp_user_timeout(ACKNOWLEDGED_WITHIN);
    config
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Sessions are read-only but in transactions that say otherwise; see [`super::transaction`].
fn settings(config: &DatabaseConfig) -> String {
    format!(
        "SET application_name = 'troupe'; SET statement_timeout = {}; SET lock_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}; SET default_transaction_read_only = on; \
         SET timezone = 'UTC'; SET client_min_messages = warning;",
        config.statement_timeout.as_millis(),
        config.lock_timeout.as_millis(),
        config.idle_transaction_timeout.as_millis(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secured(url: &str, tls: Option<DatabaseTls>) -> Vec<(String, bool)> {
        let config = DatabaseConfig { tls, ..DatabaseConfig::with_url(url) };
        let all = Address::all(&config.url, &config).expect("a URL");
        all.into_iter().map(|each| (each.name.to_string(), each.trust.is_some())).collect()
    }

    #[test]
    fn tls_is_verified_unless_the_server_is_on_this_machine_or_the_operator_says_otherwise() {
        let url = "postgres://app:hunter2@db1.example,127.0.0.1:6000,[::1]:6001,localhost/troupe";
        let names = ["db1.example:5432", "127.0.0.1:6000", "::1:6001", "localhost:5432"];
        for (tls, expected) in [
            (None, [true, false, false, false]),
            (Some(DatabaseTls::VerifyFull), [true; 4]),
            (Some(DatabaseTls::Off), [false; 4]),
        ] {
            let names = names.map(str::to_owned);
            let expected: Vec<_> = names.into_iter().zip(expected).collect();
            assert_eq!(secured(url, tls), expected);
        }
    }

    #[test]
    fn what_does_not_belong_into_a_url_is_refused_without_showing_it() {
        for (url, hint) in [
            ("postgres://app:hunter2@db/x?sslmode=require", "database.tls"),
            ("postgres://app:hunter2@db/x?options=-c&connect_timeout=1", "only options"),
            ("postgres://app:hunter2@db:port/x", "port"),
            ("postgres:///x", "HOST:PORT"),
        ] {
            let detail = parse(url).map(drop).expect_err(url);
            assert!(detail.contains(hint) && !detail.contains("hunter2"), "{url}: {detail}");
        }
    }
}
