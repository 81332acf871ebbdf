//! Reads one section of the tree into its type and reports every fault of it at once.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::{Table, Value};

use super::fault::{ConfigFault, unknown_detail};
use super::layers::{ConfigTree, collect_leaves};

/// The configuration of one part of the platform.
///
/// The type derives `Deserialize` with `#[serde(default, deny_unknown_fields)]` and `Serialize`;
/// its default is a complete, working configuration. Optional values are `Option` fields without
/// `skip_serializing_if`, so that their names are known.
pub trait ConfigSection: DeserializeOwned + Default + Serialize {
    /// Name of the section, the top-level table.
    const NAME: &'static str;

    /// What is wrong beyond types: values out of range or in contradiction. The paths are relative
    /// to the section.
    fn validate(&self) -> Vec<ConfigFault> {
        Vec::new()
    }
}

impl ConfigTree {
    /// Reads a section.
    ///
    /// # Errors
    /// Every fault of the section: unknown keys, wrong types, values it refuses.
    pub fn section<T: ConfigSection>(&self) -> Result<T, Vec<ConfigFault>> {
        self.claim(T::NAME);
        let given = match self.values.get(T::NAME) {
            None => return checked(T::default(), self),
            Some(Value::Table(table)) => table,
            Some(_) => {
                return Err(vec![self.fault(T::NAME, "is a section; write it as a table")]);
            }
        };
        let mut faults = Vec::new();
        let shape = serde_json::to_value(T::default()).unwrap_or(Json::Null);
        let mut table = Table::new();
        let mut leaves = Vec::new();
        collect_leaves(given, &mut Vec::new(), &mut leaves);
        for (path, value) in leaves {
            if let Err((at, detail)) = known(&path, &value, &shape) {
                faults.push(self.fault(&format!("{}.{at}", T::NAME), &detail));
                continue;
            }
            let dotted = format!("{}.{}", T::NAME, path.join("."));
            match self.readable::<T>(&path, &value, &dotted) {
                Ok(value) => insert(&mut table, &path, value),
                Err(detail) => faults.push(self.fault(&dotted, &detail)),
            }
        }
        faults.dedup();
        match T::deserialize(Value::Table(table)) {
            Ok(section) if faults.is_empty() => checked(section, self),
            // What could be read is validated too, so that all faults come at once.
            Ok(section) => {
                faults.extend(checked(section, self).err().unwrap_or_default());
                Err(faults)
            }
            Err(error) => {
                if faults.is_empty() {
                    faults.push(self.fault(T::NAME, error.message()));
                }
                Err(faults)
            }
        }
    }

    /// The value in the form in which the type reads it, tried alone so that its fault is its own.
    /// Text from a variable or a flag is taken as a string first, then as TOML, then as a list.
    fn readable<T: ConfigSection>(
        &self,
        path: &[String],
        value: &Value,
        dotted: &str,
    ) -> Result<Value, String> {
        let attempt = |value: &Value| {
            let mut alone = Table::new();
            insert(&mut alone, path, value.clone());
            T::deserialize(Value::Table(alone)).map(|_| ()).map_err(|error| {
                let text = error.message().trim();
                // The message of a secret's fault may quote it; text values are not repeated.
                text.to_owned()
            })
        };
        let first = match attempt(value) {
            Ok(()) => return Ok(value.clone()),
            Err(detail) => detail,
        };
        let Value::String(text) = value else { return Err(first) };
        if !self.textual.contains(dotted) {
            return Err(first);
        }
        let literal = format!("value = {text}").parse::<Table>().ok();
        let literal = literal.and_then(|mut table| table.remove("value"));
        let list = Value::Array(
            text.split(',').map(|item| Value::String(item.trim().to_owned())).collect(),
        );
        for candidate in literal.into_iter().chain([list]) {
            if attempt(&candidate).is_ok() {
                return Ok(candidate);
            }
        }
        Err(first)
    }

    fn fault(&self, path: &str, detail: &str) -> ConfigFault {
        ConfigFault {
            path: path.to_owned(),
            source: self.origin_below(path),
            detail: detail.to_owned(),
        }
    }
}

fn checked<T: ConfigSection>(section: T, tree: &ConfigTree) -> Result<T, Vec<ConfigFault>> {
    let faults = section.validate();
    if faults.is_empty() {
        return Ok(section);
    }
    Err(faults
        .into_iter()
        .map(|fault| tree.fault(&format!("{}.{}", T::NAME, fault.path), &fault.detail))
        .collect())
}

