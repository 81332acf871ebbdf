//! PostgreSQL for the tests: on loopback only, without a password, and without a promise to keep
//! data over a power failure, because the folder is thrown away. For measurements it is another
//! server, at the next port, which keeps that promise: it is part of what a write costs.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::account::Account;
use super::docker::{Container, Provider};
use super::{BackingService, Purpose, State};
use crate::process::{capture, succeeds, variable};

const PORT: u16 = 55432;
const IMAGE: &str = "postgres:17-alpine";
const READY_WITHIN: Duration = Duration::from_secs(60);
const LOG_LINES: u32 = 100;
/// An option of Docker.
const TRUST: &[&str] = &["--env", "POSTGRES_HOST_AUTH_METHOD=trust"];

/// A test runs in a database of its own, many at once; nothing needs to survive.
const FOR_TESTS: &[&str] = &[
    "max_connections=400",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum_naptime=10s",
];
/// What an operator would not change: fsync and all that belongs to it are on.
const FOR_MEASUREMENTS: &[&str] = &["max_connections=400"];

/// One server, known by its port.
pub(super) struct Postgres {
    port: u16,
    folder: PathBuf,
    container: String,
    purpose: Purpose,
}

impl Postgres {
    /// A server whose folder lies in `services`.
    pub(super) fn new(services: &Path, purpose: Purpose) -> Result<Self> {
        let port = match variable("TROUPE_SERVICES_POSTGRES_PORT") {
            Some(text) => text
                .parse()
                .with_context(|| format!("TROUPE_SERVICES_POSTGRES_PORT={text} is not a port"))?,
            None => PORT,
        };
        let port = if purpose == Purpose::Measurements { port + 1 } else { port };
        let name = format!("postgres-{port}");
        let container = format!("troupe-{name}");
        Ok(Self { port, folder: services.join(&name), container, purpose })
    }

