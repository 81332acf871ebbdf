//! Merges the layers into one tree and remembers where each value came from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use toml::{Table, Value};

use super::fault::{ConfigFault, unknown_detail};

/// The start of the variables that belong to the configuration.
const VARIABLE_PREFIX: &str = "TROUPE_";

/// Collects the layers, the weakest first.
#[derive(Debug, Default)]
pub struct Layers {
    values: Table,
    origins: BTreeMap<String, String>,
    textual: BTreeSet<String>,
    faults: Vec<ConfigFault>,
}

impl Layers {
    /// No layers: every section has its defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the text of a file.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        match text.parse::<Table>() {
            Ok(table) => self.table(name, table),
            Err(error) => {
                let mut fault = ConfigFault::new(name, format!("is not valid TOML: {error}"));
                fault.source = Some(name.to_owned());
                self.faults.push(fault);
                self
            }
        }
    }

    /// Adds a table.
    #[must_use]
    pub fn table(mut self, name: &str, table: Table) -> Self {
        let mut leaves = Vec::new();
        collect_leaves(&table, &mut Vec::new(), &mut leaves);
        for (path, value) in leaves {
            self.set(&path, value, name.to_owned(), false);
        }
        self
    }

    /// Adds variables of the environment: `TROUPE_EDGE__LISTEN` sets `edge.listen`; others than
    /// `TROUPE_*` with at least one `__` are left alone.
    #[must_use]
    pub fn variables(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut sorted: Vec<(String, String)> = variables.into_iter().collect();
        sorted.sort();
        for (name, text) in sorted {
            let Some(key) = name.strip_prefix(VARIABLE_PREFIX) else { continue };
            if !key.contains("__") {
                continue;
            }
            let path: Vec<String> = key.split("__").map(str::to_ascii_lowercase).collect();
            self.set(&path, Value::String(text), format!("variable {name}"), true);
        }
        self
    }

    /// Adds flags of the command line: the key with dots and the text.
    #[must_use]
    pub fn flags(mut self, flags: impl IntoIterator<Item = (String, String)>) -> Self {
        for (key, text) in flags {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            self.set(&path, Value::String(text), format!("flag {key}"), true);
        }
        self
    }

    /// The merged tree.
    ///
    /// # Errors
    /// Files that are not TOML, and keys that are a value in one layer and a table in another.
    pub fn build(self) -> Result<ConfigTree, Vec<ConfigFault>> {
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        Ok(ConfigTree {
            values: self.values,
            origins: self.origins,
            textual: self.textual,
            claimed: Mutex::default(),
        })
    }

    fn set(&mut self, path: &[String], value: Value, origin: String, textual: bool) {
        let dotted = path.join(".");
        if path.iter().any(String::is_empty) {
            self.refuse(&dotted, origin, "the key has an empty part");
            return;
        }
        let Some((last, parents)) = path.split_last() else { return };
        let mut table = &mut self.values;
        for parent in parents {
            let next = table.entry(parent.clone()).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(next) = next else {
                self.refuse(&dotted, origin, &format!("`{parent}` is a value, not a table"));
                return;
            };
            table = next;
        }
        if matches!(table.get(last), Some(Value::Table(_))) && !value.is_table() {
            self.refuse(&dotted, origin, "is a table and cannot be set to a value");
            return;
        }
        table.insert(last.clone(), value);
        if textual {
            self.textual.insert(dotted.clone());
        } else {
            self.textual.remove(&dotted);
        }
        self.origins.insert(dotted, origin);
    }

    fn refuse(&mut self, path: &str, origin: String, detail: &str) {
        let mut fault = ConfigFault::new(path, detail);
        fault.source = Some(origin);
        self.faults.push(fault);
    }
}

/// Every value that is not a non-empty table, with its path. Empty tables count as values, so that
/// `[edge]` alone is remembered.
pub(super) fn collect_leaves(
    table: &Table,
    parents: &mut Vec<String>,
    leaves: &mut Vec<(Vec<String>, Value)>,
) {
    for (key, value) in table {
        parents.push(key.clone());
        match value {
            Value::Table(inner) if !inner.is_empty() => collect_leaves(inner, parents, leaves),
            Value::Table(_) if parents.len() == 1 => {}
            other => leaves.push((parents.clone(), other.clone())),
        }
        parents.pop();
    }
}

