//! The configuration section `database`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection, Secret, units};

use crate::error::DbError;

/// Where the data lies and how many connections may be used for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/NAME`. Several servers,
    /// `@HOST:PORT,HOST:PORT/`, are one primary and those that may take its place. A secret.
    pub url: Secret,
    /// A PostgreSQL replica for reads that allow staleness; none reads from the primary. Of several
    /// servers the first that follows the primary is read from. A secret.
    pub replica_url: Option<Secret>,
    /// How far the replica may be behind the primary to be read from.
    #[serde(with = "units::duration")]
    pub replica_lag_max: Duration,
    /// Whether connections to PostgreSQL are secured. Without a value they are, `verify_full`, unless
    /// the server is on this machine (a loopback address, `localhost` or a socket).
    pub tls: Option<DatabaseTls>,
    /// A PEM file with the certificates that the server's may lead to; none trusts what the system
    /// trusts. It is read at each connection, so that it may be changed while the node runs.
    pub tls_ca_file: Option<PathBuf>,
    /// Connections to the PostgreSQL primary; one more flushes its log when they are short.
    pub connections_max: usize,
    /// Connections to the replica, or readers of the SQLite file.
    pub readers_max: usize,
    /// How long a caller waits for a free connection.
    #[serde(with = "units::duration")]
    pub acquire_timeout: Duration,
    /// How long connecting to PostgreSQL may take.
    #[serde(with = "units::duration")]
    pub connect_timeout: Duration,
    /// How long one statement may run (PostgreSQL).
    #[serde(with = "units::duration")]
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock (`lock_timeout` | `busy_timeout`).
    #[serde(with = "units::duration")]
    pub lock_timeout: Duration,
    /// How long a transaction may sit idle before the server ends it (PostgreSQL).
    #[serde(with = "units::duration")]
    pub idle_transaction_timeout: Duration,
    /// After this age a PostgreSQL connection is replaced.
    #[serde(with = "units::duration")]
    pub connection_age_max: Duration,
    /// SQLite's `synchronous`: `normal` may lose the last commits on power loss (never on a crash of
    /// the process) and never corrupts; `full` syncs at every commit.
    pub sqlite_synchronous: SqliteSynchronous,
    /// How long a stored reply answers a repeated idempotency key.
    #[serde(with = "units::duration")]
    pub idempotency_retention: Duration,
    /// How long the inbox remembers an event that was applied.
    #[serde(with = "units::duration")]
    pub inbox_retention: Duration,
}

/// SQLite's durability at commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqliteSynchronous {
    /// Syncs at checkpoints.
    Normal,
    /// Syncs at every commit.
    Full,
}

/// How a connection to PostgreSQL is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseTls {
    /// The server's certificate must be trusted and name the host of the URL.
    VerifyFull,
    /// In the clear: for a network that nobody else is on.
    Off,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: Secret::new("sqlite:./troupe-data/troupe.db"),
            replica_url: None,
            replica_lag_max: Duration::from_secs(2),
            tls: None,
            tls_ca_file: None,
            connections_max: 16,
            readers_max: 4,
            acquire_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
            lock_timeout: Duration::from_secs(5),
            idle_transaction_timeout: Duration::from_secs(30),
            connection_age_max: Duration::from_secs(30 * 60),
            sqlite_synchronous: SqliteSynchronous::Normal,
            idempotency_retention: Duration::from_secs(24 * 60 * 60),
            inbox_retention: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