    fn settings(&self) -> &'static [&'static str] {
        match self.purpose {
            Purpose::Tests => FOR_TESTS,
            Purpose::Measurements => FOR_MEASUREMENTS,
        }
    }

    fn container<'a>(&'a self, arguments: &'a [&'a str]) -> Container<'a> {
        Container {
            name: &self.container,
            image: IMAGE,
            ports: (self.port, 5432),
            options: match self.purpose {
                Purpose::Tests => &[TRUST, &["--tmpfs", "/var/lib/postgresql/data"]],
                Purpose::Measurements => &[TRUST],
            },
            arguments,
        }
    }

    /// Where it was started, remembered in a file so that `down` stops the right one.
    fn provider(&self) -> Option<Provider> {
        match fs::read_to_string(self.folder.join("provider")).ok()?.as_str() {
            "docker" => Some(Provider::Docker),
            _ => Some(Provider::Native),
        }
    }

    fn answers(&self, provider: Provider) -> bool {
        match provider {
            Provider::Docker => self.container(&[]).answers(&[
                "pg_isready",
                "--quiet",
                "--host=127.0.0.1",
                "--username=postgres",
            ]),
            Provider::Native => programs().is_ok_and(|programs| {
                let mut probe = Command::new(programs.join("pg_isready"));
                probe.args([
                    "--quiet",
                    "--host=127.0.0.1",
                    "--username=postgres",
                    "--dbname=postgres",
                ]);
                probe.arg(format!("--port={}", self.port));
                succeeds(probe)
            }),
        }
    }

    fn prepare(&self, provider: Provider) -> Result<()> {
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot create {}", self.folder.display()))?;
        let word = if provider == Provider::Docker { "docker" } else { "native" };
        fs::write(self.folder.join("provider"), word).context("cannot remember where it runs")
    }

    fn up_docker(&self) -> Result<()> {
        self.prepare(Provider::Docker)?;
        let arguments: Vec<&str> =
            self.settings().iter().flat_map(|setting| ["-c", setting]).collect();
        let container = self.container(&arguments);
        if container.exists() {
            container.remove()?;
        }
        container.run()?;
        self.wait(Provider::Docker)
    }

    fn up_native(&self) -> Result<()> {
        let programs = programs()?;
        let account = Account::for_server("postgres")?;
        self.prepare(Provider::Native)?;
        if let Some(account) = account {
            account.give(&self.folder)?;
        }
        let data = self.folder.join("data");
        if !data.join("PG_VERSION").is_file() {
            let mut initdb = server(&programs, "initdb", account);
            initdb.arg("--pgdata").arg(&data).args(["--username=postgres", "--auth=trust"]);
            initdb.args(["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
            capture(initdb)?;
        }
        let mut options =
            format!("-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''", self.port);
        for setting in self.settings() {
            options.push_str(&format!(" -c {setting}"));
        }
        let mut start = server(&programs, "pg_ctl", account);
        start.args(["start", "--silent", "--wait", "--timeout=60", "--options", &options]);
        start.arg("--pgdata").arg(&data).arg("--log").arg(self.folder.join("server.log"));
        ensure!(
            succeeds(start),
            "pg_ctl start failed; its log:\n{}",
            self.logs().unwrap_or_default()
        );
        self.wait(Provider::Native)
    }

    /// Starts it there, or leaves nothing.
    fn up_on(&self, provider: Provider) -> Result<()> {
        let result = match provider {
            Provider::Docker => self.up_docker(),
            Provider::Native => self.up_native(),
        };
        if result.is_err() {
            self.down().context("cleaning up after a failed start")?;
        }
        result
    }

    fn wait(&self, provider: Provider) -> Result<()> {
        let start = Instant::now();
        while !self.answers(provider) {
            if start.elapsed() > READY_WITHIN {
                bail!(
                    "no answer within {} s; its log:\n{}",
                    READY_WITHIN.as_secs(),
                    self.logs().unwrap_or_default()
                );
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn stop_native(&self) -> Result<()> {
        let data = self.folder.join("data");
        if !data.join("postmaster.pid").is_file() {
            return Ok(());
        }
        let mut stop = server(&programs()?, "pg_ctl", Account::for_server("postgres")?);
        stop.args(["stop", "--silent", "--wait", "--mode=immediate", "--pgdata"]).arg(&data);
        // A stale pid file makes pg_ctl fail although nothing runs: only an answer is a failure.
        ensure!(
            succeeds(stop) || !self.answers(Provider::Native),
            "pg_ctl stop failed and it still answers"
        );
        Ok(())
    }
}

impl BackingService for Postgres {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![(
            "TROUPE_TEST_POSTGRES",
            format!("postgres://postgres@127.0.0.1:{}/postgres", self.port),
        )]
    }

    fn state(&self) -> State {
        match self.provider() {
            None => State::Stopped,
            Some(provider) if self.answers(provider) => {
                let place = match provider {
                    Provider::Docker => format!("container {}", self.container),
                    Provider::Native => format!("natively in {}", self.folder.display()),
                };
                State::Running(place)
            }
            Some(_) => {
                State::Broken(format!("{} is there but nothing answers", self.folder.display()))
            }
        }
    }

    fn up(&self) -> Result<()> {
        match self.state() {
            State::Running(_) => return Ok(()),
            State::Broken(_) => self.down()?,
            State::Stopped => {}
        }
        TcpListener::bind(("127.0.0.1", self.port)).with_context(|| {
            format!(
                "port {} is taken by another program: set TROUPE_SERVICES_POSTGRES_PORT",
                self.port
            )
        })?;
        let provider = Provider::choose()?;
        let mut result = self.up_on(provider);
        if let Err(error) = &result
            && provider == Provider::Docker
            && programs().is_ok()
        {
            println!("PostgreSQL: not in Docker ({error:#}); natively instead");
            result = self.up_on(Provider::Native);
        }
        result
    }

    fn down(&self) -> Result<()> {
        match self.provider() {
            Some(Provider::Docker) if self.container(&[]).exists() => {
                self.container(&[]).remove()?
            }
            Some(Provider::Native) => self.stop_native()?,
            _ => {}
        }
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)
                .with_context(|| format!("cannot remove {}", self.folder.display()))?;
        }
        Ok(())
    }

    fn logs(&self) -> Result<String> {
        match self.provider() {
            None => Ok("it does not run".to_owned()),
            Some(Provider::Docker) => self.container(&[]).logs(LOG_LINES),
            Some(Provider::Native) => {
                let text = fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                Ok(lines[lines.len().saturating_sub(LOG_LINES as usize)..].join("\n"))
            }
        }
    }
}

/// A program of the server, run as the account from a folder that it can read.
fn server(programs: &Path, name: &str, account: Option<Account>) -> Command {
    let mut command = Command::new(programs.join(name));
    command.current_dir("/").env("LC_ALL", "C.UTF-8");
    if let Some(account) = account {
        account.run(&mut command);
    }
    command
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
        "no Docker engine answers and there is no PostgreSQL here: `apt-get install postgresql`, or give the \
         address of a server in TROUPE_TEST_POSTGRES",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_for_measurements_is_another_one_and_syncs() {
        let server = |purpose| Postgres::new(Path::new("services"), purpose).expect("a port");
        let (tests, measured) = (server(Purpose::Tests), server(Purpose::Measurements));
        assert!(tests.settings().contains(&"fsync=off"));
        assert!(measured.settings().iter().all(|setting| !setting.contains("off")));
        assert_ne!(tests.folder, measured.folder);
        assert_ne!(tests.container, measured.container);
    }
}
