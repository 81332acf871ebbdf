//! Certificates that are made for a test by the program `openssl`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use uuid::Uuid;

/// A folder with `root.pem`, and `server.pem` with `server.key` for `localhost`, which leads to it.
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Certificates that are good for so many days; none, and a line that says so, without openssl.
    pub fn make(days: u32) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            let test = std::thread::current().name().unwrap_or("?").to_owned();
            let line = format!("TROUPE-SKIPPED s3 TLS: {test} (openssl is not installed here)");
            drop(writeln!(std::io::stderr(), "{line}"));
            return None;
        }
        let folder = std::env::temp_dir().join(format!("troupe-s3-tls-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = Self { folder };
        // A name of its own, or a stranger's signature would be found wrong instead of unknown.
        made.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -keyout root.key -out root.pem -subj /CN=troupe-{} \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
            Uuid::now_v7()
        ));
        made.openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
             -keyout server.key -out server.csr -subj /CN=localhost",
        );
        std::fs::write(made.path("names"), "subjectAltName=DNS:localhost\n").unwrap();
        made.openssl(&format!(
            "x509 -req -in server.csr -CA root.pem -CAkey root.key -CAcreateserial \
             -out server.pem -days {days} -extfile names",
        ));
        Some(made)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A port that speaks TLS with the certificate and passes on to a server that does not. It ends with
    /// the runtime of the test.
    pub async fn before(&self, server: String) -> u16 {
        let chain = CertificateDer::pem_file_iter(self.path("server.pem")).unwrap();
        let chain = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = async move {
            let mut passing = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, server) = (acceptor.clone(), server.clone());
                passing.spawn(async move {
                    let mut inside = acceptor.accept(stream).await.ok()?;
                    let mut outside = TcpStream::connect(server).await.ok()?;
                    copy_bidirectional(&mut inside, &mut outside).await.ok()
                });
            }
        };
        #[expect(clippy::disallowed_methods, reason = "it ends with the runtime of its test")]
        drop(tokio::spawn(accepting));
        port
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command.current_dir(&self.folder).args(arguments.split_whitespace()).output();
        let output = output.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {error}");
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
