//! The binary `troupe`: configuration, composition and the command line.

mod cli;
mod client;
mod commands;
mod compose;
mod config;
mod failure;
mod node_config;
mod reload;
mod render;
mod secret_command;
mod sections;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command};
use crate::failure::{Exit, Stop};

/// Half of the cost of glibc's in the path of a request (benches/README.md).
#[cfg(not(feature = "system-allocator"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            complain(&stop);
            ExitCode::from(stop.exit as u8)
        }
    }
}

fn run(cli: Cli) -> Result<(), Stop> {
    match cli.command.unwrap_or(Command::Serve) {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "troupe", &mut script);
            print(&String::from_utf8_lossy(&script));
            Ok(())
        }
        Command::Actors(command) => commands::actors::run(&command),
        Command::Bench(arguments) => commands::bench::run(&arguments),
        Command::Blog(command) => commands::blog::run(&command),
        Command::Reload => commands::reload::run(&cli.node),
        command => {
            let config = config::load(&cli.node)?;
            sections::check(&config.tree)?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(|error| Stop::new(Exit::Failed, format!("no runtime: {error}")))?;
            runtime.block_on(local(command, config))
        }
    }
}

/// The commands that open the node's data.
async fn local(command: Command, config: config::Config) -> Result<(), Stop> {
    match command {
        Command::Migrate { status, revert } => commands::migrate::run(config, status, revert).await,
        Command::Admin(command) => commands::admin::run(config, &command).await,
        Command::Audit(command) => commands::audit::run(config, &command).await,
        Command::Events(command) => commands::events::run(config, &command).await,
        Command::Config(command) => commands::configuration::run(config, &command),
        _ => commands::serve::run(config).await,
    }
}

/// Writes to standard output; a closed pipe ends quietly what no one reads.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

fn complain(stop: &Stop) {
    // Nothing is left to do when even this cannot be written.
    drop(writeln!(std::io::stderr(), "troupe: {stop}"));
}
