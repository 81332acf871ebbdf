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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::services::install::Cache;
    use crate::services::kafka::Kafka;
    use crate::services::settings::Port;
    use crate::services::unit::Unit;

    fn settings() -> Settings {
        Settings::read(None, Purpose::Tests, Cache::new(false).expect("a home")).expect("a folder")
    }

    /// All services, Kafka with three brokers.
    fn native() -> Vec<Unit> {
        let settings = settings();
        let mut units = crate::services::all(&settings).expect("the usual ports");
        units.retain(|unit| unit.name() != "kafka");
        let kafka = Kafka::of(3, &settings).expect("the usual ports");
        units.push(Unit::new(Box::new(kafka), &settings));
        units
    }

    fn file() -> Value {
        let text = std::fs::read_to_string(FILE).expect("ops/compose.yaml is there");
        serde_saphyr::from_str(&text).expect("it is YAML")
    }

    fn services(file: &Value) -> impl Iterator<Item = (&str, &Value)> {
        let services = file["services"].as_object().expect("a table of services");
        services.iter().map(|(name, service)| (name.as_str(), service))
    }

    /// `127.0.0.1:${VARIABLE:-NUMBER}:INSIDE`: the variable and the number. One that is on the network
    /// of the host has `--web.listen-address=127.0.0.1:${VARIABLE:-NUMBER}` instead.
    fn published(service: &Value) -> Vec<(String, u16)> {
        if service["network_mode"] == "host" {
            let words = service["command"].as_array().expect("a list of words");
            let read = |word: &Value| {
                let (_, text) = word.as_str()?.split_once("=127.0.0.1:${")?;
                let (variable, number) = text.strip_suffix('}')?.split_once(":-")?;
                Some((variable.to_owned(), number.parse().ok()?))
            };
            return words.iter().filter_map(read).collect();
        }
        let ports = service["ports"].as_array().expect("a list of ports");
        let read = |port: &Value| {
            let text = port.as_str()?.strip_prefix("127.0.0.1:${")?;
            let (variable, rest) = text.split_once(":-")?;
            let (number, _inside) = rest.split_once("}:")?;
            Some((variable.to_owned(), number.parse().ok()?))
        };
        ports.iter().map(|port| read(port).unwrap_or_else(|| panic!("{port}"))).collect()
    }

    #[test]
    fn the_same_services_run_in_docker_and_natively() {
        let file = file();
        let in_docker: BTreeSet<&str> = services(&file).map(|(name, _)| name).collect();
        let native = native();
        let natively: Vec<String> =
            native.iter().flat_map(|unit| unit.service.containers()).collect();
        assert_eq!(in_docker, natively.iter().map(String::as_str).collect());
    }

    #[test]
    fn a_service_has_the_same_ports_and_variables_in_docker_and_natively() {
        let file = file();
        for unit in native() {
            let containers = unit.service.containers();
            let of = |(name, _): &(&str, &Value)| containers.iter().any(|known| known == name);
            let published: Vec<(String, u16)> =
                services(&file).filter(of).flat_map(|(_, service)| published(service)).collect();
            let numbers: BTreeSet<u16> = published.iter().map(|(_, number)| *number).collect();
            let ports = unit.service.ports();
            // What only processes of a service say to each other is not published.
            assert!(numbers.iter().all(|number| ports.iter().any(|port| port.number == *number)));
            let told: String = unit.exports().into_iter().map(|(_, value)| value + " ").collect();
            for Port { number, variable } in ports {
                let needed = told.contains(&format!(":{number}"));
                assert_eq!(needed, numbers.contains(&number), "{}: {number}", unit.name());
                let first = published.iter().find(|(_, found)| *found == number);
                let name = first.map_or(variable.clone(), |(name, _)| name.clone());
                let given = unit.service.compose_variables(&Place::new("place".into()));
                let known = name == variable || given.iter().any(|(given, _)| *given == name);
                assert!(known, "{}: nothing sets {name}", unit.name());
            }
        }
    }

    #[test]
    fn a_container_has_a_fixed_version_a_health_check_and_a_volume_that_is_declared() {
        let file = file();
        for (name, service) in services(&file) {
            let image = service["image"].as_str().expect("an image");
            let tag = image.rsplit_once(':').map_or("latest", |(_, tag)| tag);
            assert!(tag.contains(|c: char| c.is_ascii_digit()), "{name}: {image}");
            assert!(service["healthcheck"]["test"].is_array(), "{name} has no health check");
            let volumes = service["volumes"].as_array().expect("volumes");
            let named = |volume: &Value| {
                volume.as_str().is_some_and(|v| v.starts_with(&format!("{name}:")))
            };
            assert!(volumes.iter().any(named), "{name} has no volume of its name");
            assert!(file["volumes"].get(name).is_some(), "{name}: its volume is not declared");
        }
    }

    #[test]
    fn postgres_in_docker_has_the_settings_of_the_native_one() {
        let settings = Postgres::settings(Purpose::Tests);
        let options: Vec<String> = settings.iter().map(|setting| format!("-c {setting}")).collect();
        let file = file();
        for name in ["postgres", "postgres-replica"] {
            let command = file["services"][name]["command"].as_str().expect("one line");
            assert!(command.contains(&options.join(" ")), "{name}: {command}");
        }
    }
}
