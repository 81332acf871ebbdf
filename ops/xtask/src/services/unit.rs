//! A service with the place where it runs: starts it, asks how it stands, stops it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::compose::Compose;
use super::install::NotHere;
use super::place::Place;
use super::settings::{Provider, Settings};
use super::{Export, Service};

const READY_WITHIN: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(100);
/// Lines of each log that are shown.
const LOG_LINES_MAX: usize = 100;

/// One service and where it runs.
pub(crate) struct Unit {
    pub(super) service: Box<dyn Service>,
    settings: Settings,
    place: Place,
}

/// How a service stands, found by asking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It answers; says from where it runs.
    Running(String),
    /// It does not run and left nothing.
    Stopped,
    /// It left data behind but is not well.
    Broken(String),
}

impl Unit {
    pub(super) fn new(service: Box<dyn Service>, settings: &Settings) -> Self {
        let port = service.ports().first().map_or(0, |port| port.number);
        let folder = settings.directory.join(format!("{}-{port}", service.name()));
        Self { service, settings: settings.clone(), place: Place::new(folder) }
    }

    pub(super) fn name(&self) -> &'static str {
        self.service.name()
    }

    /// What the tests are told.
    pub(super) fn exports(&self) -> Vec<Export> {
        self.service.exports(self.place.folder())
    }

    pub(super) fn state(&self) -> State {
        let provider = match self.provider() {
            None => return State::Stopped,
            Some(provider) => provider,
        };
        if provider == Provider::Native && !self.place.all_run() {
            return State::Broken(format!("it ended and left {}", self.place.folder().display()));
        }
        match self.service.healthy() {
            Ok(()) => State::Running(self.whereabouts(provider)),
            Err(error) => State::Broken(format!("{error:#}")),
        }
    }

    pub(super) fn runs(&self) -> bool {
        matches!(self.state(), State::Running(_))
    }

    /// Starts it unless it runs; [`Unit::wait`] says when it answers. `false`: it ran already.
    pub(super) fn start(&self) -> Result<bool> {
        match self.state() {
            State::Running(_) => return Ok(false),
            State::Broken(_) => self.down()?,
            State::Stopped => {}
        }
        self.check_ports()?;
        let provider = match self.settings.provider {
            Some(provider) => provider,
            None if Compose::answers() => Provider::Docker,
            None => Provider::Native,
        };
        let mut result = self.start_on(provider);
        if let Err(error) = &result
            && provider == Provider::Docker
        {
            println!("{}: not in Docker ({error:#}); natively instead", self.name());
            result = self.start_on(Provider::Native);
        }
        result.map(|()| true)
    }

    /// Waits until it answers; one that does not is stopped and leaves nothing.
    pub(super) fn wait(&self) -> Result<()> {
        let start = Instant::now();
        while let Err(error) = self.service.healthy() {
            let ended = self.provider() == Some(Provider::Native) && !self.place.all_run();
            if ended || start.elapsed() > READY_WITHIN {
                let why = if ended { "it ended".to_owned() } else { format!("{error:#}") };
                let log = self.logs().unwrap_or_default();
                self.down().context("cleaning up after a failed start")?;
                bail!("not ready after {} s: {why}; its log:\n{log}", start.elapsed().as_secs());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Stops it and removes what it wrote. Nothing happens when it does not run.
    pub(super) fn down(&self) -> Result<()> {
        match self.provider() {
            Some(Provider::Docker) => self.compose().remove()?,
            Some(Provider::Native) => self.place.stop(self.service.stop_signal())?,
            None => {}
        }
        let folder = self.place.folder();
        if folder.exists() {
            fs::remove_dir_all(folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        Ok(())
    }

    /// The end of its logs.
    pub(super) fn logs(&self) -> Result<String> {
        match self.provider() {
            None => Ok("it does not run".to_owned()),
            Some(Provider::Docker) => self.compose().logs(LOG_LINES_MAX),
            Some(Provider::Native) => Ok(self.place.logs(LOG_LINES_MAX)),
        }
    }

    /// Starts it there, or leaves nothing.
    fn start_on(&self, provider: Provider) -> Result<()> {
        if provider == Provider::Native {
            let installed = self.service.install(&self.settings.cache);
            installed.map_err(|error| NotHere(format!("{error:#}")))?;
        }
        self.place.make("")?;
        let word = if provider == Provider::Docker { "docker" } else { "native" };
        self.place.write("provider", word)?;
        let result = self.service.prepare(&self.place).and_then(|()| match provider {
            Provider::Docker => self.compose().up(),
            Provider::Native => self.service.start(&self.settings.cache, &self.place),
        });
        if result.is_err() {
            self.down().context("cleaning up after a failed start")?;
        }
        result
    }

    fn check_ports(&self) -> Result<()> {
        for port in self.service.ports() {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port.number)).with_context(|| {
                format!("port {} is taken by another program: set {}", port.number, port.variable)
            })?;
        }
        Ok(())
    }

    /// Where it was started, remembered in a file so that `down` stops the right one.
    fn provider(&self) -> Option<Provider> {
        match fs::read_to_string(self.place.folder().join("provider")).ok()?.as_str() {
            "docker" => Some(Provider::Docker),
            _ => Some(Provider::Native),
        }
    }

    fn compose(&self) -> Compose<'_> {
        Compose { service: self.service.as_ref(), settings: &self.settings, place: &self.place }
    }

    fn whereabouts(&self, provider: Provider) -> String {
        let ports: Vec<String> =
            self.service.ports().iter().map(|port| port.number.to_string()).collect();
        let ports = format!("127.0.0.1:{}", ports.join(","));
        if provider == Provider::Docker {
            return format!("{ports}, in Docker");
        }
        let processes = self.place.running();
        let ids: Vec<String> = processes.iter().map(|process| process.id.to_string()).collect();
        let age = processes.iter().map(|process| process.age).max().unwrap_or_default();
        let folder = self.place.folder().display();
        format!("{ports}, pid {}, for {} s, in {folder}", ids.join(","), age.as_secs())
    }
}

/// Starts services side by side, each after the one that it needs, and waits until they answer. What
/// came of each: whether it was started (`false`: it ran already) or why it does not run.
pub(super) fn start_all<'a>(
    units: impl Iterator<Item = &'a Unit>,
) -> Vec<(&'a Unit, Result<bool>)> {
    let mut done: Vec<(&Unit, Result<bool>)> = Vec::new();
    let mut waiting = Vec::new();
    for unit in units {
        if let Some(needed) = unit.service.needs() {
            await_all(&mut waiting, &mut done);
            if !done.iter().any(|(unit, result)| unit.name() == needed && result.is_ok()) {
                let why = NotHere(format!("it needs {needed}, which was not started here"));
                done.push((unit, Err(why.into())));
                continue;
            }
        }
        match unit.start() {
            Ok(ours) => waiting.push((unit, ours)),
            Err(error) => done.push((unit, Err(error))),
        }
    }
    await_all(&mut waiting, &mut done);
    done
}

