//! `suite run [--quick] [--postgres URL] [SCENARIO…]`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool answers on its standard streams"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};
use troupe_benches::micro;
use troupe_benches::suite::catalog::{Catalog, Database, Pace, Scenario, folder};
use troupe_benches::suite::goals::{Verdict, rows};
use troupe_benches::suite::machine::Machine;
use troupe_benches::suite::peers::{self, Kind, Peer};
use troupe_benches::suite::record::{Record, goals_table, messaging_table, outcome_table};
use troupe_benches::suite::rounds::{self, Effort};
use troupe_benches::suite::server::Place;
use troupe_benches::suite::{callgrind, messaging};

/// The allocator of the product, for what is measured in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEED: u64 = 42;
const QUICK: Effort = Effort { rounds: 5, divisor: 3, seed: SEED, open_seconds: 2 };
const FULL: Effort = Effort { rounds: 9, divisor: 1, seed: SEED, open_seconds: 5 };
/// Rounds of a scenario that takes a fixed time.
const TIMED_ROUNDS: usize = 3;

const HELP: &str = "\
suite run [OPTION…] [SCENARIO…]   all scenarios of suite.toml, or these
suite list                        the scenarios

  --quick            fewer rounds and requests, the quick scenarios only (run)
  --postgres URL     a superuser's address; without it PostgreSQL is left out
  --peer NAME        only these peers; may be repeated; `--peer none` for none
  --directory PATH   where the fixture and logs lie (a folder in the temporary directory)
  --results PATH     where results are written (benches/results; nowhere when scenarios are named)

It ends with 1 when a goal is missed.
";

#[derive(Default)]
struct Options {
    words: Vec<String>,
    quick: bool,
    postgres: Option<String>,
    peers: Vec<String>,
    directory: Option<PathBuf>,
    results: Option<PathBuf>,
}

fn main() -> ExitCode {
    match options().and_then(|options| dispatch(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("suite: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn options() -> anyhow::Result<Options> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--postgres" => options.postgres = Some(value()?),
            "--peer" => options.peers.push(value()?),
            "--directory" => options.directory = Some(value()?.into()),
            "--results" => options.results = Some(value()?.into()),
            word if word.starts_with('-') => bail!("no option {word}\n\n{HELP}"),
            word => options.words.push(word.to_owned()),
        }
    }
    Ok(options)
}

fn dispatch(options: &Options) -> anyhow::Result<bool> {
    let catalog = Catalog::load()?;
    let words: Vec<&str> = options.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["run", scenarios @ ..] => run(&catalog, options, scenarios),
        ["list"] => {
            for Scenario { name, what, .. } in &catalog.scenario {
                println!("{name:<18} {what}");
            }
            println!("messaging, micro, callgrind: messages, single operations, instructions");
            Ok(true)
        }
        _ => bail!("{HELP}"),
    }
}

