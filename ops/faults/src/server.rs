//! One server of the run, under the name by which faults know it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::plan::Target;
use crate::process::{Id, Launch};

/// A server: how it is started, and the process that it is now.
pub(crate) struct Server {
    pub(crate) target: Target,
    launch: Launch,
    /// Where `cargo xtask services` remembers the process.
    pid_file: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    id: Id,
    /// Ours to take notice of when it ends.
    child: Option<Child>,
    /// Whether it is meant to run.
    wanted: bool,
}

impl Server {
    /// One that `cargo xtask services` started in this folder.
    pub(crate) fn adopt(target: Target, folder: &Path) -> Result<Self> {
        let pid_file = fs::read_dir(folder)
            .with_context(|| format!("{} does not run", target.name()))?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "pid"))
            .with_context(|| format!("{} has no process in {}", target.name(), folder.display()))?;
        let text = fs::read_to_string(&pid_file)?;
        let (number, started) = text.trim().split_once(' ').context("a file of a process id")?;
        let id = Id { number: number.parse()?, started: started.parse()? };
        ensure!(id.lives(), "{} has ended", target.name());
        let mut launch = Launch::of_running(id, pid_file.with_extension("log"))?;
        if target == Target::Redis {
            // It writes its address over its command line.
            launch.called = Some("redis-server".into());
            launch.arguments = redis_arguments(folder)?;
        }
        let state = Mutex::new(State { id, child: None, wanted: true });
        Ok(Self { target, launch, pid_file: Some(pid_file), state })
    }

    /// One of our own, started.
    pub(crate) fn start_new(target: Target, launch: Launch) -> Result<Self> {
        let (child, id) = launch.start()?;
        let state = Mutex::new(State { id, child: Some(child), wanted: true });
        Ok(Self { target, launch, pid_file: None, state })
    }

    /// The process that it is now.
    pub(crate) fn id(&self) -> Id {
        self.state().id
    }

    /// Whether it ended although nobody made it.
    pub(crate) fn ended_by_itself(&self) -> bool {
        let state = self.state();
        state.wanted && !state.id.lives()
    }

    pub(crate) fn log(&self) -> &Path {
        &self.launch.log
    }

    /// Ends it as a loss of its machine would.
    pub(crate) fn kill(&self) -> Result<()> {
        let mut state = self.state();
        state.wanted = false;
        let killed = state.id.kill();
        state.reap();
        killed.with_context(|| format!("killing {}", self.target.name()))
    }

    /// Ends it in order.
    pub(crate) fn stop(&self) -> Result<()> {
        let signal = match self.target {
            // Fast: it ends the sessions instead of waiting for them.
            Target::Postgres | Target::Replica => Signal::INT,
            _ => Signal::TERM,
        };
        let mut state = self.state();
        state.wanted = false;
        let stopped = state.id.stop(signal);
        state.reap();
        stopped.with_context(|| format!("stopping {}", self.target.name()))
    }

    pub(crate) fn pause(&self) -> Result<()> {
        self.id().signal(Signal::STOP)
    }

    pub(crate) fn resume(&self) -> Result<()> {
        self.id().signal(Signal::CONT)
    }

    /// Starts it as it was started at first.
    pub(crate) fn start(&self) -> Result<()> {
        let mut state = self.state();
        let (child, id) = self.launch.start()?;
        *state = State { id, child: Some(child), wanted: true };
        if let Some(file) = &self.pid_file {
            fs::write(file, format!("{} {}\n", id.number, id.started))?;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It is gone; this only takes notice.
            drop(child.wait());
        }
    }
}

/// How `cargo xtask services` starts Redis: it keeps nothing.
fn redis_arguments(folder: &Path) -> Result<Vec<OsString>> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let port = name.rsplit('-').next().context("a folder is named after its port")?.to_owned();
    let words =
        ["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no", "--dir"];
    let mut arguments: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    arguments.push(folder.join("data").into());
    Ok(arguments)
}
