//! A server under measurement: started on its cores, watched, and stopped.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

use super::catalog::{Contender, Database, Scenario};
use super::peers::Peer;

const READY_WITHIN: Duration = Duration::from_secs(180);
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Where servers find what they need.
#[derive(Debug, Clone)]
pub struct Place {
    /// The fixture (JOB.md); logs and SQLite files lie beside it.
    pub directory: PathBuf,
    /// A PostgreSQL superuser's address, if there is one.
    pub postgres: Option<String>,
}

impl Place {
    /// The usual folder.
    #[must_use]
    pub fn usual() -> PathBuf {
        std::env::temp_dir().join("troupe-suite")
    }

    /// Makes the fixture; tokens are good for a day, so it is made anew each time.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(directory: PathBuf, postgres: Option<String>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        let contender = std::env::current_exe()?.with_file_name("contender");
        let made = Command::new(&contender).arg("fixture").arg(&directory).status();
        let made = made.with_context(|| contender.display().to_string())?;
        ensure!(made.success(), "the fixture was not made: {made}");
        Ok(Self { directory, postgres })
    }
}

/// A running server.
pub struct Server {
    child: Child,
    lines: Arc<AtomicU64>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts one of our own contenders.
    ///
    /// # Errors
    /// When it does not say that it is ready.
    pub fn contender(
        contender: &Contender,
        scenario: &Scenario,
        place: &Place,
        wrapper: &[&str],
    ) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = on_cores(scenario.cores);
        command.args(wrapper);
        command.arg(std::env::current_exe()?.with_file_name("contender"));
        command.arg(contender.program.as_ref().unwrap_or(&contender.name));
        command.arg(address.to_string()).arg(&place.directory);
        if scenario.cores > 1 {
            command.args(["--threads", &scenario.cores.to_string()]);
        }
        if let Some(quota) = scenario.quota {
            command.args(["--quota", &quota.to_string()]);
        }
        if let Some(url) = database(&contender.name, scenario, place)? {
            prepare(place, &url)?;
            command.args(["--database", &url]);
        }
        command.args(&contender.arguments);
        Self::start(command, address, &place.directory.join(format!("{}.log", contender.name)))
    }

    /// Starts a peer of another language.
    ///
    /// # Errors
    /// When it does not say that it is ready.
    pub fn peer(peer: &Peer, scenario: &Scenario, place: &Place) -> anyhow::Result<Self> {
        if let Some(request) = &peer.request {
            let mut prepare = Command::new(peer.folder().join(&request.prepare));
            let status = prepare.arg(&place.directory).stdin(Stdio::null()).status()?;
            ensure!(status.success(), "{}: {status}", request.prepare);
        }
        let address = free_address()?;
        let mut command = on_cores(scenario.cores);
        command.arg(peer.folder().join("serve"));
        command.arg(address.to_string()).arg(&place.directory);
        command.env("BENCH_THREADS", scenario.cores.to_string());
        if let Some(quota) = scenario.quota {
            command.env("BENCH_QUOTA", quota.to_string());
        }
        Self::start(command, address, &place.directory.join(format!("{}.log", peer.name)))
    }

    fn start(mut command: Command, address: SocketAddr, log: &Path) -> anyhow::Result<Self> {
        let errors = File::create(log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).process_group(0);
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let output = child.stdout.take();
        let lines = Arc::new(AtomicU64::new(0));
        let mut server = Self { child, lines: lines.clone(), address };
        let ready = output.map(|output| wait_until_ready(output, lines));
        match ready.unwrap_or(Err(RecvTimeoutError::Disconnected)) {
            Ok(()) => Ok(server),
            Err(why) => {
                let status = server.child.try_wait()?.map(|status| status.to_string());
                let status = status.unwrap_or_else(|| format!("{why}"));
                let said = std::fs::read_to_string(log).unwrap_or_default();
                bail!("not ready ({status}): {}", said.lines().last().unwrap_or_default())
            }
        }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lines that it printed besides the one that says that it is ready; ours log there.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// Sends a signal by its name without `SIG`.
    ///
    /// # Errors
    /// When the name is not known or the server is gone.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        send_signal(self.pid(), name)
    }

    /// Asks it to end and waits; what does not end is killed.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.signal("TERM")?;
        let until = Instant::now() + STOP_WITHIN;
        while Instant::now() < until {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // What fails here is gone already.
            drop(send_signal(self.pid(), "KILL"));
            drop(self.child.wait());
        }
    }
}

/// Sends a signal to a server's process group.
///
/// # Errors
/// When the name is not known or the server is gone.
pub fn send_signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let signal = match name {
        "TERM" => Signal::TERM,
        "KILL" => Signal::KILL,
        "USR1" => Signal::USR1,
        "STOP" => Signal::STOP,
        "CONT" => Signal::CONT,
        other => bail!("no signal `{other}`: TERM, KILL, USR1, STOP or CONT"),
    };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process id")?;
    Ok(kill_process_group(pid, signal)?)
}

/// Two programs that become the server, so that the process id is its own: it dies with the suite,
/// however that ends, and it stays on its cores.
fn on_cores(cores: usize) -> Command {
    let mut command = Command::new("setpriv");
    let last = cores.saturating_sub(1);
    command.args(["--pdeathsig", "KILL", "taskset", "--cpu-list", &format!("0-{last}")]);
    command
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Waits for the line and reads on, so that the pipe never fills.
fn wait_until_ready(output: ChildStdout, lines: Arc<AtomicU64>) -> Result<(), RecvTimeoutError> {
    let (sender, ready) = sync_channel(1);
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if !line.starts_with("ready ") {
                lines.fetch_add(1, Ordering::Relaxed);
            } else if sender.try_send(()).is_err() {
                return;
            }
        }
    });
    ready.recv_timeout(READY_WITHIN)
}

/// A fresh database for this contender.
fn database(name: &str, scenario: &Scenario, place: &Place) -> anyhow::Result<Option<String>> {
    match scenario.database {
        Database::None => Ok(None),
        Database::Sqlite => {
            let file = place.directory.join(format!("{name}.sqlite"));
            for suffix in ["", "-wal", "-shm"] {
                let mut part = file.clone().into_os_string();
                part.push(suffix);
                match std::fs::remove_file(&part) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error).context(format!("{}", part.display()));
                    }
                    _ => {}
                }
            }
            Ok(Some(format!("sqlite:{}", file.display())))
        }
        Database::Postgres => {
            let server = place.postgres.as_deref().context("no PostgreSQL: give --postgres URL")?;
            let database = format!("bench_{}", name.replace('-', "_"));
            psql(server, &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"))?;
            psql(server, &format!("CREATE DATABASE {database}"))?;
            let (base, _) = server.rsplit_once('/').context("the URL ends with /DATABASE")?;
            Ok(Some(format!("{base}/{database}")))
        }
    }
}

/// Makes the tables and the fixture's rows.
fn prepare(place: &Place, url: &str) -> anyhow::Result<()> {
    let mut command = Command::new(std::env::current_exe()?.with_file_name("contender"));
    command.arg("prepare").arg(&place.directory).args(["--database", url]);
    let status = command.stdin(Stdio::null()).status().context("contender prepare")?;
    ensure!(status.success(), "contender prepare: {status}");
    Ok(())
}

/// Runs one statement and gives the answer.
///
/// # Errors
/// When there is no client or the server refuses.
pub fn psql(server: &str, statement: &str) -> anyhow::Result<String> {
    let output = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", statement])
        .arg(server)
        .stdin(Stdio::null())
        .output()
        .context("psql")?;
    if !output.status.success() {
        bail!("psql: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
