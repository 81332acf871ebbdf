//! Rounds: every contender takes its turn in each, in an order that is drawn anew.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};
use troupe_load::{Latency, Mode, Percentile, Remote, Report};

use super::catalog::{Catalog, Database, Pace, Scenario};
use super::peers::{Peer, Request};
use super::server::{Place, Server, send_signal};
use super::usage;
use crate::statistics::{Draws, median};

/// The longest turn of a closed loop.
const TURN_MAX: Duration = Duration::from_secs(120);
/// A peer that is slow answers what it can in this time: it would take up most of the run.
const PEER_TURN_MAX: Duration = Duration::from_secs(3);
const OVERLOAD_SECONDS: u64 = 5;
const OVERLOAD_BACKLOG: usize = 1000;
/// What was paused handles its timers first.
const COMES_TO: Duration = Duration::from_millis(300);
const MIB: f64 = 1024.0 * 1024.0;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Rounds that count.
    pub rounds: usize,
    /// The catalog's requests are divided by this.
    pub divisor: u64,
    /// Seed of the order and of the generator.
    pub seed: u64,
    /// Seconds of one turn of an open loop.
    pub open_seconds: u64,
}

/// What one contender did in one round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Turn {
    /// The server's CPU for an answer, in microseconds.
    pub cpu_us: f64,
    /// PostgreSQL's CPU for an answer, in microseconds.
    pub postgres_us: f64,
    /// Answers a second.
    pub rate: f64,
    /// Right answers a second.
    pub goodput: f64,
    /// Latency of right answers.
    pub latency: Latency,
    /// Growth of the server's resident memory in MiB.
    pub growth_mib: f64,
    /// Requests that got no answer or a wrong one, and all that were answered.
    pub failed: [u64; 2],
    /// What was not as it should be; the turn is not to be used then.
    pub fault: Option<String>,
    /// Use of the generator's core.
    pub generator_use: f64,
    /// For plots: the percentiles of all answers.
    pub curve: Vec<Percentile>,
}

/// What a scenario gave.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Turns by contender, in the order of rounds.
    pub turns: BTreeMap<String, Vec<Turn>>,
    /// Who took no part, and why.
    pub skipped: BTreeMap<String, String>,
    /// Load average when it began.
    pub load: f64,
    /// Share of the machine's time that its host took away meanwhile.
    pub steal: f64,
}

impl Outcome {
    /// The figures of a contender, round by round.
    #[must_use]
    pub fn series(&self, name: &str, figure: impl Fn(&Turn) -> f64) -> Vec<f64> {
        self.turns.get(name).into_iter().flatten().map(figure).collect()
    }

    /// The first fault of a contender.
    #[must_use]
    pub fn fault(&self, name: &str) -> Option<&str> {
        self.turns.get(name)?.iter().find_map(|turn| turn.fault.as_deref())
    }

    /// Requests of a contender that failed, and all, over all rounds.
    #[must_use]
    pub fn failed(&self, name: &str) -> [u64; 2] {
        let turns = self.turns.get(name).into_iter().flatten();
        turns.fold([0, 0], |sum, turn| [sum[0] + turn.failed[0], sum[1] + turn.failed[1]])
    }
}

/// Who takes part, with its server.
struct Entrant {
    name: String,
    server: Server,
    /// How it is asked, when not as the scenario says.
    request: Option<Request>,
    /// Whether it stands still between its turns: collectors and just-in-time compilers would work on
    /// in those of others.
    pauses: bool,
}

impl Entrant {
    fn pause(&self) -> anyhow::Result<()> {
        if self.pauses { self.server.signal("STOP") } else { Ok(()) }
    }

    fn resume(&self) -> anyhow::Result<()> {
        if self.pauses {
            self.server.signal("CONT")?;
            thread::sleep(COMES_TO);
        }
        Ok(())
    }
}