impl ConfigSection for DatabaseConfig {
    const NAME: &'static str = "database";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        if let Err(detail) = target_of(&self.url) {
            faults.push(ConfigFault::new("url", format!("{detail}; {URL_FORMS}")));
        }
        if let Some(url) = &self.replica_url
            && let Some(fault) = replica_fault(url)
        {
            faults.push(ConfigFault::new("replica_url", fault));
        }
        if let Some(path) = &self.tls_ca_file
            && !path.is_file()
        {
            let fault = format!("{} is no file; it must name one in PEM form", path.display());
            faults.push(ConfigFault::new("tls_ca_file", fault));
        }
        for (key, value) in
            [("connections_max", self.connections_max), ("readers_max", self.readers_max)]
        {
            if !(1..=1_000).contains(&value) {
                faults
                    .push(ConfigFault::new(key, format!("is {value}; it must be from 1 to 1000")));
            }
        }
        let hour = Duration::from_secs(3_600);
        let waits = [
            ("acquire_timeout", self.acquire_timeout, hour),
            ("connect_timeout", self.connect_timeout, hour),
            ("statement_timeout", self.statement_timeout, hour),
            ("lock_timeout", self.lock_timeout, hour),
            ("idle_transaction_timeout", self.idle_transaction_timeout, hour),
            ("replica_lag_max", self.replica_lag_max, hour),
            ("connection_age_max", self.connection_age_max, 24 * hour),
            ("idempotency_retention", self.idempotency_retention, 365 * 24 * hour),
            ("inbox_retention", self.inbox_retention, 365 * 24 * hour),
        ];
        for (key, value, most) in waits {
            if value < Duration::from_millis(1) || value > most {
                let most = units::format_duration(most);
                faults.push(ConfigFault::new(key, format!("must be from 1ms to {most}")));
            }
        }
        faults
    }
}

/// What `database.url` names.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A file; its directory is made when it is missing.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Secret),
}

const URL_FORMS: &str = "write sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/NAME";

impl DatabaseConfig {
    /// The default configuration with another URL.
    #[must_use]
    pub fn with_url(url: &str) -> Self {
        Self { url: Secret::new(url), ..Self::default() }
    }

    /// Where the data lies, for people: the file, or the server without its password.
    #[must_use]
    pub fn place(&self) -> String {
        match target_of(&self.url) {
            Ok(Target::Sqlite(path)) => format!("SQLite file {}", path.display()),
            Ok(Target::Postgres(url)) => {
                let rest = url.expose().split_once("://").map_or("", |(_, rest)| rest);
                let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
                let rest = rest.split(['?', '#']).next().unwrap_or_default();
                format!("PostgreSQL {rest}")
            }
            Err(detail) => detail,
        }
    }

    pub(crate) fn target(&self) -> Result<Target, DbError> {
        target_of(&self.url).map_err(|detail| DbError::Url { detail })
    }
}

fn replica_fault(url: &Secret) -> Option<String> {
    match target_of(url) {
        Ok(Target::Postgres(_)) => None,
        Ok(Target::Sqlite(_)) => {
            Some("must be a postgres:// URL; SQLite has no replica".to_owned())
        }
        Err(detail) => Some(format!("{detail}; write postgres://USER:PASSWORD@HOST:PORT/NAME")),
    }
}

fn target_of(url: &Secret) -> Result<Target, String> {
    let text = url.expose();
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains(":memory:") || path.contains('?') {
            return Err("sqlite: needs the path of a file, without parameters".to_owned());
        }
        return Ok(Target::Sqlite(PathBuf::from(path)));
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        crate::postgres::parse(text)?;
        return Ok(Target::Postgres(url.clone()));
    }
    Err("its scheme is neither sqlite: nor postgres://".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_the_section_is_listed() {
        let config = DatabaseConfig {
            url: Secret::new("mysql://root@host/db"),
            replica_url: Some(Secret::new("sqlite:x.db")),
            connections_max: 0,
            lock_timeout: Duration::ZERO,
            ..DatabaseConfig::default()
        };
        let paths: Vec<String> = config.validate().into_iter().map(|fault| fault.path).collect();
        assert_eq!(paths, ["url", "replica_url", "connections_max", "lock_timeout"]);
        assert!(DatabaseConfig::default().validate().is_empty());
    }

    #[test]
    fn the_place_never_shows_the_password() {
        let config =
            DatabaseConfig::with_url("postgres://app:hunter2@db.example:5432/troupe?options=-c");
        assert_eq!(config.place(), "PostgreSQL db.example:5432/troupe");
        assert_eq!(DatabaseConfig::with_url("sqlite:a/b.db").place(), "SQLite file a/b.db");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
