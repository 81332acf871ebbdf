//! The rules for Prometheus: sound, tried, and each with a line of what to do.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{files_of, given, ops};

const RUNBOOK: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations/observability.md");

/// An alert.
pub struct Alert {
    pub name: String,
    expression: String,
}

impl Alert {
    /// Its parts without what they compare with.
    pub fn without_thresholds(&self) -> Vec<String> {
        let parts = self.expression.split("\nand\n");
        parts.map(|part| without_threshold(&self.name, part.trim())).collect()
    }
}

/// `EXPRESSION COMPARISON NUMBER`
fn without_threshold(alert: &str, part: &str) -> String {
    let mut words = part.rsplitn(3, ' ');
    let (number, comparison) = (words.next(), words.next());
    let sound = number.is_some_and(|number| number.parse::<f64>().is_ok())
        && comparison.is_some_and(|word| matches!(word, ">" | ">=" | "<" | "<=" | "==" | "!="));
    assert!(sound, "{alert}: `{part}` does not end with a comparison with a number");
    words.next().expect("an expression").to_owned()
}

/// All alerts of `ops/prometheus`.
pub fn alerts() -> Vec<Alert> {
    let mut alerts = Vec::new();
    for file in files_of("prometheus", ".rules.yml") {
        let text = std::fs::read_to_string(&file).expect("rules can be read");
        let rules: Value = serde_saphyr::from_str(&text).expect("rules are YAML");
        let groups = rules["groups"].as_array().expect("groups");
        for rule in groups.iter().flat_map(|group| group["rules"].as_array().expect("rules")) {
            let Some(name) = rule["alert"].as_str() else { continue };
            let expression = rule["expr"].as_str().expect("an expression").to_owned();
            alerts.push(Alert { name: name.to_owned(), expression });
        }
    }
    assert!(alerts.len() > 20, "where are the alerts?");
    alerts
}

/// The program that checks rules; none where there is none.
fn promtool() -> Option<PathBuf> {
    given("TROUPE_TEST_PROMTOOL").map(PathBuf::from)
}

fn passes(mut command: Command) {
    let output = command.current_dir(ops("prometheus")).output().expect("promtool runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn rules_are_sound_and_alerts_fire_on_what_they_are_for() {
    let Some(promtool) = promtool() else { return };
    let mut check = Command::new(&promtool);
    check.args(["check", "rules"]).args(files_of("prometheus", ".rules.yml"));
    passes(check);
    let mut test = Command::new(&promtool);
    test.args(["test", "rules"]).args(files_of("prometheus", ".test.yml"));
    passes(test);
}

#[test]
fn each_alert_is_tried_and_has_its_line_in_the_runbook() {
    let runbook = std::fs::read_to_string(RUNBOOK).expect("the runbook is there");
    let mut tried = BTreeSet::new();
    for file in files_of("prometheus", ".test.yml") {
        let text = std::fs::read_to_string(&file).expect("tests can be read");
        let tests: Value = serde_saphyr::from_str(&text).expect("tests are YAML");
        for test in tests["tests"].as_array().expect("tests") {
            for case in test["alert_rule_test"].as_array().expect("cases") {
                let fires = case["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
                assert!(fires, "{test} expects no alert");
                tried.insert(case["alertname"].as_str().expect("a name").to_owned());
            }
        }
    }
    for Alert { name, .. } in alerts() {
        assert!(tried.remove(&name), "no case of ops/prometheus/*.test.yml fires {name}");
        assert!(runbook.contains(&format!("| `{name}` |")), "no line about {name} in {RUNBOOK}");
    }
    assert_eq!(tried, BTreeSet::new(), "these are no alerts");
}
