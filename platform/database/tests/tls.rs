//! TLS to a server of PostgreSQL, with certificates made for the test.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use troupe_database::prelude::*;
use troupe_database::{DatabaseConfig, DatabaseTls, Db, DbError};

use crate::servers::Server;

/// A certificate for `localhost`, and the root that it leads to.
struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// None, and a line that says so, where openssl is not installed.
    fn make(name: &str) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            let line = "TROUPE-SKIPPED postgres TLS";
            drop(writeln!(std::io::stderr(), "{line}: {name} (openssl is not installed here)"));
            return None;
        }
        let folder = std::env::temp_dir().join(format!("troupe-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = Self { folder };
        made.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -keyout root.key -out root.pem -subj /CN=troupe-{name} \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
        ));
        made.openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
             -keyout server.key -out server.csr -subj /CN=localhost",
        );
        std::fs::write(made.path("names"), "subjectAltName=DNS:localhost\n").unwrap();
        made.openssl(
            "x509 -req -in server.csr -CA root.pem -CAkey root.key -CAcreateserial \
             -out server.pem -days 2 -extfile names",
        );
        Some(made)
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command.current_dir(&self.folder).args(arguments.split_whitespace()).output();
        let output = output.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {error}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn config(server: &Server, host: &str, tls: DatabaseTls, ca_file: &Path) -> DatabaseConfig {
    let url = format!("postgres://postgres@{host}:{}/postgres", server.port());
    DatabaseConfig {
        tls: Some(tls),
        tls_ca_file: Some(ca_file.to_owned()),
        ..DatabaseConfig::with_url(&url)
    }
}

async fn is_secured(db: &Db) -> bool {
    let ssl = "ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    db.read(async move |conn: &mut DbConn| {
        let DbConn::Pg(conn) = conn else { panic!("a server was opened") };
        let query = diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(ssl));
        let ssl: bool = diesel_async::RunQueryDsl::get_result(query, &mut **conn)
            .await
            .map_err(DbError::from)?;
        Ok(ssl)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_server_is_spoken_to_in_tls_when_its_certificate_is_trusted_and_names_it() {
    let Some(certificates) = Certificates::make("verified") else { return };
    let Some(server) =
        Server::start("ssl=on\nssl_cert_file='cert.pem'\nssl_key_file='key.pem'\n", |server| {
            server.put("cert.pem", &certificates.text("server.pem"));
            server.put("key.pem", &certificates.text("server.key"));
        })
    else {
        return;
    };
    let root = certificates.path("root.pem");

    let verified = Db::open(&config(&server, "localhost", DatabaseTls::VerifyFull, &root)).await;
    assert!(is_secured(&verified.unwrap()).await);
    let clear = Db::open(&config(&server, "localhost", DatabaseTls::Off, &root)).await;
    assert!(!is_secured(&clear.unwrap()).await);

    let elsewhere = config(&server, "127.0.0.1", DatabaseTls::VerifyFull, &root);
    let stranger = Certificates::make("stranger").unwrap();
    let strange = stranger.path("root.pem");
    let untrusted = config(&server, "localhost", DatabaseTls::VerifyFull, &strange);
    for (refused, why) in [(elsewhere, "not valid for name"), (untrusted, "UnknownIssuer")] {
        let error = Db::open(&refused).await.unwrap_err();
        assert!(matches!(error, DbError::Tls { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("database.tls_ca_file") && text.contains(why), "{text}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_when_it_is_asked_for() {
    let Some(server) = Server::start("", |_| {}) else { return };
    let config = DatabaseConfig {
        tls: Some(DatabaseTls::VerifyFull),
        ..DatabaseConfig::with_url(&server.url())
    };
    let error = Db::open(&config).await.unwrap_err();
    assert!(matches!(error, DbError::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains("does not support TLS"), "{error}");
}
