//! What a node shows to systems that watch it, asked from the real ones: Prometheus, an
//! OpenTelemetry collector, and an endpoint that reads Sentry's protocol strictly.

mod alerts;
mod collector;
mod dashboards;
mod envelope;
mod logs;
mod prometheus;
mod sentry;
mod traces;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A variable by which tests find a server; none, and a line on standard error, when it is not set.
#[expect(clippy::disallowed_methods, reason = "tests find their servers by variables")]
fn given(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        skipped(&format!("{variable} is not set"));
    }
    value
}

/// Says loudly that something was not tested.
fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    drop(writeln!(std::io::stderr(), "TROUPE-SKIPPED observability: {test} ({why})"));
}

/// A file or folder of `ops/`.
fn ops(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../ops")).join(name)
}

/// Files of a folder of `ops/` whose name ends so, in order.
fn files_of(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(ops(folder)).expect("the folder is there").flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(ending));
    files.sort();
    assert!(!files.is_empty(), "no *{ending} in {folder}");
    files
}

/// Asks until there is an answer.
fn eventually<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < within, "it never came to be: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
