//! A scenario as a TOML file.

use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::error::{Fault, LoadError};
use crate::scenario::{Mode, Scenario, parse_duration};

impl Scenario {
    /// Reads a file; the files of its values are looked for beside it.
    ///
    /// # Errors
    /// When it cannot be read, or all of its faults at once.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| LoadError::Read { path: path.display().to_string(), source })?;
        let mut scenario = Self::from_toml(&text)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        for values in scenario.values.values_mut() {
            if let Some(file) = &mut values.file {
                *file = directory.join(&*file);
            }
        }
        Ok(scenario)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// All of its faults at once.
    pub fn from_toml(text: &str) -> Result<Self, LoadError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            LoadError::Scenario(vec![Fault::new("file", error.to_string())])
        })?;
        let mut keys = Keys { table, faults: Vec::new() };
        let scenario = keys.scenario();
        for key in keys.table.keys() {
            keys.faults.push(Fault::new(key, "is not known: see the field list of the manual"));
        }
        // What could not be read has its default now; a second fault about it would mislead.
        let first = keys.faults.clone();
        keys.faults.extend(
            scenario.faults().into_iter().filter(|fault| !first.iter().any(|f| f.key == fault.key)),
        );
        if keys.faults.is_empty() { Ok(scenario) } else { Err(LoadError::Scenario(keys.faults)) }
    }
}

/// Takes key after key out of a table and keeps the faults.
struct Keys {
    table: Table,
    faults: Vec<Fault>,
}

impl Keys {
    fn scenario(&mut self) -> Scenario {
        let target = self.take("target").unwrap_or_else(|| {
            if !self.faults.iter().any(|fault| fault.key == "target") {
                self.faults.push(Fault::new("target", "give the server as HOST:PORT"));
            }
            String::new()
        });
        let mut scenario = Scenario::new(target);
        scenario.host = self.take("host");
        scenario.mode = self.mode();
        self.set("connections", &mut scenario.connections);
        self.set("seed", &mut scenario.seed);
        self.set("requests_max", &mut scenario.requests_max);
        self.set("backlog_max", &mut scenario.backlog_max);
        self.set("overload", &mut scenario.overload);
        self.set("answer_bytes_max", &mut scenario.answer_bytes_max);
        self.set_time("warm_up", &mut scenario.warm_up);
        self.set_time("duration", &mut scenario.duration);
        self.set_time("timeout", &mut scenario.timeout);
        self.requests(&mut scenario);
        self.values(&mut scenario);
        scenario
    }

    fn mode(&mut self) -> Mode {
        let mode: Option<String> = self.take("mode");
        let rate: Option<Value> = self.table.remove("rate");
        match (mode.as_deref().unwrap_or("closed"), rate) {
            ("open", Some(Value::Float(rate_per_second))) => Mode::Open { rate_per_second },
            #[expect(clippy::cast_precision_loss, reason = "the largest rate is a million")]
            ("open", Some(Value::Integer(rate))) => Mode::Open { rate_per_second: rate as f64 },
            ("open", _) => {
                self.faults.push(Fault::new("rate", "an open loop needs requests per second"));
                Mode::Closed
            }
            ("closed", None) => Mode::Closed,
            ("closed", Some(_)) => {
                let advice = "a closed loop has no rate: leave it out, or set mode = \"open\"";
                self.faults.push(Fault::new("rate", advice));
                Mode::Closed
            }
            (other, _) => {
                let advice = format!("`{other}` is neither \"open\" nor \"closed\"");
                self.faults.push(Fault::new("mode", advice));
                Mode::Closed
            }
        }
    }

    fn requests(&mut self, scenario: &mut Scenario) {
        let templates: Vec<Value> = self.take("requests").unwrap_or_default();
        for (index, template) in templates.into_iter().enumerate() {
            scenario.requests.extend(self.read(&format!("requests[{index}]"), template));
        }
    }

    fn values(&mut self, scenario: &mut Scenario) {
        let tables: Table = self.take("values").unwrap_or_default();
        for (name, values) in tables {
            if let Some(values) = self.read(&format!("values.{name}"), values) {
                scenario.values.insert(name, values);
            }
        }
    }

    fn set<T: DeserializeOwned>(&mut self, key: &str, to: &mut T) {
        if let Some(value) = self.take(key) {
            *to = value;
        }
    }

    fn set_time(&mut self, key: &str, to: &mut Duration) {
        let text: Option<String> = self.take(key);
        match text.as_deref().map(parse_duration) {
            Some(Ok(duration)) => *to = duration,
            Some(Err(advice)) => self.faults.push(Fault::new(key, advice)),
            None => {}
        }
    }

    fn take<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = self.table.remove(key)?;
        self.read(key, value)
    }

    fn read<T: DeserializeOwned>(&mut self, key: &str, value: Value) -> Option<T> {
        value
            .try_into()
            .map_err(|error: toml::de::Error| {
                self.faults.push(Fault::new(key, error.message().to_owned()));
            })
            .ok()
    }
}
