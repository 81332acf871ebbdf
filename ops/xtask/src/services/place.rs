//! The folder of one service: its data, its logs and the processes that were started in it.
//!
//! A process is remembered by its id and the time of its start, so that nothing is ever ended that
//! got the id later.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::process::succeeds;

/// How long a server may take to end after it was asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// The folder of one service.
#[derive(Debug, Clone)]
pub(super) struct Place {
    folder: PathBuf,
}

/// A process that was started in a [`Place`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: u32,
    /// In clock ticks since the machine started, as the kernel tells it.
    started: u64,
    /// Since its start was written down.
    pub(super) age: Duration,
}

impl Place {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a folder in it.
    pub(super) fn make(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    /// Writes a file in it.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Starts a server in the background: it outlives us, and its streams go to `NAME.log`.
    pub(super) fn spawn(&self, name: &str, mut command: Command) -> Result<()> {
        let log = self.folder.join(format!("{name}.log"));
        let log = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = command.spawn().with_context(|| {
            format!("cannot start {}", Path::new(command.get_program()).display())
        })?;
        let id = child.id();
        let started = start_of(id).with_context(|| format!("{name} ended at once"))?;
        self.write(&format!("{name}.pid"), &format!("{id} {started}\n")).map(drop)
    }

    /// The processes of the folder that still run.
    pub(super) fn running(&self) -> Vec<Process> {
        let mut processes = self.remembered();
        processes.retain(Process::lives);
        processes
    }

    /// Whether processes were started and all of them still run.
    pub(super) fn all_run(&self) -> bool {
        let processes = self.remembered();
        !processes.is_empty() && processes.iter().all(Process::lives)
    }

    /// Ends the processes by a signal, and by force those that do not heed it.
    pub(super) fn stop(&self, signal: &str) -> Result<()> {
        self.stop_within(ENDS_WITHIN, signal)
    }

    fn stop_within(&self, patience: Duration, signal: &str) -> Result<()> {
        let processes = self.running();
        for process in &processes {
            process.signal(signal);
        }
        if !end_within(&processes, patience) {
            for process in &processes {
                process.signal("KILL");
            }
            ensure!(
                end_within(&processes, ENDS_WITHIN),
                "processes of {} do not end",
                self.folder.display()
            );
        }
        Ok(())
    }

    /// The end of every log in it.
    pub(super) fn logs(&self, lines_max: usize) -> String {
        let mut shown = String::new();
        for path in self.files("log") {
            let text = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            shown.push_str(&format!("-- {name}\n"));
            for line in &lines[lines.len().saturating_sub(lines_max)..] {
                shown.push_str(line);
                shown.push('\n');
            }
        }
        shown
    }

    fn remembered(&self) -> Vec<Process> {
        self.files("pid").iter().filter_map(|path| Process::read(path)).collect()
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|found| found == extension));
        files.sort();
        files
    }
}

impl Process {
    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let (id, started) = text.trim().split_once(' ')?;
        let age = fs::metadata(path).ok()?.modified().ok()?.elapsed().unwrap_or_default();
        Some(Self { id: id.parse().ok()?, started: started.parse().ok()?, age })
    }

    fn lives(&self) -> bool {
        start_of(self.id) == Some(self.started)
    }

    /// Sends a signal to the process and those that it started in its group.
    fn signal(&self, signal: &str) {
        if self.lives() {
            let mut kill = Command::new("sh");
            kill.args(["-c", "kill -s \"$1\" -- \"-$2\"", "sh", signal, &self.id.to_string()]);
            // It may have ended meanwhile; whether it did is looked at afterwards.
            succeeds(kill);
        }
    }
}

fn end_within(processes: &[Process], patience: Duration) -> bool {
    let start = Instant::now();
    while processes.iter().any(Process::lives) {
        if start.elapsed() > patience {
            return false;
        }
        thread::sleep(POLL);
    }
    true
}

/// When a process started, unless it ended (and perhaps waits for its parent to notice).
fn start_of(id: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may contain anything; the state comes next (proc(5), fields 3 and 22).
    let (_, after) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let state = *fields.first()?;
    if state == "Z" || state == "X" { None } else { fields.get(19)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Place {
        let folder =
            std::env::temp_dir().join(format!("xtask-place-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder can be written");
        Place::new(folder)
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_stopped_server_is_gone_with_the_processes_that_it_started() {
        let place = place("gone");
        place.spawn("server", shell("sleep 600 & echo $!; wait")).expect("sh exists");
        while !place.logs(1).contains('\n') || place.logs(1).lines().count() < 2 {
            thread::sleep(POLL);
        }
        let child: u32 =
            place.logs(1).lines().nth(1).and_then(|line| line.parse().ok()).expect("an id");
        assert!(place.all_run() && start_of(child).is_some());
        place.stop("TERM").expect("sleep heeds a signal");
        assert!(!place.all_run());
        assert!(end_within(
            &[Process { id: child, started: start_of(child).unwrap_or(0), age: POLL }],
            ENDS_WITHIN
        ));
        fs::remove_dir_all(place.folder()).expect("it is ours");
    }

    #[test]
    fn a_process_that_got_the_id_later_is_left_alone() {
        let place = place("later");
        let mut other = shell("exec sleep 600").spawn().expect("sh exists");
        place.write("server.pid", &format!("{} 1\n", other.id())).expect("it is ours");
        place.stop("KILL").expect("there is nothing to end");
        assert!(place.running().is_empty());
        assert!(other.try_wait().expect("it is our child").is_none(), "it was ended");
        other.kill().expect("it runs");
        other.wait().expect("it was killed");
        fs::remove_dir_all(place.folder()).expect("it is ours");
    }

    #[test]
    fn a_server_that_does_not_heed_the_signal_is_ended_by_force() {
        let place = place("force");
        place
            .spawn("server", shell("trap '' TERM; echo on; while :; do sleep 0.1; done"))
            .expect("sh exists");
        while !place.logs(1).contains("on") {
            thread::sleep(POLL);
        }
        let patience = Duration::from_millis(300);
        place.stop_within(patience, "TERM").expect("force helps");
        assert!(!place.all_run());
        fs::remove_dir_all(place.folder()).expect("it is ours");
    }
}
