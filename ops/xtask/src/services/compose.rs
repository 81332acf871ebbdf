//! The services in Docker, by `ops/compose.yaml`, when an engine answers.

use std::process::Command;

use anyhow::Result;

use super::place::Place;
use super::postgres::Postgres;
use super::settings::Settings;
use super::{Purpose, Service};
use crate::process::{capture, succeeds};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../compose.yaml");

/// One service of the file.
pub(super) struct Compose<'a> {
    pub(super) service: &'a dyn Service,
    pub(super) settings: &'a Settings,
    pub(super) place: &'a Place,
}

impl Compose<'_> {
    /// Whether there is an engine and its Compose.
    pub(super) fn answers() -> bool {
        let ask = |arguments: &[&str]| {
            let mut docker = Command::new("docker");
            docker.args(arguments);
            succeeds(docker)
        };
        ask(&["info"]) && ask(&["compose", "version"])
    }

    /// Starts it and returns when it is healthy.
    pub(super) fn up(&self) -> Result<()> {
        let mut up = self.command("up");
        up.args(["--detach", "--wait", "--no-deps"]).args(self.service.containers());
        capture(up).map(drop)
    }

    /// Stops it and removes it with its volumes.
    pub(super) fn remove(&self) -> Result<()> {
        let mut remove = self.command("rm");
        remove.args(["--force", "--stop", "--volumes"]).args(self.service.containers());
        capture(remove)?;
        for container in self.service.containers() {
            let mut volume = Command::new("docker");
            volume.args(["volume", "rm", "--force", &format!("{}_{container}", self.project())]);
            capture(volume)?;
        }
        // The last service that goes takes the network along; before, it is in use and stays.
        let mut network = Command::new("docker");
        network.args(["network", "rm", &format!("{}_default", self.project())]);
        succeeds(network);
        Ok(())
    }

    /// The end of its logs.
    pub(super) fn logs(&self, lines: usize) -> Result<String> {
        let mut logs = self.command("logs");
        logs.args(["--no-color", "--tail", &lines.to_string()]).args(self.service.containers());
        capture(logs)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new("docker");
        command.args(["compose", "--project-name", &self.project(), "--file", FILE]);
        command.args(["--profile", "*", name]);
        for port in self.service.ports() {
            command.env(&port.variable, port.number.to_string());
        }
        let settings = Postgres::settings(self.settings.purpose);
        let options: Vec<String> = settings.iter().map(|setting| format!("-c {setting}")).collect();
        command.env("TROUPE_SERVICES_POSTGRES_OPTIONS", options.join(" "));
        command.envs(self.service.compose_variables(self.place));
        command
    }

    /// The name of all that Docker makes.
    fn project(&self) -> String {
        match self.settings.purpose {
            Purpose::Tests => "troupe-services".to_owned(),
            Purpose::Measurements => "troupe-measurements".to_owned(),
        }
    }
}
