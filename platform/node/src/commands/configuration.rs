//! `troupe config check|print`.

use std::sync::PoisonError;

use troupe_edge::EdgeConfig;
use troupe_kernel::config::{ConfigFault, ConfigSection};
use troupe_telemetry::{SentryConfig, TelemetryConfig, TracesConfig};

use crate::cli::ConfigCommand;
use crate::compose;
use crate::config::{Config, refuse};
use crate::failure::{Exit, Stop};
use crate::node_config::NodeConfig;
use crate::print;

/// How a secret that is set is written.
const MASKED: &str = "= \"***\"";

/// Opens nothing: a configuration may be looked at where its data is not.
pub fn run(config: Config, command: &ConfigCommand) -> Result<(), Stop> {
    let composed = compose::wire(config)?;
    match command {
        ConfigCommand::Check => print("the configuration is good\n"),
        ConfigCommand::Print => {
            let effective =
                composed.around.effective.lock().unwrap_or_else(PoisonError::into_inner);
            let mut table = effective.clone();
            let config = &composed.around.config;
            add(&mut table, config.section::<NodeConfig>())?;
            add(&mut table, config.section::<TelemetryConfig>())?;
            add(&mut table, config.section::<TracesConfig>())?;
            add(&mut table, config.section::<SentryConfig>())?;
            add(&mut table, config.section::<EdgeConfig>())?;
            let text = toml::to_string(&table)
                .map_err(|error| Stop::new(Exit::Failed, error.to_string()))?;
            print(&with_secrets_as_comments(&text));
        }
    }
    Ok(())
}

/// What is printed can be used as a configuration file: a mask is no value.
fn with_secrets_as_comments(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.lines() {
        if line.ends_with(MASKED) {
            shown.push_str("# ");
        }
        shown.push_str(line);
        shown.push('\n');
    }
    shown
}

/// Adds a section that no module reads.
fn add<T: ConfigSection>(
    table: &mut toml::Table,
    section: Result<T, Vec<ConfigFault>>,
) -> Result<(), Stop> {
    let section = section.map_err(|faults| refuse(&faults))?;
    let value = toml::Value::try_from(&section)
        .map_err(|error| Stop::new(Exit::Failed, error.to_string()))?;
    table.insert(T::NAME.to_owned(), value);
    Ok(())
}
