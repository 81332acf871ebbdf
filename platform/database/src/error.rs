//! What can go wrong with a database, and which [`Failure`] a caller gets for it.
//!
//! Repository functions answer [`DbResult`]. A service turns an expected refusal into its own failure
//! with [`DbError::is_unique`]; everything else becomes a failure with `?`. Details of a statement are
//! logged here, where the error becomes a failure, and never reach the caller.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as DieselError};
use troupe_kernel::{Failure, FailureKind};

use crate::seldom::Seldom;

/// What is said of a database that is away: every statement would say the same.
static AWAY: Seldom = Seldom::every(Duration::from_secs(5));

/// What a repository function answers.
pub type DbResult<T> = Result<T, DbError>;

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// A query for one row found none; see [`OptionalRow`].
    #[error("no such row")]
    NotFound,
    /// A row with the same key exists.
    #[error("the constraint {constraint} does not allow a second row with these values")]
    Unique {
        /// The constraint, by PostgreSQL's naming (`users_email_key`) on both dialects.
        constraint: String,
    },
    /// A row that is referred to does not exist, or one that is referred to was to be deleted.
    #[error("the constraint {constraint} was violated")]
    Reference {
        /// The constraint; SQLite does not name it.
        constraint: String,
    },
    /// A value is missing or outside what its column allows.
    #[error("the value does not fit: {detail}")]
    Value {
        /// The database's words.
        detail: String,
    },
    /// Another transaction was in the way (deadlock, serialisation, lock timeout, busy file).
    #[error("another transaction was in the way: {detail}")]
    Contention {
        /// The database's words.
        detail: String,
    },
    /// A statement or the wait for a connection took longer than the configuration allows.
    #[error("{what} took longer than allowed")]
    Timeout {
        /// What took too long.
        what: &'static str,
    },
    /// A write went to a connection that only reads.
    #[error("this connection is for reading only")]
    ReadOnly,
    /// The server does not answer or ended the connection.
    #[error("the database does not answer: {detail}")]
    Unreachable {
        /// The driver's words.
        detail: String,
    },
    /// The connection was lost while a transaction was committed.
    #[error("the database was lost during a commit, which may have happened or not: {detail}")]
    Lost {
        /// The driver's words.
        detail: String,
    },
    /// The server refused the user or the password.
    #[error("the database refused the login: {detail}; check user and password in database.url")]
    Credentials {
        /// The server's words; never the password.
        detail: String,
    },
    /// The connection to the server cannot be secured as the configuration asks.
    #[error(
        "the connection to the database cannot be secured: {detail}; let database.tls_ca_file name the roots \
         that its certificate leads to, and database.url the host that stands in it"
    )]
    Tls {
        /// The driver's words.
        detail: String,
    },
    /// `database.url` is not a URL this platform understands. The URL itself is a secret.
    #[error(
        "database.url is not usable: {detail}; write sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/NAME"
    )]
    Url {
        /// What is wrong with it.
        detail: String,
    },
    /// The directory of the SQLite file cannot be created or written.
    #[error("the data directory {} is not writable; create it for this user or set database.url", path.display())]
    DataDirectory {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The SQLite file cannot be used.
    #[error("the SQLite file {} cannot be opened: {detail}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        detail: String,
    },
    /// Another process holds the SQLite file.
    #[error("the SQLite file {} is locked by another process; stop it or let database.url point to another file", path.display())]
    FileLocked {
        /// The file.
        path: PathBuf,
    },
    /// The schema cannot be brought to the state this program needs.
    #[error(transparent)]
    Schema(#[from] crate::migrator::SchemaError),
    /// A repository decided on a failure itself.
    #[error("{0}")]
    Refused(Failure),
    /// Any other error of a statement: a defect.
    #[error("a statement failed")]
    Query(#[source] DieselError),
}

impl DbError {
    /// Whether this is a violation of the named unique constraint.
    ///
    /// Name unique constraints as PostgreSQL does by itself, `TABLE_COLUMN_COLUMN_key`; SQLite
    /// reports columns, from which the same name is made. A unique index on an expression is
    /// reported by its own name on both.
    #[must_use]
    pub fn is_unique(&self, name: &str) -> bool {
        matches!(self, Self::Unique { constraint } if constraint == name)
    }

    /// The failure `make` gives when this is a violation of the unique constraint `name`; otherwise
    /// the usual one.
    #[must_use]
    pub fn unique_or(self, name: &str, make: impl FnOnce() -> Failure) -> Failure {
        if self.is_unique(name) { make() } else { self.into() }
    }

    /// Whether the same work may succeed when it is tried again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Contention { .. }
                | Self::Timeout { .. }
                | Self::Unreachable { .. }
                | Self::FileLocked { .. }
        )
    }

    pub(crate) fn connect(error: ConnectionError) -> Self {
        let detail = match &error {
            ConnectionError::CouldntSetupConfiguration(DieselError::DatabaseError(_, info)) => {
                info.message().to_owned()
            }
            other => other.to_string(),
        };
        if detail.contains(crate::postgres::TLS_HANDSHAKE) {
            return Self::Tls { detail };
        }
        if ["password", "authentication", "role \"", "pg_hba"]
            .iter()
            .any(|word| detail.contains(word))
        {
            return Self::Credentials { detail };
        }
        if detail.contains("invalid connection string") || detail.contains("invalid configuration")
        {
            return Self::Url { detail };
        }
        Self::Unreachable { detail }
    }
}