/// Whether the shape of the defaults has this path. A place whose default is an empty map, a list,
/// null or an enum's content is free: there the type decides.
fn known(path: &[String], value: &Value, shape: &Json) -> Result<(), (String, String)> {
    let mut place = shape;
    for (index, key) in path.iter().enumerate() {
        let Json::Object(fields) = place else { return Ok(()) };
        if fields.is_empty() && index > 0 {
            return Ok(());
        }
        match fields.get(key) {
            Some(inner) => place = inner,
            None => {
                let at = path[..=index].join(".");
                return Err((at, unknown_detail("key", key, fields.keys().map(String::as_str))));
            }
        }
    }
    if place.is_object() && !value.is_table() {
        return Err((path.join("."), "is a table of keys, not a value".to_owned()));
    }
    Ok(())
}

fn insert(table: &mut Table, path: &[String], value: Value) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut place = table;
    for parent in parents {
        let next = place.entry(parent.clone()).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(next) = next else { return };
        place = next;
    }
    place.insert(last.clone(), value);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;
    use crate::config::{Layers, Reference, Secret, units};

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        listen: String,
        bytes_max: u64,
        enabled: bool,
        origins: Vec<String>,
        password: Secret,
        certificate: Option<String>,
        #[serde(with = "units::duration")]
        timeout: Duration,
        limit: Limit,
        names: BTreeMap<String, u32>,
    }

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Limit {
        per_minute: u32,
        burst: u32,
    }

    impl Default for Sample {
        fn default() -> Self {
            Self {
                listen: "127.0.0.1:8080".to_owned(),
                bytes_max: 1024,
                enabled: false,
                origins: Vec::new(),
                password: Secret::default(),
                certificate: None,
                timeout: Duration::from_secs(30),
                limit: Limit::default(),
                names: BTreeMap::new(),
            }
        }
    }

    impl ConfigSection for Sample {
        const NAME: &'static str = "sample";

        fn validate(&self) -> Vec<ConfigFault> {
            let mut faults = Vec::new();
            if self.bytes_max == 0 {
                faults.push(ConfigFault::new("bytes_max", "must be at least 1"));
            }
            faults
        }
    }

    fn pair(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn later_layers_win_and_untouched_keys_keep_their_defaults() {
        let tree = Layers::new()
            .file("troupe.toml", "[sample]\nlisten = \"a\"\nbytes_max = 7\nlimit.burst = 3")
            .variables([pair("TROUPE_SAMPLE__BYTES_MAX", "9"), pair("PATH", "/bin")])
            .flags([pair("sample.listen", "b")])
            .build()
            .unwrap();
        let sample: Sample = tree.section().unwrap();
        assert_eq!((sample.listen.as_str(), sample.bytes_max, sample.limit.burst), ("b", 9, 3));
        assert_eq!(sample.timeout, Duration::from_secs(30));
        assert!(tree.unclaimed().is_empty());
    }

    #[test]
    fn text_of_a_variable_becomes_what_its_key_needs() {
        let tree = Layers::new()
            .variables([
                pair("TROUPE_SAMPLE__LISTEN", "8080"),
                pair("TROUPE_SAMPLE__PASSWORD", "12345"),
                pair("TROUPE_SAMPLE__ENABLED", "true"),
                pair("TROUPE_SAMPLE__ORIGINS", "https://a.example, https://b.example"),
                pair("TROUPE_SAMPLE__CERTIFICATE", "/etc/cert.pem"),
                pair("TROUPE_SAMPLE__TIMEOUT", "5m"),
                pair("TROUPE_SAMPLE__NAMES__ONE", "1"),
            ])
            .build()
            .unwrap();
        let sample: Sample = tree.section().unwrap();
        assert_eq!(sample.listen, "8080");
        assert_eq!(sample.password.expose(), "12345");
        assert!(sample.enabled);
        assert_eq!(sample.origins, ["https://a.example", "https://b.example"]);
        assert_eq!(sample.certificate.as_deref(), Some("/etc/cert.pem"));
        assert_eq!(sample.timeout, Duration::from_secs(300));
        assert_eq!(sample.names["one"], 1);
    }

    #[test]
    fn every_fault_is_reported_at_once_with_path_origin_and_suggestion() {
        let tree = Layers::new()
            .file(
                "troupe.toml",
                "[sample]\nlisetn = \"a\"\nbytes_max = 0\nenabled = \"maybe\"\nlimit.bursts = 3",
            )
            .variables([pair("TROUPE_SAMPLE__TIMEOUT", "soon")])
            .build()
            .unwrap();
        let faults = tree.section::<Sample>().unwrap_err();
        let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let find = |path: &str| {
            shown.iter().find(|line| line.starts_with(path)).unwrap_or_else(|| panic!("{shown:#?}"))
        };
        assert_eq!(faults.len(), 5, "{shown:#?}");
        assert!(find("sample.lisetn").contains("did you mean `listen`"));
        assert!(find("sample.limit.bursts").contains("did you mean `burst`"));
        assert!(find("sample.enabled").contains("expected a boolean"));
        assert!(find("sample.bytes_max").contains("must be at least 1"));
        assert!(find("sample.timeout").contains("variable TROUPE_SAMPLE__TIMEOUT"));
        assert!(find("sample.lisetn").contains("from troupe.toml"));
    }

    #[test]
    fn sections_nobody_reads_are_reported() {
        let tree = Layers::new().file("troupe.toml", "[sampel]\nlisten = \"a\"").build().unwrap();
        assert!(tree.section::<Sample>().is_ok());
        let faults = tree.unclaimed();
        assert_eq!(faults.len(), 1);
        assert_eq!(
            faults[0].to_string(),
            "sampel: unknown section; did you mean `sample`? (from troupe.toml)"
        );
        tree.allow("sampel");
        assert!(tree.unclaimed().is_empty());
    }

    #[test]
    fn files_that_are_not_toml_and_keys_of_two_kinds_are_reported_together() {
        let faults = Layers::new()
            .file("a.toml", "not toml")
            .file("b.toml", "[sample]\nlisten = \"a\"")
            .variables([
                pair("TROUPE_SAMPLE", "no key, not ours"),
                pair("TROUPE_SAMPLE__LISTEN__PORT", "1"),
                pair("TROUPE_SAMPLE__", "1"),
            ])
            .build()
            .unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:#?}");
    }

    #[test]
    fn references_are_replaced_and_the_unreadable_ones_listed() {
        let layers = || {
            Layers::new().file(
                "troupe.toml",
                "[sample]\npassword = \"${file:/run/secret}\"\norigins = [\"${env:GONE}\"]",
            )
        };
        let faults = layers()
            .build()
            .unwrap()
            .resolve(|reference| match reference {
                Reference::File(_) => Ok("s3cret".to_owned()),
                Reference::Variable(name) => Err(format!("the variable {name} is not set")),
                Reference::Command(_) => Err("no command is named".to_owned()),
            })
            .unwrap_err();
        assert_eq!(
            faults[0].to_string(),
            "sample.origins: the variable GONE is not set (from troupe.toml)"
        );
        let tree = layers().build().unwrap().resolve(|_| Ok("x".to_owned())).unwrap();
        let sample: Sample = tree.section().unwrap();
        assert_eq!((sample.password.expose(), sample.origins[0].as_str()), ("x", "x"));
    }
    #[test]
    fn a_command_is_a_list_of_words_and_nothing_else() {
        let parsed = |text: &str| Reference::parse(text).unwrap();
        let words = ["pass", "show", "a b"].map(str::to_owned).to_vec();
        assert_eq!(
            parsed(r#"${command:["pass", "show", "a b"]}"#),
            Ok(Reference::Command(words.clone()))
        );
        for text in
            ["${command:pass show}", "${command:[]}", r#"${command:[""]}"#, "${command:[1]}"]
        {
            assert!(parsed(text).unwrap_err().contains("JSON list"), "{text}");
        }
        assert_eq!(Reference::parse("${comand:[]}"), None);
    }

    #[test]
    fn keys_that_differ_are_named_without_their_values() {
        let tree = |text: &str| Layers::new().file("troupe.toml", text).build().unwrap();
        let one = tree("[sample]\npassword = \"a\"\nlimit.burst = 1\nlisten = \"x\"");
        let other = tree("[sample]\npassword = \"b\"\nlisten = \"x\"\nenabled = true");
        let expected = ["sample.enabled", "sample.limit.burst", "sample.password"];
        assert_eq!(one.differing(&other), expected);
        assert_eq!(other.differing(&one), expected);
        assert!(one.differing(&one).is_empty());
    }
}
