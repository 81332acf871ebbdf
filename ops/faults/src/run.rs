//! One run: start, hurt while clients write, heal, wait until nothing is left to do, collect, check.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::checker;
use crate::client::Common;
use crate::evidence::Evidence;
use crate::evidence_web;
use crate::journal::{Entry, Journal};
use crate::nodes::{self, Member};
use crate::options::{Options, Surroundings};
use crate::plan::{self, Fault, Target};
use crate::recorder::CONSUMER;
use crate::rig::{Rig, Suffered, journal_path};
use crate::sql;
use crate::table::{self, say};
use crate::topics;
use crate::watch::until;
use crate::workload::Workload;

/// Between two faults, while everything is well.
const CALM: Duration = Duration::from_secs(5);
/// The workload before the first fault.
const WARM_UP: Duration = Duration::from_secs(8);
/// A fault begins no later than this before the end.
const LAST_FAULT: Duration = Duration::from_secs(45);
/// How long after the promotion of the replica the workload goes on.
const AFTER_PROMOTION: Duration = Duration::from_secs(20);
/// How long what waits may take to be done when everything is back.
const DRAINED_WITHIN: Duration = Duration::from_secs(300);
/// Faults in a schedule; more than fit into the longest run.
const FAULTS_MAX: usize = 4_000;

