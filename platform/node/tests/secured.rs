//! TLS to a node: certificates that `openssl` makes for a test, and connections that trust one of them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::data::Directory;

const PATIENCE: Duration = Duration::from_secs(30);

/// Makes a certificate with its key, `NAME.pem` and `NAME.key`; says that the test is skipped when
/// openssl is not installed.
pub fn make_certificate(directory: &Directory, name: &str) -> bool {
    let arguments = format!(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
         -keyout {name}.key -out {name}.pem -subj /CN={name} -addext subjectAltName=DNS:localhost \
         -addext basicConstraints=critical,CA:FALSE"
    );
    let mut command = Command::new("openssl");
    match command.current_dir(directory.path()).args(arguments.split_whitespace()).output() {
        Ok(output) => {
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "openssl {arguments}: {error}");
            true
        }
        Err(_) => {
            let test = std::thread::current().name().unwrap_or("?").to_owned();
            let line = "TROUPE-SKIPPED node TLS";
            drop(writeln!(std::io::stderr(), "{line}: {test} (openssl is not installed here)"));
            false
        }
    }
}

/// Puts a certificate where the node reads it.
pub fn install(directory: &Directory, name: &str) {
    for end in ["pem", "key"] {
        let from = directory.join(&format!("{name}.{end}"));
        std::fs::copy(from, directory.join(&format!("node.{end}"))).expect("both are there");
    }
}

/// A connection that trusts one certificate alone.
pub struct Secured(StreamOwned<ClientConnection, TcpStream>);

impl Secured {
    /// Connects and makes the handshake.
    pub fn connect(base: &str, directory: &Directory, name: &str) -> std::io::Result<Self> {
        let mut roots = RootCertStore::empty();
        let file = directory.join(&format!("{name}.pem"));
        let certificate = CertificateDer::from_pem_file(file).expect("a certificate");
        roots.add(certificate).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let host = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(Arc::new(config), host).expect("a configuration");
        let stream = TcpStream::connect(base.strip_prefix("https://").expect("it speaks TLS"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut secured = StreamOwned::new(client, stream);
        while secured.conn.is_handshaking() {
            secured.conn.complete_io(&mut secured.sock)?;
        }
        Ok(Self(secured))
    }

    pub fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("the connection stands");
        self.0.flush().expect("the connection stands");
    }

    /// Reads one answer with a `content-length`: its status and its body.
    pub fn answer(&mut self) -> (u16, String) {
        let mut bytes = Vec::new();
        let end = loop {
            let mut byte = [0];
            assert_eq!(self.0.read(&mut byte).expect("an answer"), 1, "the connection was closed");
            bytes.push(byte[0]);
            if bytes.ends_with(b"\r\n\r\n") {
                break String::from_utf8(bytes).expect("a head is text");
            }
        };
        let status = end.split(' ').nth(1).and_then(|status| status.parse().ok());
        let length = end.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).expect("the whole body");
        (status.expect("a status"), String::from_utf8(body).expect("JSON"))
    }

    /// Sends a request without a body on this connection, which stays open.
    pub fn get(&mut self, path: &str, token: &str) -> (u16, String) {
        self.write(&format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
        ));
        self.answer()
    }
}
