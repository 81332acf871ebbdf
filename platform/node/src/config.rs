//! Reads the configuration: the only place that looks at the environment.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use toml::{Table, Value};
use troupe_edge::EdgeConfig;
use troupe_kernel::config::{ConfigTree, Layers, Reference};

use crate::cli::NodeArgs;
use crate::failure::{Exit, Stop};
use crate::node_config::NodeConfig;
use crate::secret_command;

/// Where everything lies unless it is said otherwise.
const DATA_DIRECTORY: &str = "./troupe-data";
const CONFIG_FILE: &str = "./troupe.toml";
/// A configuration file or secret larger than this is refused.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The merged configuration and the directory of the node's data.
pub struct Config {
    pub tree: ConfigTree,
    pub data: PathBuf,
    /// Where it came from, to read it again.
    pub args: NodeArgs,
}

/// Merges defaults, the file, variables and flags, and resolves references to secrets.
pub fn load(args: &NodeArgs) -> Result<Config, Stop> {
    let data = data_directory(args);
    let file = read_file(args)?;
    let merge = |defaults: Layers| {
        let layers = match &file {
            Some((name, text)) => defaults.file(name, text),
            None => defaults,
        };
        layers.variables(std::env::vars()).flags(args.set.iter().cloned()).build()
    };
    let given = merge(Layers::new()).map_err(|faults| refuse(&faults))?;
    let defaults = Layers::new()
        .table("data directory", data_defaults(&data))
        .table("public address", address_defaults(&public_url(&given)));
    let tree =
        merge(defaults).and_then(|tree| tree.resolve(resolve)).map_err(|faults| refuse(&faults))?;
    Ok(Config { tree, data, args: args.clone() })
}

/// The directory of the node's data.
pub fn data_directory(args: &NodeArgs) -> PathBuf {
    args.data.clone().unwrap_or_else(|| PathBuf::from(DATA_DIRECTORY))
}

/// The address that people use, from what the user says. A section with faults is reported later.
fn public_url(given: &ConfigTree) -> String {
    let node: NodeConfig = given.section().unwrap_or_default();
    if !node.public_url.is_empty() {
        return node.public_url;
    }
    let edge: EdgeConfig = given.section().unwrap_or_default();
    let scheme = if edge.tls.is_on() { "https" } else { "http" };
    let mut listen = edge.listen;
    if listen.ip().is_unspecified() {
        listen.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    format!("{scheme}://{listen}")
}

/// The sections whose links lead to the node.
fn address_defaults(public_url: &str) -> Table {
    ["auth", "identity", "notify", "blog"]
        .into_iter()
        .map(|name| {
            let url = Value::String(public_url.to_owned());
            (name.to_owned(), Value::Table([("public_url".to_owned(), url)].into_iter().collect()))
        })
        .collect()
}

/// All faults as one message.
pub fn refuse(faults: &[impl std::fmt::Display]) -> Stop {
    let list: Vec<String> = faults.iter().map(|fault| format!("  - {fault}")).collect();
    Stop::new(
        Exit::Configuration,
        format!("the configuration cannot be used:\n{}", list.join("\n")),
    )
}

/// Every section that keeps something in the data directory, below what the user says.
fn data_defaults(data: &Path) -> Table {
    let path = |name: &str| Value::String(data.join(name).display().to_string());
    let section = |entries: Vec<(&str, Value)>| {
        Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    };
    let database = format!("sqlite:{}", data.join("troupe.db").display());
    [
        ("database", section(vec![("url", Value::String(database))])),
        ("auth", section(vec![("key_file", path("auth.key"))])),
        (
            "audit",
            section(vec![
                ("key_file", path("audit-key.pem")),
                ("anchor_file", path("audit-anchor.json")),
            ]),
        ),
        ("blobs", section(vec![("directory", path("blobs"))])),
        ("notify", section(vec![("directory", path("mails"))])),
    ]
    .into_iter()
    .map(|(name, table)| (name.to_owned(), table))
    .collect()
}

fn read_file(args: &NodeArgs) -> Result<Option<(String, String)>, Stop> {
    let (path, asked) = match &args.config {
        Some(path) => (path.clone(), true),
        None => (PathBuf::from(CONFIG_FILE), false),
    };
    if !asked && !path.exists() {
        return Ok(None);
    }
    let text = read_bounded(&path).map_err(|error| {
        Stop::new(
            Exit::Configuration,
            format!(
                "the configuration file {} cannot be read: {error:#}; name another with --config",
                path.display()
            ),
        )
    })?;
    Ok(Some((path.display().to_string(), text)))
}

fn read_bounded(path: &Path) -> anyhow::Result<String> {
    let size = std::fs::metadata(path)?.len();
    anyhow::ensure!(size <= FILE_BYTES_MAX, "it is larger than {FILE_BYTES_MAX} bytes");
    std::fs::read_to_string(path).context("it is not readable as UTF-8 text")
}

/// The text behind a reference; a trailing line end of a file is cut.
fn resolve(reference: &Reference) -> Result<String, String> {
    match reference {
        Reference::File(path) => read_bounded(Path::new(path))
            .map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
            .map_err(|error| format!("the file {path} cannot be read: {error:#}")),
        #[expect(clippy::disallowed_methods, reason = "this is the place that reads it")]
        Reference::Variable(name) => std::env::var(name)
            .map_err(|_| format!("the variable {name} is not set, or is not UTF-8 text")),
        Reference::Command(words) => secret_command::output(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(set: &[(&str, &str)]) -> NodeArgs {
        NodeArgs {
            data: Some(PathBuf::from("/data")),
            config: None,
            set: set.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        }
    }

    #[test]
    fn the_data_directory_moves_everything_that_lies_in_it() {
        let tree = data_defaults(Path::new("/data"));
        let text = toml::to_string(&tree).unwrap();
        assert!(text.contains("sqlite:/data/troupe.db") && text.contains("/data/blobs"));
    }

    #[test]
    fn links_lead_to_where_the_node_listens_unless_it_is_told_better() {
        let blog_of = |set: &[(&str, &str)]| {
            let config = load(&args(set)).ok().unwrap();
            config.tree.section::<troupe_blog::config::BlogConfig>().ok().unwrap().public_url
        };
        assert_eq!(blog_of(&[("edge.listen", "0.0.0.0:9000")]), "http://127.0.0.1:9000");
        assert_eq!(blog_of(&[("node.public_url", "https://a.example")]), "https://a.example");
        let own =
            [("node.public_url", "https://a.example"), ("blog.public_url", "https://b.example")];
        assert_eq!(blog_of(&own), "https://b.example");
    }

    #[test]
    fn a_missing_secret_file_is_named_with_its_key() {
        let stop = load(&args(&[("database.url", "${file:/nowhere/at/all}")])).err().unwrap();
        let text = stop.to_string();
        assert!(text.contains("database.url") && text.contains("/nowhere/at/all"), "{text}");
    }
    #[test]
    fn a_command_that_fails_is_named_with_its_key_and_without_its_arguments() {
        let set = [("auth.key_encryption_key", r#"${command:["/bin/false", "hunter2"]}"#)];
        let text = load(&args(&set)).err().unwrap().to_string();
        assert!(text.contains("auth.key_encryption_key: the command /bin/false failed"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_command_gives_a_value() {
        let set = [("node.name", r#"${command:["/bin/echo", "north"]}"#)];
        let config = load(&args(&set)).ok().unwrap();
        assert_eq!(config.tree.section::<NodeConfig>().unwrap().name, "north");
    }
}
