//! One HTTP contender: `contender NAME ADDRESS DIRECTORY [--threads N] [--runtime cores|shared]
//! [--documents kept|written] [--quota N] [--database URL] [--records-max N] [--timed-in-full-max N]
//! [--tap on]`,
//! or `contender fixture DIRECTORY`, which makes the directory,
//! or `contender prepare DIRECTORY --database URL`, which makes the tables and their rows.

use std::path::Path;

use anyhow::{Context as _, bail};
use troupe_benches::fixture;
use troupe_benches::http::{Documents, Start, troupe};
#[cfg(feature = "comparison")]
use troupe_benches::http::{bare, plain, schema, tight};

/// The allocator of the product, for all contenders.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [name, rest @ ..] = words.as_slice() else { bail!("say which contender") };
    if *name == "fixture" {
        return fixture::make(Path::new(rest.first().context("say which directory")?));
    }
    #[cfg(feature = "comparison")]
    if *name == "prepare" {
        let [directory, "--database", url] = rest else { bail!("say DIRECTORY --database URL") };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(schema::prepare(Path::new(directory), url));
    }
    let start = start(rest)?;
    let runtime = if start.threads == 1 {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?
    } else {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(start.threads)
            .enable_all()
            .build()?
    };
    match *name {
        #[cfg(feature = "comparison")]
        "bare" => runtime.block_on(bare::serve(start)),
        #[cfg(feature = "comparison")]
        "tight" => runtime.block_on(tight::serve(start)),
        #[cfg(feature = "comparison")]
        "plain" => runtime.block_on(plain::serve(start)),
        "troupe" => runtime.block_on(troupe::serve(start)),
        other => bail!("no contender `{other}`: bare, tight, plain or troupe"),
    }
}

fn start(words: &[&str]) -> anyhow::Result<Start> {
    let [address, directory, options @ ..] = words else { bail!("say ADDRESS and DIRECTORY") };
    let mut start = Start {
        address: address.parse().context("ADDRESS is IP:PORT")?,
        directory: directory.into(),
        threads: 1,
        on_cores: true,
        documents: Documents::Kept,
        quota: 1_000_000_000,
        timed_in_full_max: 1000,
        database: None,
        records_max: 4096,
        tap: false,
    };
    for pair in options.chunks(2) {
        match pair {
            ["--threads", number] => start.threads = number.parse()?,
            ["--runtime", "cores"] => start.on_cores = true,
            ["--runtime", "shared"] => start.on_cores = false,
            ["--documents", "kept"] => start.documents = Documents::Kept,
            ["--documents", "written"] => start.documents = Documents::Written,
            ["--quota", number] => start.quota = number.parse()?,
            ["--timed-in-full-max", number] => start.timed_in_full_max = number.parse()?,
            ["--records-max", number] => start.records_max = number.parse()?,
            ["--tap", "on"] => start.tap = true,
            ["--database", url] => start.database = Some((*url).to_owned()),
            other => bail!("what is {}?", other.join(" ")),
        }
    }
    Ok(start)
}
