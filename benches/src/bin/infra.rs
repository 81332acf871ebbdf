//! `infra [--quick] [--record] [relay|groups|cache|limits|blobs]…`: the platform on Kafka, Redis and S3
//! beside their bare clients. Servers are those of the `TROUPE_TEST_*` variables; what has none is left
//! out and said.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool answers on its standard streams"
)]

use std::process::ExitCode;

use anyhow::bail;
use troupe_benches::infra::{Effort, Record, Row, Servers, measure, table};
use troupe_benches::suite::catalog::folder;
use troupe_benches::suite::machine::Machine;
use troupe_kernel::{SharedClock, SystemClock};
use troupe_telemetry::{LogLevel, Telemetry, TelemetryConfig};

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FULL: Effort = Effort { rounds: 7, divisor: 1 };
const QUICK: Effort = Effort { rounds: 3, divisor: 4 };
const PARTS: [&str; 5] = ["relay", "groups", "cache", "limits", "blobs"];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("infra: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<bool> {
    let (mut effort, mut records, mut parts) = (FULL, false, Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => effort = QUICK,
            "--record" => records = true,
            word if PARTS.contains(&word) => parts.push(word.to_owned()),
            other => bail!("no `{other}`: --quick, --record, {}", PARTS.join(", ")),
        }
    }
    let servers = servers();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let clock: SharedClock = std::sync::Arc::new(SystemClock);
    // Counters are kept as on a node.
    let level = LogLevel::Warn;
    Telemetry::install(TelemetryConfig { level, ..TelemetryConfig::default() }, clock)?;
    let before = load();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|each| each == part);
    let tell = |rows: &[Row]| println!("{}", table(rows));
    let (rows, shares) = runtime.block_on(measure(&servers, effort, wanted, tell))?;
    let machine = Machine::here(servers.postgres.as_deref());
    let record = Record { machine, load: [before, load()], rows, shares };
    println!("{}", record.markdown());
    if records {
        record.write(&folder().join("results"))?;
    }
    Ok(!record.rows.iter().any(Row::is_missed))
}

fn servers() -> Servers {
    let given = |name: &str, what: &str| {
        let value = variable(name);
        if value.is_none() {
            println!("left out: everything on {what}: {name} is not set");
        }
        value
    };
    Servers {
        postgres: given("TROUPE_TEST_POSTGRES", "PostgreSQL"),
        kafka: given("TROUPE_TEST_KAFKA_BROKERS", "Kafka"),
        redis: given("TROUPE_TEST_REDIS_URL", "Redis"),
        s3: given("TROUPE_TEST_S3_URL", "S3"),
    }
}

#[expect(clippy::disallowed_methods, reason = "measurements find their servers as tests do")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or_default().to_owned()
}
