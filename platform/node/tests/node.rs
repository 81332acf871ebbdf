//! A node in a process of its own, and single commands.
//!
//! A node is ended by its own process id, also when its test fails; the end of its log is shown then.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use crate::data::Directory;
use crate::web::Web;

const READY_WITHIN: Duration = Duration::from_secs(60);
const END_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// What a node of these tests is given unless the test gives it something else: a free port, no
/// limits on the rate, and password hashes that are quick to make.
const SETTINGS: [&str; 5] = [
    "edge.listen=127.0.0.1:0",
    "edge.address_limit.quota=0",
    "edge.principal_limit.quota=0",
    "auth.password_hash.memory_kib=8192",
    "auth.password_hash.iterations=1",
];

/// The binary, with nothing of this process's environment.
pub fn troupe(directory: &Directory) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_troupe"));
    command.env_clear().current_dir(directory.path()).stdin(Stdio::null());
    if let Some(wire) = wire() {
        command.env("TROUPE_NODE__WIRE", wire);
    }
    command
}

#[expect(clippy::disallowed_methods, reason = "how the suite is told which wire to run")]
fn wire() -> Option<String> {
    ["TROUPE_NODE__WIRE", "TROUPE_WIRE"].into_iter().find_map(|name| std::env::var(name).ok())
}

/// Runs a command on a data directory to its end.
pub fn run(directory: &Directory, words: &[&str]) -> Ended {
    Ended::of(troupe(directory).args(words).output().expect("the binary runs"), words)
}

/// Runs a command that reads `input`.
pub fn run_with_input(directory: &Directory, words: &[&str], input: &str) -> Ended {
    let mut child = troupe(directory)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("it has a standard input");
    // A command that refuses its flags does not read.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    Ended::of(child.wait_with_output().expect("the binary ends"), words)
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    fn of(output: Output, words: &[&str]) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        let code = output.status.code();
        let code = code.unwrap_or_else(|| panic!("{words:?} was ended by a signal: {out}{err}"));
        Self { code, out, err }
    }

    /// It succeeded; answers what it printed.
    pub fn good(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// It ended with `code`, and its message says each of these.
    pub fn refused(self, code: i32, says: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.err.starts_with("troupe: "), "{self:?}");
        for part in says {
            assert!(self.err.contains(part), "no {part:?} in {}", self.err);
        }
        self
    }
}

/// A node that serves.
pub struct Node {
    child: Child,
    directory: Directory,
    words: Vec<String>,
    pub base: String,
    pub web: Web,
}

impl Node {
    /// Starts a node on SQLite.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a node with further settings, `section.key=value`.
    pub fn with(settings: &[&str]) -> Self {
        Self::within(Directory::new(), settings)
    }

    /// Starts a node in a directory that has its configuration.
    pub fn within(directory: Directory, settings: &[&str]) -> Self {
        let mut words = vec!["serve".to_owned(), "--data".to_owned(), "data".to_owned()];
        for setting in SETTINGS.iter().chain(settings) {
            words.extend(["--set".to_owned(), (*setting).to_owned()]);
        }
        let (child, base) = launch(&directory, &words);
        let web = Web::new(&base);
        Self { child, directory, words, base, web }
    }

    /// Starts a node on a database, or on SQLite when there is none.
    pub fn on(database: Option<&str>) -> Self {
        match database {
            Some(url) => Self::with(&[&format!("database.url={url}")]),
            None => Self::start(),
        }
    }

    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// What it has printed and logged so far.
    pub fn log(&self) -> String {
        read_log(&self.directory)
    }

    /// The token of the set-up link.
    pub fn setup_token(&self) -> String {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("/setup#token=")).expect("a link");
        line.split_once("token=").expect("a token").1.trim().to_owned()
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits until it has ended.
    pub fn ended(&mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                return status;
            }
            assert!(since.elapsed() < END_WITHIN, "the node does not end: {}", self.log());
            std::thread::sleep(POLL);
        }
    }

    /// Starts it again on the same data, after it ended.
    pub fn again(&mut self) {
        let (child, base) = launch(&self.directory, &self.words);
        self.child = child;
        self.web = Web::new(&base);
        self.base = base;
    }
}

impl Drop for Node {
    #[expect(clippy::print_stdout, reason = "shown with the failure of its test")]
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let end = &lines[lines.len().saturating_sub(20)..];
            println!("the node's log ends with:\n{}", end.join("\n"));
        }
    }
}

fn read_log(directory: &Directory) -> String {
    std::fs::read_to_string(directory.join("node.log")).unwrap_or_default()
}

/// Starts it and waits until it is ready; answers where it listens.
fn launch(directory: &Directory, words: &[String]) -> (Child, String) {
    let log = File::create(directory.join("node.log")).expect("a log");
    let errors = log.try_clone().expect("a second handle");
    let mut child =
        troupe(directory).args(words).stdout(log).stderr(errors).spawn().expect("the binary runs");
    let since = Instant::now();
    loop {
        let text = read_log(directory);
        if text.contains("\"message\":\"ready\"") {
            let line = text.lines().find(|line| line.contains(" serves http"));
            let (_, base) = line.expect("it greets").split_once(" serves ").expect("an address");
            return (child, base.trim().to_owned());
        }
        let ended = child.try_wait().expect("it is a child");
        if ended.is_some() || since.elapsed() > READY_WITHIN {
            drop(child.kill());
            drop(child.wait());
            panic!("the node is not ready ({ended:?}): {text}");
        }
        std::thread::sleep(POLL);
    }
}
