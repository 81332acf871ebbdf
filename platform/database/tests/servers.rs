//! PostgreSQL servers of one test, which it may secure, pause, kill and promote.
//!
//! Each has a folder and a free port of its own on loopback, and goes away with the test.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

static NUMBER: AtomicU32 = AtomicU32::new(1);
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Nothing needs to survive; commits reach a replica all the same.
const SETTINGS: &str = "fsync=off\nfull_page_writes=off\nmax_connections=60\nshared_buffers=16MB\n\
                        wal_level=replica\nmax_wal_senders=8\nwal_keep_size=64MB\nhot_standby=on\n\
                        listen_addresses='127.0.0.1'\nunix_socket_directories=''\n\
                        wal_receiver_status_interval=1s\nwal_retrieve_retry_interval=200ms\n";

/// A server that runs until it is dropped.
pub(crate) struct Server {
    folder: PathBuf,
    port: u16,
}

impl Server {
    /// A new server with the settings added, which `prepare` may give files; none, and a line that
    /// says so, where PostgreSQL is not installed.
    pub(crate) fn start(settings: &str, prepare: impl FnOnce(&Self)) -> Option<Self> {
        let server = Self::prepared()?;
        let mut initdb = server.program("initdb");
        initdb.arg("--pgdata").arg(server.data()).args(["--username=postgres", "--auth=trust"]);
        initdb.args(["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
        done(initdb);
        server.configure(&format!("{SETTINGS}{settings}port={}\n", server.port));
        prepare(&server);
        server.launch();
        Some(server)
    }

    /// A streaming replica of this server.
    pub(crate) fn replica(&self) -> Self {
        let replica = Self::prepared().expect("there are programs, for the primary runs");
        let mut copy = replica.program("pg_basebackup");
        copy.arg("--pgdata").arg(replica.data()).args(["--write-recovery-conf", "--no-sync"]);
        copy.args(["--checkpoint=fast", "--wal-method=stream", "--host=127.0.0.1"]);
        copy.args(["--username=postgres", &format!("--port={}", self.port)]);
        done(copy);
        replica.configure(&format!("port={}\n", replica.port));
        replica.launch();
        replica
    }

    /// Puts a file beside its data, where its configuration may name it.
    pub(crate) fn put(&self, name: &str, content: &str) {
        let path = self.data().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        give(&path);
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its database, as `database.url` names it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Adds settings, in effect from the next start.
    pub(crate) fn configure(&self, settings: &str) {
        let path = self.data().join("postgresql.conf");
        let mut file = std::fs::File::options().append(true).open(path).unwrap();
        file.write_all(settings.as_bytes()).unwrap();
    }

    pub(crate) fn launch(&self) {
        let mut start = self.program("pg_ctl");
        start.args(["start", "--silent", "--wait", "--timeout=60", "--pgdata"]).arg(self.data());
        start.arg("--log").arg(self.folder.join("server.log"));
        done(start);
    }

    /// Stops it as a crash would.
    pub(crate) fn kill(&self) {
        let mut stop = self.program("pg_ctl");
        stop.args(["stop", "--silent", "--wait", "--mode=immediate", "--pgdata"]).arg(self.data());
        drop(stop.output());
    }

    /// Makes a replica a primary.
    pub(crate) fn promote(&self) {
        let mut promote = self.program("pg_ctl");
        promote.args(["promote", "--silent", "--wait", "--pgdata"]).arg(self.data());
        done(promote);
    }

    /// Sends a signal to every process of the server: `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let main = pid.lines().next().unwrap().to_owned();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &main]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        let all = children.split_whitespace().chain([main.as_str()]);
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).args(all);
        // One of them may have ended meanwhile.
        drop(kill.output());
    }

    /// What a statement answers, by a connection of its own.
    pub(crate) fn ask(&self, sql: &str) -> String {
        let mut psql = self.program("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--host=127.0.0.1"]);
        psql.args(["--username=postgres", "--dbname=postgres", "--command", sql]);
        psql.arg(format!("--port={}", self.port));
        done(psql).trim().to_owned()
    }

    fn prepared() -> Option<Self> {
        if programs().is_none() {
            let test = std::thread::current().name().unwrap_or("?").to_owned();
            let line = "TROUPE-SKIPPED postgres servers";
            drop(writeln!(std::io::stderr(), "{line}: {test} (no PostgreSQL is installed here)"));
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("troupe-server-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        give(&folder);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Some(Self { folder, port })
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn program(&self, name: &str) -> Command {
        let programs = programs().expect("there are programs, for a server was made");
        let mut command = Command::new(programs.join(name));
        command.current_dir("/").env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        if let Some((user, group)) = account() {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal_if_there("CONT");
        self.kill();
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl Server {
    fn signal_if_there(&self, name: &str) {
        if self.data().join("postmaster.pid").is_file() {
            self.signal(name);
        }
    }
}

/// Waits until it is so.
///
/// # Panics
/// When it is not within a minute.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < READY_WITHIN, "{what} within {} s", READY_WITHIN.as_secs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs a program to its end.
fn done(mut command: Command) -> String {
    // A server that stays keeps its ends of pipes open: its output goes to a file.
    let is_start = command.get_args().any(|argument| argument == "start");
    if is_start {
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "{command:?}");
        return String::new();
    }
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Gives a path to the account of the servers.
fn give(path: &Path) {
    if let Some((user, group)) = account() {
        std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
    }
}

/// The user and group `postgres` when we are root, which no server runs as.
fn account() -> Option<(u32, u32)> {
    let own = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").ok()?);
    if own != 0 {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = accounts.lines().find(|line| line.starts_with("postgres:"))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The newest programs that Debian keeps off the path.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let versions = versions.map(|entry| entry.path());
    let newest = versions.filter(|path| path.join("bin/initdb").is_file());
    newest.max_by_key(|path| version(path)).map(|path| path.join("bin"))
}
