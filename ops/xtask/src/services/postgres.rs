//! PostgreSQL for the tests, and a replica that streams from it: on loopback only, without a
//! password, and without a promise to keep data over a power failure, because the folder is thrown
//! away. For measurements it is another server, at the next port, which keeps that promise: it is
//! part of what a write costs.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::account::Account;
use super::install::Cache;
use super::place::Place;
use super::settings::{Port, Settings};
use super::{Export, Purpose, Service, ask};
use crate::process::{capture, variable};

/// A test runs in a database of its own, many at once; nothing needs to survive.
const FOR_TESTS: &[&str] = &[
    "max_connections=400",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum_naptime=10s",
    // A new database is written to the log whole: half of it compressed, and enough of it kept for a
    // replica that falls behind.
    "wal_compression=lz4",
    "wal_keep_size=1GB",
];
/// What an operator would not change: fsync and all that belongs to it are on.
const FOR_MEASUREMENTS: &[&str] = &["max_connections=400"];

/// One server.
pub(super) struct Postgres {
    port: Port,
    /// The port of the one that it follows.
    primary: Option<Port>,
    purpose: Purpose,
}

impl Postgres {
    pub(super) fn primary(settings: &Settings) -> Result<Self> {
        let port = settings.port("POSTGRES", 15432)?;
        Ok(Self { port, primary: None, purpose: settings.purpose })
    }

    pub(super) fn replica(settings: &Settings) -> Result<Self> {
        let port = settings.port("POSTGRES_REPLICA", 15442)?;
        let primary = Some(Self::primary(settings)?.port);
        Ok(Self { port, primary, purpose: settings.purpose })
    }

    /// The options of the server, in the compose file too.
    pub(super) fn settings(purpose: Purpose) -> &'static [&'static str] {
        match purpose {
            Purpose::Tests => FOR_TESTS,
            Purpose::Measurements => FOR_MEASUREMENTS,
        }
    }

    /// Makes the data of a server that starts, as the account that it will run as.
    fn make_data(&self, data: &Path, account: Option<Account>) -> Result<()> {
        let mut make = match &self.primary {
            None => {
                let mut initdb = program("initdb", account)?;
                initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8"]);
                initdb.arg("--locale=C.UTF-8");
                initdb
            }
            Some(primary) => {
                let mut copy = program("pg_basebackup", account)?;
                copy.args(["--host=127.0.0.1", "--username=postgres", "--write-recovery-conf"]);
                copy.args(["--checkpoint=fast", &format!("--port={}", primary.number)]);
                copy
            }
        };
        make.arg("--no-sync").arg("--pgdata").arg(data);
        capture(make).map(drop)
    }
}

impl Service for Postgres {
    fn name(&self) -> &'static str {
        if self.primary.is_some() { "postgres-replica" } else { "postgres" }
    }

    fn needs(&self) -> Option<&'static str> {
        self.primary.as_ref().map(|_| "postgres")
    }

    fn ports(&self) -> Vec<Port> {
        vec![self.port.clone()]
    }

    fn exports(&self, _folder: &Path) -> Vec<Export> {
        let variable = match self.primary {
            Some(_) => "TROUPE_TEST_POSTGRES_REPLICA_URL",
            None => "TROUPE_TEST_POSTGRES",
        };
        vec![(variable, format!("postgres://postgres@127.0.0.1:{}/postgres", self.port.number))]
    }

    fn install(&self, _cache: &Cache) -> Result<()> {
        programs().map(drop)
    }

    fn start(&self, _cache: &Cache, place: &Place) -> Result<()> {
        let account = Account::for_server("postgres")?;
        let data = place.make("data")?;
        // What the server insists on.
        fs::set_permissions(&data, Permissions::from_mode(0o700))?;
        if let Some(account) = account {
            account.give(&data)?;
        }
        self.make_data(&data, account)?;
        let mut server = program("postgres", account)?;
        server.arg("-D").arg(&data).args(["-p", &self.port.number.to_string()]);
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        for setting in Self::settings(self.purpose) {
            server.args(["-c", setting]);
        }
        place.spawn("server", server)
    }

    fn healthy(&self) -> Result<()> {
        match self.primary {
            Some(_) => {
                let answer = query(self.port.number, "SELECT status FROM pg_stat_wal_receiver")?;
                ensure!(answer.contains("streaming"), "it does not stream from the primary");
            }
            None => query(self.port.number, "SELECT 1").map(drop)?,
        }
        Ok(())
    }

    /// An immediate shutdown: no checkpoint, but shared memory is given back.
    fn stop_signal(&self) -> &'static str {
        "QUIT"
    }
}