/// Starts who takes part, measures all rounds, and stops them.
///
/// `peaks` are the median rates of the scenario `cached`, for what is paced by them.
///
/// # Errors
/// When the generator cannot run. A contender that does not start is skipped and told.
pub fn measure(
    catalog: &Catalog,
    scenario: &Scenario,
    peers: &[Peer],
    place: &Place,
    effort: Effort,
    peaks: &BTreeMap<String, f64>,
) -> anyhow::Result<Outcome> {
    let (load, stolen, ticks) = usage::machine();
    let mut outcome = Outcome { load, ..Outcome::default() };
    let entrants = start(catalog, scenario, peers, place, &mut outcome);
    entrants.iter().try_for_each(Entrant::pause)?;
    let mut draws = Draws(effort.seed);
    for round in 0..=effort.rounds {
        let mut order: Vec<usize> = (0..entrants.len()).collect();
        draws.shuffle(&mut order);
        for index in order {
            let entrant = &entrants[index];
            let run = generator(scenario, entrant, place, effort, round, peaks)?;
            entrant.resume()?;
            let turn = turn(scenario, &entrant.server, place, &run);
            let turn = turn.with_context(|| entrant.name.clone())?;
            entrant.pause()?;
            // The first round warms caches, pools and just-in-time compilers.
            if round > 0 {
                outcome.turns.entry(entrant.name.clone()).or_default().push(turn);
            }
        }
    }
    for entrant in entrants {
        entrant.resume()?;
        entrant.server.stop()?;
    }
    let (_, stolen_after, ticks_after) = usage::machine();
    outcome.steal = share(stolen_after - stolen, ticks_after - ticks);
    Ok(outcome)
}

fn start(
    catalog: &Catalog,
    scenario: &Scenario,
    peers: &[Peer],
    place: &Place,
    outcome: &mut Outcome,
) -> Vec<Entrant> {
    let mut entrants = Vec::new();
    let mut keep = |name: &str, peer: Option<&Peer>, started: anyhow::Result<Server>| match started
    {
        Ok(server) => entrants.push(Entrant {
            name: name.to_owned(),
            server,
            request: peer.and_then(|peer| peer.request.clone()),
            pauses: peer.is_some(),
        }),
        Err(error) => {
            outcome.skipped.insert(name.to_owned(), format!("{error:#}"));
        }
    };
    for name in &scenario.contenders {
        let contender = catalog.contender(name).context("a name that was checked");
        let server = contender.and_then(|it| Server::contender(it, scenario, place, &[]));
        keep(name, None, server);
    }
    for peer in peers.iter().filter(|_| scenario.peers) {
        let server = match &peer.request {
            Some(_) if scenario.advance.is_some() => Err(anyhow!("has tokens of its own")),
            _ => Server::peer(peer, scenario, place),
        };
        keep(&peer.name, Some(peer), server);
    }
    entrants
}

/// The generator's scenario for one turn.
fn generator(
    scenario: &Scenario,
    entrant: &Entrant,
    place: &Place,
    effort: Effort,
    round: usize,
    peaks: &BTreeMap<String, f64>,
) -> anyhow::Result<troupe_load::Scenario> {
    let mut run = troupe_load::Scenario::new(entrant.server.address.to_string());
    run.host = Some("bench.invalid".to_owned());
    run.connections = scenario.connections;
    run.requests.clone_from(&scenario.request);
    run.values.clone_from(&scenario.values);
    if let Some(request) = &entrant.request {
        request.put_into(&mut run);
    }
    run.seed = effort.seed + round as u64;
    // Just-in-time compilers need the whole of the first round.
    let divisor = if round == 0 && scenario.peers { 1 } else { effort.divisor };
    let requests = (scenario.requests_per_round / divisor).max(1);
    for (key, values) in &mut run.values {
        if let Some(file) = &mut values.file {
            *file = place.directory.join(&*file);
        }
        if scenario.advance.as_ref() == Some(key) {
            values.skip = round * usize::try_from(scenario.requests_per_round)?;
        }
    }
    let peak = |of: &str| peaks.get(of).copied().with_context(|| format!("no peak of {of}"));
    match scenario.pace {
        Pace::Closed => {
            run.requests_max = requests;
            let warm_peer = entrant.pauses && round > 0;
            run.duration = if warm_peer { PEER_TURN_MAX } else { TURN_MAX };
        }
        Pace::OfTight(share) => {
            run.mode = Mode::Open { rate_per_second: peak("tight")? * share };
            run.warm_up = Duration::from_millis(200);
            run.duration = Duration::from_secs(effort.open_seconds);
        }
        Pace::Overload(factor) => {
            run.mode = Mode::Open { rate_per_second: peak(&entrant.name)? * factor };
            run.overload = true;
            run.backlog_max = OVERLOAD_BACKLOG;
            run.warm_up = Duration::from_millis(500);
            run.duration = Duration::from_secs(OVERLOAD_SECONDS);
        }
    }
    Ok(run)
}

