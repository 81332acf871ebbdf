//! A mail sink, Mailpit: SMTP that insists on STARTTLS and a login, and an HTTP interface to read
//! what came.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::install::go::Go;
use super::install::{Cache, on_path};
use super::place::Place;
use super::settings::{Port, Settings};
use super::{Export, Service, ask};
use crate::process::capture;

const MAILPIT: Go =
    Go { package: "github.com/axllent/mailpit", version: "v1.33.1", program: "mailpit" };
const USER: &str = "troupe";
const PASSWORD: &str = "troupe-secret";
/// Mails that are kept; the oldest go first.
const MAILS_MAX: &str = "5000";
/// Every recipient but those below `.invalid` (RFC 2606), so that tests meet a refusal; the expressions of
/// Go cannot say "not".
const RECIPIENTS: &str =
    "[^d]$|[^i]d$|[^l]id$|[^a]lid$|[^v]alid$|[^n]valid$|[^i]nvalid$|[^.]invalid$";
/// The folder of keys and certificates.
const TLS: &str = "tls";

/// One sink.
pub(super) struct Mail {
    smtp: Port,
    api: Port,
}

impl Mail {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        Ok(Self { smtp: settings.port("SMTP", 11025)?, api: settings.port("MAIL_API", 18025)? })
    }
}

impl Service for Mail {
    fn name(&self) -> &'static str {
        "mail"
    }

    fn ports(&self) -> Vec<Port> {
        vec![self.smtp.clone(), self.api.clone()]
    }

    fn exports(&self, folder: &Path) -> Vec<Export> {
        let authority = folder.join(TLS).join("authority.pem");
        vec![
            (
                "TROUPE_TEST_SMTP_URL",
                format!("smtp://{USER}:{PASSWORD}@localhost:{}", self.smtp.number),
            ),
            ("TROUPE_TEST_SMTP_CA", authority.display().to_string()),
            ("TROUPE_TEST_MAIL_API", self.api.url()),
        ]
    }

    fn install(&self, cache: &Cache) -> Result<()> {
        on_path("openssl", "`apt-get install openssl`")?;
        MAILPIT.program(cache).map(drop)
    }

    fn prepare(&self, place: &Place) -> Result<()> {
        let folder = place.make(TLS)?;
        place.write("tls/users", &format!("{USER}:{PASSWORD}\n"))?;
        certify(&folder)
    }

    fn start(&self, cache: &Cache, place: &Place) -> Result<()> {
        let tls = place.folder().join(TLS);
        let mut server = Command::new(MAILPIT.program(cache)?);
        server.args(["--smtp", &format!("127.0.0.1:{}", self.smtp.number)]);
        server.args(["--listen", &format!("127.0.0.1:{}", self.api.number)]);
        server.arg("--smtp-tls-cert").arg(tls.join("server.pem"));
        server.arg("--smtp-tls-key").arg(tls.join("server.key"));
        server.arg("--smtp-auth-file").arg(tls.join("users"));
        server.args(["--smtp-require-starttls", "--smtp-disable-rdns"]);
        server.args(["--smtp-allowed-recipients", RECIPIENTS]);
        server.args(["--disable-version-check", "--max", MAILS_MAX]);
        server.arg("--database").arg(place.make("data")?.join("mails.db"));
        place.spawn("server", server)
    }

    fn healthy(&self) -> Result<()> {
        ask::get(self.api.number, "/readyz")?;
        ask::exchange(self.smtp.number, "EHLO probe\r\nQUIT\r\n", "STARTTLS").map(drop)
    }

    fn compose_variables(&self, place: &Place) -> Vec<(String, String)> {
        let folder = place.folder().join(TLS).display().to_string();
        [("TLS", folder.as_str()), ("CERTIFICATE", "/tls/server.pem"), ("KEY", "/tls/server.key")]
            .map(|(name, value)| (format!("TROUPE_SERVICES_MAIL_{name}"), value.to_owned()))
            .into()
    }
}

/// Makes an authority and a certificate of it for this machine; what is there is kept.
fn certify(folder: &Path) -> Result<()> {
    if folder.join("server.pem").is_file() {
        return Ok(());
    }
    fs::write(
        folder.join("extensions"),
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n\
         extendedKeyUsage=serverAuth\n",
    )?;
    let key =
        ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"];
    let mut authority = openssl(folder, &["req", "-x509"])?;
    authority.args(key).args(["-keyout", "authority.key", "-out", "authority.pem"]);
    authority.args(["-subj", "/CN=Authority of Troupe's tests"]);
    capture(authority)?;
    let mut request = openssl(folder, &["req"])?;
    request.args(&key[..5]).args(["-keyout", "server.key", "-out", "server.csr"]);
    request.args(["-subj", "/CN=localhost"]);
    capture(request)?;
    let mut sign = openssl(folder, &["x509", "-req", "-in", "server.csr", "-days", "3650"])?;
    sign.args(["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial"]);
    sign.args(["-extfile", "extensions", "-out", "server.pem"]);
    capture(sign).map(drop)
}

fn openssl(folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(on_path("openssl", "`apt-get install openssl`")?);
    command.args(arguments).current_dir(folder);
    Ok(command)
}