impl From<DieselError> for DbError {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::NotFound => Self::NotFound,
            DieselError::DatabaseError(kind, info) => of_database(kind, info),
            other => Self::Query(other),
        }
    }
}

impl From<Failure> for DbError {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

fn of_database(
    kind: DatabaseErrorKind,
    info: Box<dyn DatabaseErrorInformation + Send + Sync>,
) -> DbError {
    let detail = info.message().to_owned();
    match kind {
        DatabaseErrorKind::UniqueViolation => DbError::Unique {
            constraint: info
                .constraint_name()
                .map_or_else(|| constraint_of(&detail), str::to_owned),
        },
        DatabaseErrorKind::ForeignKeyViolation | DatabaseErrorKind::RestrictViolation => {
            DbError::Reference {
                constraint: info.constraint_name().unwrap_or("a reference").to_owned(),
            }
        }
        DatabaseErrorKind::NotNullViolation
        | DatabaseErrorKind::CheckViolation
        | DatabaseErrorKind::ExclusionViolation => DbError::Value { detail },
        DatabaseErrorKind::SerializationFailure => DbError::Contention { detail },
        DatabaseErrorKind::ReadOnlyTransaction => DbError::ReadOnly,
        DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection => {
            DbError::Unreachable { detail }
        }
        kind => of_message(kind, detail, info),
    }
}

/// Errors that diesel reports as unknown and only their text tells apart.
fn of_message(
    kind: DatabaseErrorKind,
    detail: String,
    info: Box<dyn DatabaseErrorInformation + Send + Sync>,
) -> DbError {
    const CONTENTION: [&str; 4] = [
        "database is locked",
        "database table is locked",
        "deadlock detected",
        "due to lock timeout",
    ];
    const GONE: [&str; 3] = ["terminating connection", "shutting down", "starting up"];
    if CONTENTION.iter().any(|text| detail.contains(text)) {
        return DbError::Contention { detail };
    }
    if detail.contains("due to statement timeout") {
        return DbError::Timeout { what: "the statement" };
    }
    if GONE.iter().any(|text| detail.contains(text)) {
        return DbError::Unreachable { detail };
    }
    if detail.contains("readonly database") {
        return DbError::ReadOnly;
    }
    DbError::Query(DieselError::DatabaseError(kind, info))
}

/// The constraint's name out of SQLite's message: `UNIQUE constraint failed: t.a, t.b` is what
/// PostgreSQL calls `t_a_b_key`; an index on an expression is named in `index 'NAME'`.
fn constraint_of(message: &str) -> String {
    let rest = message.split_once(": ").map_or(message, |(_, rest)| rest);
    if let Some(name) = rest.strip_prefix("index '") {
        return name.trim_end_matches('\'').to_owned();
    }
    let mut name = String::new();
    for (index, column) in rest.split(", ").enumerate() {
        let (table, column) = column.split_once('.').unwrap_or(("", column));
        if index == 0 {
            name.push_str(table);
        }
        name.push('_');
        name.push_str(column);
    }
    name.push_str("_key");
    name
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        use std::time::Duration;
        match error {
            DbError::Refused(failure) => failure,
            DbError::NotFound => {
                Failure::not_found("database.row.missing", "there is no such thing")
            }
            DbError::Unique { constraint } => Failure::conflict(
                "database.row.duplicate",
                format!("a row with the same values exists already ({constraint})"),
            ),
            DbError::Reference { constraint } => Failure::conflict(
                "database.row.reference",
                format!(
                    "something this refers to is gone, or something still refers to it ({constraint})"
                ),
            ),
            DbError::Contention { detail } => {
                tracing::warn!(%detail, "a transaction gave way to another");
                Failure::unavailable(
                    "database.busy",
                    "the database was busy with the same rows; try again",
                )
                .retry_after(Duration::from_secs(1))
            }
            DbError::Timeout { what } => {
                tracing::warn!(what, "the database was too slow");
                Failure::new(
                    FailureKind::Unavailable,
                    "database.timeout",
                    "the database took too long; try again",
                )
                .retry_after(Duration::from_secs(1))
            }
            DbError::Unreachable { detail }
            | DbError::Credentials { detail }
            | DbError::Tls { detail } => {
                if let Some(left_out) = AWAY.next(Instant::now()) {
                    tracing::error!(%detail, left_out, "the database is not reachable");
                }
                Failure::unavailable(
                    "database.unreachable",
                    "the database does not answer; try again later",
                )
                .retry_after(Duration::from_secs(5))
            }
            DbError::Lost { detail } => {
                tracing::error!(%detail, "the database was lost during a commit");
                Failure::unavailable(
                    "database.commit.unknown",
                    "the database was lost while the change was stored; ask again with the same \
                     Idempotency-Key, or look whether it is there",
                )
                .retry_after(Duration::from_secs(2))
            }
            other => {
                let cause =
                    std::error::Error::source(&other).map(ToString::to_string).unwrap_or_default();
                tracing::error!(error = %other, cause, "a database operation failed");
                Failure::internal(
                    "database.failed",
                    "the operation failed in the database; the cause is in the log",
                )
            }
        }
    }
}

/// Turns "no such row" into `None`.
pub trait OptionalRow<T> {
    /// `None` when the query for one row found none.
    ///
    /// # Errors
    /// Every other error as it is.
    fn optional(self) -> DbResult<Option<T>>;
}

impl<T> OptionalRow<T> for DbResult<T> {
    fn optional(self) -> DbResult<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(DbError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_names_a_constraint_as_postgres_does() {
        for (message, expected) in [
            ("UNIQUE constraint failed: users.email", "users_email_key"),
            ("UNIQUE constraint failed: posts.tenant, posts.slug", "posts_tenant_slug_key"),
            ("UNIQUE constraint failed: index 'users_email_lower'", "users_email_lower"),
        ] {
            assert_eq!(constraint_of(message), expected);
        }
    }

    #[test]
    fn a_unique_violation_becomes_the_failure_its_owner_chose() {
        let error = || DbError::Unique { constraint: "users_email_key".to_owned() };
        let taken = || Failure::conflict("identity.email.taken", "use another address");
        assert_eq!(error().unique_or("users_email_key", taken).code(), "identity.email.taken");
        assert_eq!(error().unique_or("users_name_key", taken).code(), "database.row.duplicate");
    }
}
