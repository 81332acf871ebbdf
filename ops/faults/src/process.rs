//! A process that is killed, paused and started again exactly as it was.
//!
//! Signals go to the process and everything it started (PostgreSQL's servers leave its group), each by its
//! id, and never to another that got the id later.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::watch::until;

/// How long a process may take to end after a signal.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// How a process is started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    /// By what name it is called, where that is not its own: some do other things under another.
    pub(crate) called: Option<OsString>,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) directory: PathBuf,
    /// User and group, where they are not ours.
    pub(crate) account: Option<(u32, u32)>,
    /// Its output is added to this file.
    pub(crate) log: PathBuf,
}

/// A process by its id and the time of its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) number: u32,
    pub(crate) started: u64,
}

impl Launch {
    /// How a process that runs was started.
    pub(crate) fn of_running(id: Id, log: PathBuf) -> Result<Self> {
        let folder = PathBuf::from(format!("/proc/{}", id.number));
        let words = |name: &str| -> Result<Vec<OsString>> {
            let bytes = fs::read(folder.join(name)).with_context(|| format!("/proc: no {name}"))?;
            let words = bytes.split(|&byte| byte == 0);
            Ok(words.map(|word| OsString::from_vec(word.to_vec())).collect())
        };
        let mut arguments = words("cmdline")?;
        arguments.pop();
        ensure!(!arguments.is_empty(), "the process {} shows no command line", id.number);
        let called = Some(arguments.remove(0));
        let environment = words("environ")?
            .into_iter()
            .filter_map(|pair| {
                let text = pair.to_string_lossy().into_owned();
                let (name, value) = text.split_once('=')?;
                Some((name.into(), value.into()))
            })
            .collect();
        let status = fs::read_to_string(folder.join("status")).context("/proc: no status")?;
        let account = |name: &str| -> Option<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        let account = account("Uid:").zip(account("Gid:"));
        Ok(Self {
            program: fs::read_link(folder.join("exe")).context("/proc: no program")?,
            called,
            arguments,
            environment,
            directory: fs::read_link(folder.join("cwd")).context("/proc: no directory")?,
            account: account.filter(|&(user, _)| user != rustix::process::getuid().as_raw()),
            log,
        })
    }

    /// Starts it in a group of its own.
    pub(crate) fn start(&self) -> Result<(Child, Id)> {
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut command = Command::new(&self.program);
        if let Some(name) = &self.called {
            command.arg0(name);
        }
        command.args(&self.arguments).env_clear().envs(self.environment.iter().cloned());
        command.current_dir(&self.directory).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        let shown = self.program.display();
        let child = command.spawn().with_context(|| format!("cannot start {shown}"))?;
        let number = child.id();
        let started = start_of(number).with_context(|| format!("{shown} ended at once"))?;
        Ok((child, Id { number, started }))
    }
}

impl Id {
    /// Whether it runs, paused or not.
    pub(crate) fn lives(self) -> bool {
        start_of(self.number) == Some(self.started)
    }

    /// It and all that it started, parents first.
    pub(crate) fn family(self) -> Vec<Self> {
        let mut children: BTreeMap<u32, Vec<Self>> = BTreeMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if let Some(fields) = fields_of(number) {
                children
                    .entry(fields.parent)
                    .or_default()
                    .push(Self { number, started: fields.started });
            }
        }
        let mut family = vec![self];
        let mut next = 0;
        while let Some(member) = family.get(next).copied() {
            family.extend(children.remove(&member.number).into_iter().flatten());
            next += 1;
        }
        family
    }

    /// Sends a signal to it and all that it started.
    pub(crate) fn signal(self, signal: Signal) -> Result<()> {
        for member in self.family() {
            member.signal_alone(signal)?;
        }
        Ok(())
    }

    fn signal_alone(self, signal: Signal) -> Result<()> {
        if !self.lives() {
            return Ok(());
        }
        let raw = i32::try_from(self.number).ok().and_then(Pid::from_raw);
        let Some(pid) = raw else { bail!("{} is no process id", self.number) };
        match kill_process(pid, signal) {
            // It ended meanwhile.
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("a signal to {}", self.number)),
        }
    }

    /// Kills it with all that it started and waits until they are gone.
    pub(crate) fn kill(self) -> Result<()> {
        let family = self.family();
        for member in &family {
            member.signal_alone(Signal::KILL)?;
        }
        let gone = until(ENDS_WITHIN, || !family.iter().any(|member| member.lives()));
        ensure!(gone, "the process {} does not end", self.number);
        Ok(())
    }

    /// Asks it to end, and kills it when it does not.
    pub(crate) fn stop(self, signal: Signal) -> Result<()> {
        let family = self.family();
        self.signal_alone(signal)?;
        if until(ENDS_WITHIN, || !family.iter().any(|member| member.lives())) {
            return Ok(());
        }
        self.kill()
    }

    /// Memory that it takes, in KiB.
    pub(crate) fn memory_kib(self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.number)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }
}

struct Fields {
    parent: u32,
    started: u64,
}

/// From `/proc/ID/stat` (proc(5), fields 3, 4 and 22); none when it ended.
fn fields_of(number: u32) -> Option<Fields> {
    let text = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // The name, in brackets, may contain anything.
    let (_, after) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    Some(Fields { parent: fields.get(1)?.parse().ok()?, started: fields.get(19)?.parse().ok()? })
}

fn start_of(number: u32) -> Option<u64> {
    fields_of(number).map(|fields| fields.started)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str, log: &str) -> Launch {
        Launch {
            program: "/bin/sh".into(),
            called: None,
            arguments: vec!["-c".into(), text.into()],
            environment: vec![("FAULTS".into(), "yes".into())],
            directory: "/".into(),
            account: None,
            log: std::env::temp_dir().join(format!("faults-{log}-{}", std::process::id())),
        }
    }

    #[test]
    fn a_process_is_killed_with_what_it_started_and_starts_again_as_it_was() {
        let launch = shell("sleep 600 & wait", "kill");
        let (mut child, id) = launch.start().expect("sh exists");
        assert!(until(ENDS_WITHIN, || id.family().len() == 2), "{:?}", id.family());
        let again = Launch::of_running(id, launch.log.clone()).expect("it runs");
        let family = id.family();
        // Whoever started it must take notice of its end.
        let reaper = std::thread::spawn(move || child.wait());
        id.kill().expect("it can be killed");
        reaper.join().expect("no panic").expect("it ended");
        assert!(!family.iter().any(|member| member.lives()));
        assert_eq!((&again.arguments, &again.directory), (&launch.arguments, &launch.directory));
        assert!(again.environment.contains(&("FAULTS".into(), "yes".into())));
        fs::remove_file(&launch.log).expect("our own file");
    }

    #[test]
    fn a_paused_process_lives_and_does_nothing() {
        let launch = shell("while :; do echo on; sleep 0.05; done", "pause");
        let (mut child, id) = launch.start().expect("sh exists");
        let written = || fs::metadata(&launch.log).map_or(0, |file| file.len());
        assert!(until(ENDS_WITHIN, || written() > 0));
        id.signal(Signal::STOP).expect("it runs");
        std::thread::sleep(Duration::from_millis(200));
        let before = written();
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(written(), before);
        assert!(id.lives());
        id.signal(Signal::CONT).expect("it runs");
        assert!(until(ENDS_WITHIN, || written() > before));
        let reaper = std::thread::spawn(move || child.wait());
        id.kill().expect("it can be killed");
        reaper.join().expect("no panic").expect("it ended");
        fs::remove_file(&launch.log).expect("our own file");
    }
}
