//! `cargo run --profile bench --package troupe-benches --bin micro [rounds]`: gates one by one, JSON,
//! passwords and tokens, codecs; CPU time of an operation.
#![expect(clippy::print_stdout, reason = "the table is the product")]

use anyhow::Context as _;
use troupe_benches::{fixture, micro};

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 9;

fn main() -> anyhow::Result<()> {
    let rounds = std::env::args().nth(1);
    let rounds = rounds.map_or(Ok(ROUNDS), |text| text.parse()).context("rounds is a number")?;
    let directory = std::env::temp_dir().join(format!("troupe-micro-{}", std::process::id()));
    fixture::make(&directory)?;
    let rows = micro::measure(rounds, &directory);
    std::fs::remove_dir_all(&directory)?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("CPU ns of an operation, median of {rounds} rounds; load {}", load.trim());
    println!("×: how many times as much CPU the plain way needs [95 %]\n");
    println!("{}", micro::table(&rows?));
    Ok(())
}
