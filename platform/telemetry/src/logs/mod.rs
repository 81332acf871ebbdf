//! Log lines: where they go, from which level, in which form.

pub(crate) use fields::Fields;
pub(crate) use layer::Ids;

mod fields;
mod layer;
mod line;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Subscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};
use troupe_kernel::clock::SharedClock;
use troupe_kernel::reload::Change;

use self::layer::LineLayer;
use self::line::Style;
use crate::config::{LogFormat, LogLevel, TelemetryConfig};
use crate::error::TelemetryError;
use crate::errors::ErrorBus;

/// Where log lines go. A line is written whole, and a line that cannot be written is given up.
#[derive(Clone)]
pub struct LogOutput {
    writer: Arc<Mutex<dyn Write + Send>>,
    is_terminal: bool,
}

impl LogOutput {
    /// The standard output of the process.
    #[must_use]
    pub fn stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self { writer: Arc::new(Mutex::new(io::stdout())), is_terminal }
    }

    /// Any writer; it counts as no terminal.
    pub fn to(writer: impl Write + Send + 'static) -> Self {
        Self { writer: Arc::new(Mutex::new(writer)), is_terminal: false }
    }

    fn write(&self, line: &[u8]) {
        // There is no better place left to report that the log cannot be written.
        drop(self.writer.lock().write_all(line));
    }
}

/// The levels of the log, which can change while the node runs.
#[derive(Clone)]
pub struct LogLevels {
    handle: reload::Handle<Targets, Registry>,
    config: Arc<Mutex<TelemetryConfig>>,
}

impl LogLevels {
    /// Sets the common level.
    ///
    /// # Errors
    /// When the log subscriber is gone.
    pub fn set(&self, level: LogLevel) -> Result<(), TelemetryError> {
        self.change(|config| config.level = level)
    }

    /// Sets the level of a target and what is below it; none takes its own level away.
    ///
    /// # Errors
    /// When the log subscriber is gone.
    pub fn set_target(&self, target: &str, level: Option<LogLevel>) -> Result<(), TelemetryError> {
        self.change(|config| {
            match level {
                Some(level) => config.targets.insert(target.to_owned(), level),
                None => config.targets.remove(target),
            };
        })
    }

    /// The levels now: the common one, and those of single targets.
    #[must_use]
    pub fn current(&self) -> (LogLevel, Vec<(String, LogLevel)>) {
        let config = self.config.lock();
        let targets = config.targets.iter().map(|(target, level)| (target.clone(), *level));
        (config.level, targets.collect())
    }

    /// What it takes to have the levels of another configuration.
    pub(crate) fn change_to(&self, config: &TelemetryConfig) -> Change {
        let current = self.config.lock();
        let mut change = Change::none();
        if current.level != config.level {
            let (levels, level) = (self.clone(), config.level);
            // Without a subscriber nobody reads the levels.
            change = change.of("level", move || drop(levels.set(level)));
        }
        if current.targets != config.targets {
            let (levels, targets) = (self.clone(), config.targets.clone());
            let make = move || drop(levels.change(|config| config.targets = targets));
            change = change.of("targets", make);
        }
        change
    }

    fn change(&self, change: impl FnOnce(&mut TelemetryConfig)) -> Result<(), TelemetryError> {
        let mut config = self.config.lock();
        change(&mut config);
        self.handle.reload(config.filter()).map_err(TelemetryError::LogsGone)
    }
}

/// Puts the log subscriber in place for the process.
pub(crate) fn install(
    config: &TelemetryConfig,
    output: LogOutput,
    clock: SharedClock,
    errors: &ErrorBus,
) -> Result<LogLevels, TelemetryError> {
    let (subscriber, levels) = build(config, output, clock, errors);
    subscriber.try_init().map_err(TelemetryError::LogsInstalled)?;
    Ok(levels)
}

/// The subscriber alone, which a test puts in place for its own thread.
pub(crate) fn build(
    config: &TelemetryConfig,
    output: LogOutput,
    clock: SharedClock,
    errors: &ErrorBus,
) -> (impl Subscriber + Send + Sync + use<>, LogLevels) {
    let style = match config.format {
        LogFormat::Auto if output.is_terminal => Style::Pretty { colour: true },
        LogFormat::Auto | LogFormat::Json => Style::Json,
        LogFormat::Pretty => Style::Pretty { colour: output.is_terminal },
    };
    let (filter, handle) = reload::Layer::new(config.filter());
    let lines = LineLayer::new(style, output, clock, errors.intake());
    let levels = LogLevels { handle, config: Arc::new(Mutex::new(config.clone())) };
    (tracing_subscriber::registry().with(filter).with(lines), levels)
}

#[cfg(test)]
mod tests;