fn run(catalog: &Catalog, options: &Options, names: &[&str]) -> anyhow::Result<bool> {
    let began = Instant::now();
    let effort = if options.quick { QUICK } else { FULL };
    for name in names {
        let known = catalog.scenario(name).is_some()
            || matches!(*name, "messaging" | "micro" | "callgrind");
        ensure!(known, "no scenario `{name}`: see `suite list`");
    }
    let wanted = |name: &str, quick: bool| {
        if names.is_empty() { quick || !options.quick } else { names.contains(&name) }
    };
    let peers = peers(options)?;
    let directory = options.directory.clone();
    let place = Place::make(directory.unwrap_or_else(Place::usual), options.postgres.clone())?;
    let mut machine = Machine::here(place.postgres.as_deref());
    pin()?;
    machine.versions.extend(peers.iter().map(|peer| (peer.name.clone(), peer.version.clone())));
    let mut record = Record::new(machine, effort, options.quick);
    let http = that_do(Kind::Http, &peers);
    let takes_part = |scenario: &str, peer: &Peer| {
        !options.quick || (!peer.slow && catalog.compares(scenario, &peer.name))
    };
    if record.machine.versions.get("postgres fsync").is_some_and(|fsync| fsync == "off") {
        println!("PostgreSQL runs without fsync: its writes are cheaper than an operator's");
    }
    for scenario in &catalog.scenario {
        let needed = names.iter().filter_map(|name| catalog.scenario(name));
        let needed = scenario.name == "cached" && needed.into_iter().any(is_paced);
        if !(wanted(&scenario.name, scenario.quick) || needed) {
            continue;
        }
        if scenario.database == Database::Postgres && place.postgres.is_none() {
            println!("\n{}: left out, no --postgres", scenario.name);
            continue;
        }
        println!("\n{}: {} [{:.0} s]", scenario.name, scenario.what, began.elapsed().as_secs_f64());
        let mut effort = effort;
        if matches!(scenario.pace, Pace::Overload(_)) {
            effort.rounds = effort.rounds.min(TIMED_ROUNDS);
        }
        let cached = record.findings.scenarios.get("cached");
        let peaks = cached.map(rounds::peaks).unwrap_or_default();
        let mut http = http.clone();
        http.retain(|peer| wanted(&scenario.name, true) && takes_part(&scenario.name, peer));
        let outcome = rounds::measure(catalog, scenario, &http, &place, effort, &peaks)?;
        println!("{}", outcome_table(&outcome));
        record.findings.scenarios.insert(scenario.name.clone(), outcome);
    }
    if wanted("messaging", true) {
        println!("\nmessaging [{:.0} s]", began.elapsed().as_secs_f64());
        let kits = that_do(Kind::Messaging, &peers);
        record.findings.messaging =
            messaging::measure(&catalog.messaging, &kits, takes_part, effort)?;
        println!("{}", messaging_table(&record.findings));
    }
    if wanted("micro", true) {
        println!("\nmicro [{:.0} s]", began.elapsed().as_secs_f64());
        record.findings.micro = micro::measure(effort.rounds, &place.directory)?;
        println!("{}", micro::table(&record.findings.micro));
    }
    if wanted("callgrind", true) {
        println!("\ncallgrind [{:.0} s]", began.elapsed().as_secs_f64());
        match callgrind::count(catalog, &place, &counted(catalog)) {
            Ok(counted) => record.findings.instructions = counted,
            Err(error) => println!("left out: {error:#}"),
        }
    }
    if names.is_empty() {
        sweep(catalog, &place, &mut record, effort)?;
    }
    let mut goals = rows(catalog, &record.findings, options.quick);
    if names.is_empty() || options.results.is_some() {
        let results = options.results.clone().unwrap_or_else(|| folder().join("results"));
        record.write(&results, catalog, &goals)?;
    }
    if !names.is_empty() {
        goals.retain(|row| row.verdict != Verdict::LeftOut);
    }
    println!("\n{}\n{:.0} s", goals_table(&goals), began.elapsed().as_secs_f64());
    Ok(goals.iter().all(|row| row.verdict != Verdict::Missed))
}

fn is_paced(scenario: &Scenario) -> bool {
    matches!(scenario.pace, Pace::OfTight(_) | Pace::Overload(_))
}

/// Latency at several shares of the peak of `tight`, for the plot.
fn sweep(
    catalog: &Catalog,
    place: &Place,
    record: &mut Record,
    effort: Effort,
) -> anyhow::Result<()> {
    let open = catalog.scenario("open-25").context("suite.toml has no scenario `open-25`")?;
    let Some(outcome) = record.findings.scenarios.get("cached") else { return Ok(()) };
    let peaks = rounds::peaks(outcome);
    let effort = Effort { rounds: 1, open_seconds: effort.open_seconds.div_ceil(2), ..effort };
    for percent in [10, 25, 50, 70, 85, 95] {
        let mut scenario = open.clone();
        let share = f64::from(percent) / 100.0;
        scenario.pace = Pace::OfTight(share);
        println!("\nlatency at {percent} % of the peak of tight");
        let outcome = rounds::measure(catalog, &scenario, &[], place, effort, &peaks)?;
        let rate = peaks.get("tight").copied().unwrap_or_default() * share;
        for (name, turns) in &outcome.turns {
            for turn in turns.iter().filter(|turn| turn.fault.is_none()) {
                let point = [rate, turn.latency.p50_us, turn.latency.p99_us];
                record.sweep.entry(name.clone()).or_default().push(point);
            }
        }
    }
    Ok(())
}

/// Whose instructions are counted when nobody says.
fn counted(catalog: &Catalog) -> Vec<&str> {
    catalog.callgrind.contenders.iter().map(String::as_str).collect()
}

/// The generator, which is this process, on the second core; servers get the first.
fn pin() -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    ensure!(cores > 1, "one core for the server and one for the generator are needed");
    let mut cores = CpuSet::new();
    cores.set(1);
    Ok(sched_setaffinity(None, &cores)?)
}

/// Builds the peers whose toolchain is here.
fn peers(options: &Options) -> anyhow::Result<Vec<Peer>> {
    let mut built = Vec::new();
    for peer in peers::all(&options.peers)? {
        match peer.build() {
            Ok(true) => built.push(peer),
            Ok(false) => println!("peer {}: left out, {} is missing", peer.name, peer.toolchain),
            Err(error) => println!("peer {}: left out, {error:#}", peer.name),
        }
    }
    Ok(built)
}

fn that_do(kind: Kind, peers: &[Peer]) -> Vec<Peer> {
    peers.iter().filter(|peer| peer.does(kind)).cloned().collect()
}