fn await_all<'a>(waiting: &mut Vec<(&'a Unit, bool)>, done: &mut Vec<(&'a Unit, Result<bool>)>) {
    for (unit, ours) in waiting.drain(..) {
        done.push((unit, unit.wait().map(|()| ours)));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use anyhow::ensure;

    use super::super::Purpose;
    use super::super::install::Cache;
    use super::super::settings::Port;
    use super::*;

    /// A server of a shell script, healthy once its folder has a file `ready`.
    struct Script {
        name: &'static str,
        needs: Option<&'static str>,
        text: String,
        port: u16,
        folder: std::path::PathBuf,
    }

    impl Service for Script {
        fn name(&self) -> &'static str {
            self.name
        }

        fn needs(&self) -> Option<&'static str> {
            self.needs
        }

        fn ports(&self) -> Vec<Port> {
            vec![Port { variable: "TROUPE_SERVICES_SCRIPT_PORT".to_owned(), number: self.port }]
        }

        fn exports(&self, _folder: &Path) -> Vec<Export> {
            Vec::new()
        }

        fn install(&self, _cache: &Cache) -> Result<()> {
            Ok(())
        }

        fn start(&self, _cache: &Cache, place: &Place) -> Result<()> {
            let mut shell = Command::new("sh");
            shell.args(["-c", &self.text]).current_dir(place.folder());
            place.spawn("server", shell)
        }

        fn healthy(&self) -> Result<()> {
            ensure!(self.folder.join("ready").is_file(), "it is not ready");
            Ok(())
        }
    }

    /// A unit with a folder and a port of its own.
    fn unit(name: &str, text: &str) -> Unit {
        unit_that_needs(None, "script", name, text)
    }

    fn unit_that_needs(
        needs: Option<&'static str>,
        name: &'static str,
        test: &str,
        text: &str,
    ) -> Unit {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("it is bound").port();
        let directory =
            std::env::temp_dir().join(format!("xtask-unit-{test}-{}", std::process::id()));
        let folder = directory.join(format!("{name}-{port}"));
        let cache = Cache::new(false).expect("a home");
        let provider = Some(Provider::Native);
        let settings = Settings { directory, cache, purpose: Purpose::Tests, provider };
        let script = Script { name, needs, text: text.to_owned(), port, folder };
        Unit::new(Box::new(script), &settings)
    }

    fn remove(unit: &Unit) {
        unit.down().expect("it can be stopped");
        fs::remove_dir_all(&unit.settings.directory).expect("it is ours");
    }

    #[test]
    fn what_runs_is_not_started_again_and_a_stopped_service_leaves_nothing() {
        let unit = unit("again", "touch ready; exec sleep 600");
        assert!(unit.start().expect("sh exists"));
        unit.wait().expect("it gets ready");
        let first = unit.place.running();
        assert!(!unit.start().expect("it runs"), "it was started again");
        assert_eq!(unit.place.running()[0].id, first[0].id);
        unit.down().expect("it heeds a signal");
        assert_eq!(unit.state(), State::Stopped);
        assert!(!unit.place.folder().exists());
        unit.down().expect("there is nothing to stop");
        remove(&unit);
    }

    #[test]
    fn a_service_that_ended_is_broken_and_starts_anew() {
        let unit = unit("ended", "touch ready; exec sleep 600");
        unit.start().and_then(|_| unit.wait()).expect("it gets ready");
        let first = unit.place.running();
        unit.place.stop("KILL").expect("it ends");
        assert!(matches!(unit.state(), State::Broken(_)), "{:?}", unit.state());
        assert!(unit.start().expect("sh exists"));
        unit.wait().expect("it gets ready");
        assert_ne!(unit.place.running()[0].id, first[0].id);
        remove(&unit);
    }

    #[test]
    fn a_service_that_ends_before_it_answers_shows_its_log_and_leaves_nothing() {
        let unit = unit("fails", "sleep 0.2; echo no such setting; exit 1");
        let error = unit.start().and_then(|_| unit.wait()).expect_err("it ends");
        assert!(error.to_string().contains("no such setting"), "{error}");
        assert!(!unit.place.folder().exists());
        remove(&unit);
    }

    #[test]
    fn a_taken_port_is_told_with_the_variable_that_moves_the_service() {
        let unit = unit("taken", "exec sleep 600");
        let port = unit.service.ports()[0].number;
        let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("it is free");
        let error = unit.start().expect_err("the port is taken");
        assert!(error.to_string().contains("TROUPE_SERVICES_SCRIPT_PORT"), "{error}");
        assert!(!unit.place.folder().exists());
    }
    #[test]
    fn a_replica_starts_when_its_primary_answers() {
        let primary = unit("order", "sleep 0.3; touch ready; exec sleep 600");
        let replica = unit_that_needs(
            Some("script"),
            "replica",
            "order",
            "cp ../script-*/ready ready || exit 1; exec sleep 600",
        );
        let results = start_all([&primary, &replica].into_iter());
        for (unit, result) in results {
            assert!(result.expect("it starts"), "{} ran already", unit.name());
        }
        replica.down().expect("it heeds a signal");
        remove(&primary);
    }

    #[test]
    fn a_replica_is_not_to_be_had_without_its_primary() {
        let primary = unit("without", "exit 1");
        let replica = unit_that_needs(Some("script"), "replica", "without", "touch ready");
        let results = start_all([&primary, &replica].into_iter());
        let errors: Vec<_> =
            results.into_iter().map(|(_, result)| result.expect_err("it ended")).collect();
        assert!(!errors[0].is::<NotHere>(), "a server that ends is a fault: {:#}", errors[0]);
        assert!(errors[1].is::<NotHere>() && !replica.place.folder().exists(), "{:#}", errors[1]);
        remove(&primary);
    }
}