/// Asks a server that trusts us; its answer to the end, in the form of the protocol.
fn query(port: u16, sql: &str) -> Result<String> {
    /// Version 3.0, then pairs of names and values.
    const START: &[u8] = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    let mut stream = ask::connect(port)?;
    send(&mut stream, None, START)?;
    until_ready(&mut stream)?;
    send(&mut stream, Some(b'Q'), format!("{sql}\0").as_bytes())?;
    let answer = until_ready(&mut stream)?;
    send(&mut stream, Some(b'X'), b"")?;
    Ok(answer)
}

fn send(stream: &mut impl Write, kind: Option<u8>, body: &[u8]) -> Result<()> {
    let length = u32::try_from(body.len() + 4)?;
    let mut message = Vec::from_iter(kind);
    message.extend(length.to_be_bytes());
    message.extend(body);
    stream.write_all(&message).context("it does not listen any more")
}

/// Reads messages until the server waits for a query.
fn until_ready(stream: &mut impl Read) -> Result<String> {
    /// Bytes of one message.
    const MESSAGE_BYTES_MAX: usize = 64 * 1024;
    let mut answer = String::new();
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).context("no answer of the server")?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        ensure!((4..MESSAGE_BYTES_MAX).contains(&length), "what listens there is not PostgreSQL");
        let mut body = vec![0; length - 4];
        stream.read_exact(&mut body).context("half an answer of the server")?;
        let text = String::from_utf8_lossy(&body);
        match head[0] {
            b'Z' => return Ok(answer),
            b'E' => anyhow::bail!("it says {}", text.replace('\0', " ").trim()),
            _ => answer.push_str(&text),
        }
    }
}

/// A program of the server, run as the account from a folder that it can read.
fn program(name: &str, account: Option<Account>) -> Result<Command> {
    let mut command = Command::new(programs()?.join(name));
    command.current_dir("/").env("LC_ALL", "C.UTF-8");
    if let Some(account) = account {
        account.run(&mut command);
    }
    Ok(command)
}

/// The folder with the newest `initdb`: Debian keeps it off the path, one per version.
fn programs() -> Result<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = Vec::new();
    for entry in fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let programs = entry.path().join("bin");
        if let Ok(version) = entry.file_name().to_string_lossy().parse()
            && programs.join("initdb").is_file()
        {
            versions.push((version, programs));
        }
    }
    if let Some((_, programs)) = versions.into_iter().max() {
        return Ok(programs);
    }
    let paths = variable("PATH").unwrap_or_default();
    std::env::split_paths(&paths).find(|path| path.join("initdb").is_file()).context(
        "there is no PostgreSQL here: `apt-get install postgresql`, or give the address of a server in \
         TROUPE_TEST_POSTGRES",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::settings::Settings;

    #[test]
    fn a_server_for_measurements_is_another_one_and_syncs() {
        let server = |purpose| {
            let settings = Settings::read(None, purpose, Cache::new(false).expect("a home"))
                .expect("a folder");
            Postgres::primary(&settings).expect("a port")
        };
        let (tests, measured) = (server(Purpose::Tests), server(Purpose::Measurements));
        assert!(Postgres::settings(Purpose::Tests).contains(&"fsync=off"));
        let settings = Postgres::settings(Purpose::Measurements);
        assert!(settings.iter().all(|setting| !setting.contains("off")));
        assert_ne!(tests.port, measured.port);
    }
}