/// A value that stands for another: `${file:PATH}`, `${env:NAME}` or `${command:["PROGRAM", …]}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The content of a file, without the line break at its end.
    File(String),
    /// A variable of the environment.
    Variable(String),
    /// What a program writes, without the line break at its end: the program and its arguments,
    /// which no shell sees.
    Command(Vec<String>),
}

const COMMAND_FORM: &str =
    "is no command; write ${command:[\"/path/of/program\", \"argument\"]}, a JSON list of texts";

impl Reference {
    /// Reads a whole value as a reference; none when it is none.
    ///
    /// # Errors
    /// What is wrong with a reference that is not written as it must be.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let inner = text.strip_prefix("${")?.strip_suffix('}')?;
        let (kind, name) = inner.split_once(':')?;
        match kind {
            "file" => Some(Ok(Self::File(name.to_owned()))),
            "env" => Some(Ok(Self::Variable(name.to_owned()))),
            "command" => {
                let words: Option<Vec<String>> = serde_json::from_str(name).ok();
                let words =
                    words.filter(|words| words.first().is_some_and(|word| !word.is_empty()));
                Some(words.map(Self::Command).ok_or_else(|| COMMAND_FORM.to_owned()))
            }
            _ => None,
        }
    }
}

/// The merged configuration, from which sections are read.
#[derive(Debug, Default)]
pub struct ConfigTree {
    pub(super) values: Table,
    pub(super) origins: BTreeMap<String, String>,
    /// Keys whose value came as text and may stand for a number, a switch or a list.
    pub(super) textual: BTreeSet<String>,
    pub(super) claimed: Mutex<BTreeSet<String>>,
}

impl ConfigTree {
    /// Replaces references by what `resolver` reads for them.
    ///
    /// # Errors
    /// Every reference that could not be read.
    pub fn resolve(
        mut self,
        mut resolver: impl FnMut(&Reference) -> Result<String, String>,
    ) -> Result<Self, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        let mut visit = |path: &str, text: &mut String| {
            let Some(reference) = Reference::parse(text) else { return };
            match reference.and_then(|reference| resolver(&reference)) {
                Ok(content) => *text = content,
                Err(detail) => faults.push(ConfigFault::new(path, detail)),
            }
        };
        visit_strings(&mut self.values, "", &mut visit);
        for fault in &mut faults {
            fault.source = self.origins.get(&fault.path).cloned();
        }
        if faults.is_empty() { Ok(self) } else { Err(faults) }
    }

    /// The keys whose values differ from those of another tree, with dots, in order.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let leaves = |tree: &Self| -> BTreeMap<String, Value> {
            let mut leaves = Vec::new();
            collect_leaves(&tree.values, &mut Vec::new(), &mut leaves);
            leaves.into_iter().map(|(path, value)| (path.join("."), value)).collect()
        };
        let (ours, theirs) = (leaves(self), leaves(other));
        let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        keys.into_iter().filter(|key| ours.get(*key) != theirs.get(*key)).cloned().collect()
    }

    /// Says that a section is known although nobody reads it now (its module is switched off).
    pub fn allow(&self, name: &str) {
        self.claim(name);
    }

    /// The sections that nobody has read or allowed: probably misspelt.
    #[must_use]
    pub fn unclaimed(&self) -> Vec<ConfigFault> {
        let claimed = self.claimed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.values
            .keys()
            .filter(|name| !claimed.contains(*name))
            .map(|name| {
                let known = claimed.iter().map(String::as_str);
                let mut fault =
                    ConfigFault::new(name.clone(), unknown_detail("section", name, known));
                fault.source = self.origin_below(name);
                fault
            })
            .collect()
    }

    pub(super) fn claim(&self, name: &str) {
        self.claimed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(name.to_owned());
    }

    /// Where the value of a key came from, or the first value below it.
    pub(super) fn origin_below(&self, path: &str) -> Option<String> {
        let inside = format!("{path}.");
        self.origins
            .get(path)
            .or_else(|| {
                self.origins.iter().find(|(key, _)| key.starts_with(&inside)).map(|(_, from)| from)
            })
            .cloned()
    }
}

fn visit_strings(table: &mut Table, prefix: &str, visit: &mut impl FnMut(&str, &mut String)) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        visit_value(value, &path, visit);
    }
}

fn visit_value(value: &mut Value, path: &str, visit: &mut impl FnMut(&str, &mut String)) {
    match value {
        Value::String(text) => visit(path, text),
        Value::Array(items) => {
            for item in items {
                visit_value(item, path, visit);
            }
        }
        Value::Table(table) => visit_strings(table, path, visit),
        _ => {}
    }
}