/// Runs the suite; `Ok(false)` when a claim is violated.
pub(crate) fn command(options: &Options) -> Result<bool> {
    let rig = Rig::start(Surroundings::read()?, options)?;
    let measuring = AtomicBool::new(true);
    let claims = std::thread::scope(|scope| {
        scope.spawn(|| {
            while measuring.load(Ordering::Acquire) {
                rig.measure();
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        let claims = hurt_and_check(&rig, options);
        measuring.store(false, Ordering::Release);
        claims
    });
    let logs = rig.logs();
    rig.finish()?;
    let claims = claims?;
    let well = claims.iter().all(checker::Claim::holds);
    if options.short {
        table::print_tap(&claims);
    } else {
        table::print(&claims);
    }
    if !well {
        say(&format!("\nThe journal is {}.\n{logs}", journal_path(&rig.folder).display()));
    }
    Ok(well)
}

fn hurt_and_check(rig: &Rig, options: &Options) -> Result<Vec<checker::Claim>> {
    let members = rig.members()?;
    let journal = Arc::new(Journal::create(&journal_path(&rig.folder))?);
    let bases = rig.bases.clone();
    let common = Common { watch: rig.watch, journal: journal.clone(), bases, seed: options.seed };
    let workload = Workload::start(&common, &members, options.seed, options.rate);
    let hurt = hurt(rig, options, &journal);
    workload.finish();
    let never_well = hurt?;
    let left = drain(rig);
    let entries = journal.entries();
    let evidence = collect(rig, &entries, &members)?;
    let mut claims = checker::check(&entries, &evidence);
    let mut ends =
        checker::Claim::new("after each fault all is well, and in the end nothing waits");
    for fault in never_well {
        ends.check(false, || format!("the nodes were not well again after: {fault}"));
    }
    ends.check(left.is_none(), || format!("left to do: {}", left.clone().unwrap_or_default()));
    claims.push(ends);
    summarise(options, &entries, &evidence);
    Ok(claims)
}

/// Does the schedule; answers the faults after which the nodes did not get well.
fn hurt(rig: &Rig, options: &Options, journal: &Journal) -> Result<Vec<String>> {
    let targets: Vec<Target> = rig
        .targets()
        .into_iter()
        .filter(|target| options.only.is_empty() || options.only.contains(target))
        .collect();
    let (began, mut never_well) = (Instant::now(), Vec::new());
    say(
        "| At | Fault | Away | Writes acknowledged meanwhile | Well again after |\n|---|---|---|---|---|",
    );
    let mut done = |what: &str, before: usize, suffered: Suffered| {
        let away = Duration::from_millis(suffered.to_ms - suffered.from_ms);
        let well = suffered.well_after.map(|after| format!("{:.1} s", after.as_secs_f64()));
        let well = well.unwrap_or_else(|| {
            never_well.push(what.to_owned());
            "never".to_owned()
        });
        let (minutes, seconds) = (suffered.from_ms / 60_000, suffered.from_ms / 1_000 % 60);
        let writes = journal.acknowledged() - before;
        say(&format!(
            "| {minutes}:{seconds:02} | {what} | {:.1} s | {writes} | {well} |",
            away.as_secs_f64()
        ));
    };
    std::thread::sleep(WARM_UP);
    let faults: Vec<Fault> = match options.short {
        true => plan::short(),
        false => plan::draw(options.seed, &targets, FAULTS_MAX),
    };
    for fault in faults {
        if !options.short && began.elapsed() + LAST_FAULT > options.length {
            break;
        }
        let before = journal.acknowledged();
        let suffered = rig.suffer(&fault)?;
        done(&fault.to_string(), before, suffered);
        std::thread::sleep(CALM);
    }
    if !options.short && targets.contains(&Target::Postgres) && targets.contains(&Target::Replica) {
        let before = journal.acknowledged();
        let suffered = rig.promote()?;
        done("kill postgres for good, promote its replica", before, suffered);
        std::thread::sleep(AFTER_PROMOTION);
    }
    std::thread::sleep(options.length.saturating_sub(began.elapsed()));
    Ok(never_well)
}

/// Waits until nothing is left to do; what is left when that takes too long.
fn drain(rig: &Rig) -> Option<String> {
    let began = Instant::now();
    let url = rig.database();
    let mut left = None;
    let drained = until(DRAINED_WITHIN, || {
        left = what_is_left(&url);
        left.is_none()
    });
    say(&format!("\nDrained after {:.1} s.", began.elapsed().as_secs_f64()));
    if drained { None } else { left }
}

fn what_is_left(url: &str) -> Option<String> {
    undelivered(url).or_else(|| undone(url))
}

/// Events that are not in Kafka or not applied.
fn undelivered(url: &str) -> Option<String> {
    let recorder = format!(
        "SELECT count(*) FROM outbox WHERE split_part(kind, '.', 1) IN ('auth', 'blog', 'files', 'identity') \
         AND event_id NOT IN (SELECT event_id FROM inbox WHERE consumer = '{CONSUMER}')"
    );
    let questions = [
        (
            "events for Kafka",
            "SELECT count(*) FROM outbox WHERE (transaction_id, position) > \
             (SELECT transaction_id, position FROM consumer_offsets WHERE consumer = 'events.relay')",
        ),
        ("events for the recorder", recorder.as_str()),
    ];
    first_left(url, &questions)
}

/// Audit records, jobs and letters that wait.
fn undone(url: &str) -> Option<String> {
    let questions = [
        ("audit records", "SELECT count(*) FROM audit_queue"),
        (
            "jobs",
            "SELECT count(*) FROM jobs WHERE state <> 'dead' AND run_at <= now() + interval '1 minute'",
        ),
        ("letters", "SELECT count(*) FROM notify_mails WHERE state = 'queued'"),
    ];
    first_left(url, &questions)
}

fn first_left(url: &str, questions: &[(&str, &str)]) -> Option<String> {
    for (what, question) in questions {
        match sql::number(url, question) {
            Ok(0) => {}
            Ok(count) => return Some(format!("{count} {what}")),
            Err(error) => return Some(format!("{what}: {error:#}")),
        }
    }
    None
}

/// The nodes answer first and end then: while they run they write events of their own, and what the
/// database has and what Kafka has would be of two moments.
fn collect(rig: &Rig, entries: &[Entry], members: &[Member]) -> Result<Evidence> {
    let url = rig.database();
    let quiet = Evidence {
        audit_findings: evidence_web::audit_findings(&rig.node_launch()?)?,
        mailbox: evidence_web::mailbox(&rig.around.mail_api)?,
        shown: evidence_web::posts(entries, members, &rig.bases),
        contents: evidence_web::contents(entries, members, &rig.bases),
        nodes: rig.nodes_at_end(),
        interruptions: rig.interruptions(),
        ..Evidence::of_database(&url)?
    };
    rig.finish_nodes()?;
    // The recorder relays what they left.
    until(DRAINED_WITHIN, || undelivered(&url).is_none());
    let log = Evidence::of_database(&url)?;
    let messages = topics::read(&rig.around.brokers, &nodes::prefix())?;
    Ok(Evidence { outbox: log.outbox, applied: log.applied, messages, ..quiet })
}

fn summarise(options: &Options, entries: &[Entry], evidence: &Evidence) {
    let writes = entries.iter().filter(|entry| entry.operation.writes());
    let acknowledged = writes.clone().filter(|entry| entry.acknowledged).count();
    let requests: usize = entries.iter().map(|entry| entry.tries.len()).sum();
    let again: usize = writes.clone().map(|entry| entry.tries.len().saturating_sub(1)).sum();
    let duplicates = evidence.messages.len().saturating_sub(evidence.outbox.len());
    say(&format!(
        "\nSeed {}: {} writes begun, {acknowledged} acknowledged, {requests} requests of which {again} were sent \
         again; {} events, {duplicates} of them more than once in Kafka; {} applied; {} audit records; {} letters.",
        options.seed,
        writes.count(),
        evidence.outbox.len(),
        evidence.applied.len(),
        evidence.audited.len(),
        evidence.mailbox.len(),
    ));
    for node in &evidence.nodes {
        let (max, end) = (node.memory_max_kib / 1024, node.memory_end_kib / 1024);
        say(&format!("{}: at most {max} MiB, in the end {end} MiB.", node.name));
    }
}
