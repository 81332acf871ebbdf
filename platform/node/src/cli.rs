//! The command line: every command, flag and help text.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// An actor-system platform: a SaaS backend whose every request is a message.
#[derive(Debug, Parser)]
#[command(
    name = "troupe",
    version,
    about,
    after_help = "Start with `troupe serve`: it prints where it listens, where its data lies and, the first \
                  time, a link to set up the administrator.\n\
                  Configuration: defaults, then troupe.toml, then TROUPE_SECTION__KEY variables, then --set \
                  section.key=value. `troupe config print` shows every key with its value."
)]
pub struct Cli {
    #[command(flatten)]
    pub node: NodeArgs,

    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What every command that opens the node's data needs.
#[derive(Debug, Clone, Args)]
pub struct NodeArgs {
    /// Directory of the database, keys, blobs and mails [default: ./troupe-data]
    #[arg(long, global = true, value_name = "DIR", env = "TROUPE_DATA")]
    pub data: Option<PathBuf>,

    /// Configuration file [default: ./troupe.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "TROUPE_CONFIG")]
    pub config: Option<PathBuf>,

    /// Sets one key, for example --set edge.listen=0.0.0.0:80; may be repeated
    #[arg(long = "set", global = true, value_name = "SECTION.KEY=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.contains('.') => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as section.key=value".to_owned()),
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the node until it is told to stop (the default command)
    Serve,
    /// Brings the schema of the database up to date, or shows what would be done
    Migrate {
        /// Shows the state of each step and changes nothing
        #[arg(long)]
        status: bool,
        /// Takes back the last N steps
        #[arg(long, value_name = "N", conflicts_with = "status")]
        revert: Option<usize>,
    },
    /// Works on the node's own data, also while it does not run
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Imports and exports posts of a running node
    #[command(subcommand)]
    Blog(BlogCommand),
    /// The audit trail
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Events that could not be delivered
    #[command(subcommand)]
    Events(EventsCommand),
    /// The actors of a running node
    #[command(subcommand)]
    Actors(ActorsCommand),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Has the node that serves the data directory read its configuration again, as SIGHUP does
    Reload,
    /// Loads a running node and measures its answers from the moment each request was due
    Bench(BenchArgs),
    /// Prints a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Creates an account with a verified address; the password is read from standard input
    CreateUser {
        /// Its e-mail address
        #[arg(long)]
        email: String,
        /// The name that others see
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Also creates this organisation with the account as its owner
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// Gives an account a role
    Grant {
        /// The account's e-mail address
        #[arg(long)]
        email: String,
        /// The role, for example administrator or editor
        #[arg(long)]
        role: String,
        /// The organisation's short name; without it the role holds on the whole platform
        #[arg(long, value_name = "SLUG")]
        organisation: Option<String>,
    },
    /// Removes the second factor of an account whose owner lost it
    ResetSecondFactor {
        /// The account's e-mail address
        #[arg(long)]
        email: String,
    },
    /// Makes a new one-time link to set up the administrator, if there is none yet
    SetupLink,
}

/// How to reach a running node.
#[derive(Debug, Clone, Args)]
pub struct Access {
    /// Address of the node
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        env = "TROUPE_SERVER"
    )]
    pub server: String,

    /// An access token or API key; better given as TROUPE_TOKEN, which other users cannot see
    #[arg(long, env = "TROUPE_TOKEN", hide_env_values = true)]
    pub token: String,
}

#[derive(Debug, Subcommand)]
pub enum BlogCommand {
    /// Imports every Markdown document of a directory; run it again to go on after an interruption
    Import {
        /// The directory
        directory: PathBuf,
        /// Publishes new posts whose document does not say whether it is a draft
        #[arg(long)]
        publish: bool,
        #[command(flatten)]
        access: Access,
    },
    /// Writes every post as a Markdown document with front matter
    Export {
        /// The directory; it is created
        directory: PathBuf,
        #[command(flatten)]
        access: Access,
    },
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Checks every entry, chain and checkpoint; exits with 6 when something was changed
    Verify {
        /// Prints the report as JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// Lists events that a consumer gave up on
    Dead {
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
    },
    /// Delivers one of them again
    Replay {
        /// Its id, as `dead` lists it
        id: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    Depth,
    Oldest,
    Received,
    Shed,
    Crashes,
    Busy,
}

impl Sort {
    /// The name in the inspection API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Depth => "depth",
            Self::Oldest => "oldest",
            Self::Received => "received",
            Self::Shed => "shed",
            Self::Crashes => "crashes",
            Self::Busy => "busy",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum ActorsCommand {
    /// The supervision tree with depth, counts and crashes
    Tree {
        #[command(flatten)]
        access: Access,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
    /// The busiest actors
    Top {
        #[command(flatten)]
        access: Access,
        /// What to sort by
        #[arg(long, value_enum, default_value = "depth")]
        sort: Sort,
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
        count: u32,
        /// Asks again every this many seconds until interrupted
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
        every: Option<u64>,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
}

/// What is sent to a running node.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Address of the node
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        env = "TROUPE_SERVER"
    )]
    pub url: String,

    /// Path and query of the request
    #[arg(long, default_value = "/livez")]
    pub path: String,

    /// Requests per second at random moments (an open loop); without it each connection asks again as
    /// soon as it has its answer
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,

    /// Connections
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub connections: usize,

    /// How long it measures, after a warm-up of one second
    #[arg(long, default_value = "10s", value_parser = troupe_load::parse_duration)]
    pub duration: std::time::Duration,

    /// A file with requests, rates and values instead of the flags above
    #[arg(long, value_name = "FILE", conflicts_with_all = ["path", "rate", "connections", "duration"])]
    pub scenario: Option<PathBuf>,

    /// An access token or API key; better given as TROUPE_TOKEN, which other users cannot see
    #[arg(long, env = "TROUPE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,

    /// The node may lie on another machine, which is yours
    #[arg(long)]
    pub allow_remote: bool,

    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Checks the configuration and lists every fault at once
    Check,
    /// Prints every section with its effective values; secrets are masked
    Print,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_set_flag_needs_a_section_a_key_and_a_value() {
        assert_eq!(pair("edge.listen=:80"), Ok(("edge.listen".into(), ":80".into())));
        assert!(pair("listen=:80").is_err());
        assert!(pair("edge.listen").is_err());
    }
}