fn turn(
    scenario: &Scenario,
    server: &Server,
    place: &Place,
    run: &troupe_load::Scenario,
) -> anyhow::Result<Turn> {
    let postgres = match scenario.database {
        Database::Postgres => postgres(place),
        Database::None | Database::Sqlite => None,
    };
    let signal = scenario.signal.clone().map(|name| {
        let (pid, after) = (server.pid(), run.warm_up + Duration::from_millis(300));
        thread::spawn(move || {
            thread::sleep(after);
            send_signal(pid, &name)
        })
    });
    let lines = server.lines();
    let used = |pid: Option<u32>| pid.map_or(0, usage::cpu_ns);
    let resident = usage::resident_bytes(server.pid());
    let before = (usage::cpu_ns(server.pid()), used(postgres));
    let report = troupe_load::run(run, Remote::Refused)?;
    let after = (usage::cpu_ns(server.pid()), used(postgres));
    let grown = usage::resident_bytes(server.pid()) as f64 - resident as f64;
    let mut fault = fault(scenario, &report);
    if let Some(signal) = signal {
        signal.join().map_err(|_| anyhow!("the thread of the signal panicked"))??;
        if server.lines() == lines {
            fault = Some("the signal killed nothing: the server logged no crash".to_owned());
        }
    }
    let right = report.answers - report.unexpected;
    let good = report.latency_by_class.get("2xx").copied();
    Ok(Turn {
        cpu_us: share(after.0.saturating_sub(before.0), report.answers) / 1000.0,
        postgres_us: share(after.1.saturating_sub(before.1), report.answers) / 1000.0,
        rate: report.achieved_per_second,
        goodput: right as f64 / report.seconds.max(f64::MIN_POSITIVE),
        latency: good.unwrap_or(report.latency),
        growth_mib: grown / MIB,
        failed: [report.unexpected + report.errors.total(), report.answers],
        fault,
        generator_use: report.generator.use_ratio,
        curve: report.curve,
    })
}

/// The first process of PostgreSQL, by the port of its address.
fn postgres(place: &Place) -> Option<u32> {
    let (address, _) = place.postgres.as_deref()?.rsplit_once('/')?;
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(5432);
    usage::postgres(port)
}

/// Refusals are the point of an overload, and failures that of a signal; elsewhere they are faults.
fn fault(scenario: &Scenario, report: &Report) -> Option<String> {
    let meant = matches!(scenario.pace, Pace::Overload(_)) || scenario.signal.is_some();
    if let Some(void) = &report.void {
        return Some(void.clone());
    }
    if meant || (report.unexpected == 0 && report.errors.total() == 0) {
        return None;
    }
    Some(format!(
        "{} unexpected answers {:?}, {} errors",
        report.unexpected,
        report.statuses,
        report.errors.total()
    ))
}

/// The median peak of each contender.
#[must_use]
pub fn peaks(outcome: &Outcome) -> BTreeMap<String, f64> {
    outcome
        .turns
        .keys()
        .map(|name| (name.clone(), median(&outcome.series(name, |turn| turn.rate))))
        .collect()
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
