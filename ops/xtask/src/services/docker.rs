//! Docker as a place to run a backing service, when an engine answers.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{capture, succeeds, variable};

/// What decides between Docker and the packages of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    Docker,
    Native,
}

impl Provider {
    /// The wish of `TROUPE_SERVICES_PROVIDER`, else Docker when its engine answers.
    pub(super) fn choose() -> Result<Self> {
        match variable("TROUPE_SERVICES_PROVIDER").as_deref() {
            Some("docker") => Ok(Self::Docker),
            Some("native") => Ok(Self::Native),
            Some(other) => bail!("TROUPE_SERVICES_PROVIDER={other}: docker or native"),
            None if engine_answers() => Ok(Self::Docker),
            None => Ok(Self::Native),
        }
    }
}

/// A container with one published port.
pub(super) struct Container<'a> {
    /// Its name, unique on the machine.
    pub(super) name: &'a str,
    /// What is run in it.
    pub(super) image: &'a str,
    /// `HOST:INSIDE`, published on 127.0.0.1.
    pub(super) ports: (u16, u16),
    /// Further options of `docker run`, each with its words.
    pub(super) options: &'a [&'a [&'a str]],
    /// Arguments of the program in it.
    pub(super) arguments: &'a [&'a str],
}

impl Container<'_> {
    /// Starts it in the background.
    pub(super) fn run(&self) -> Result<()> {
        let published = format!("127.0.0.1:{}:{}", self.ports.0, self.ports.1);
        let mut command =
            docker(&["run", "--detach", "--name", self.name, "--publish", &published]);
        command.args(self.options.concat()).arg(self.image).args(self.arguments);
        capture(command).map(drop)
    }

    /// Whether a command succeeds inside.
    pub(super) fn answers(&self, command: &[&str]) -> bool {
        let mut probe = docker(&["exec", self.name]);
        probe.args(command);
        succeeds(probe)
    }

    /// Whether there is such a container, running or not.
    pub(super) fn exists(&self) -> bool {
        succeeds(docker(&["container", "inspect", self.name]))
    }

    /// Stops it and removes it with its volumes.
    pub(super) fn remove(&self) -> Result<()> {
        capture(docker(&["rm", "--force", "--volumes", self.name])).map(drop)
    }

    /// The end of its log.
    pub(super) fn logs(&self, lines: u32) -> Result<String> {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "docker logs --tail \"$1\" \"$2\" 2>&1",
            "sh",
            &lines.to_string(),
            self.name,
        ]);
        capture(command)
    }
}

fn engine_answers() -> bool {
    succeeds(docker(&["info"]))
}

fn docker(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(arguments);
    command
}
