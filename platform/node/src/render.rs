//! Text for a terminal: the actor tree and the list of the busiest.

use std::fmt::Write;

use serde_json::Value;

/// The tree as indented lines.
pub fn tree(nodes: &[Value]) -> String {
    let mut text = String::new();
    for (index, node) in nodes.iter().enumerate() {
        branch(node, "", index + 1 == nodes.len(), &mut text);
    }
    text
}

fn branch(node: &Value, indent: &str, last: bool, text: &mut String) {
    let name = node["name"].as_str().unwrap_or("?");
    let (mark, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
    writeln(text, format_args!("{indent}{mark}{name}{}", facts(&node["actor"])));
    let indent = format!("{indent}{below}");
    let children = node["children"].as_array().map_or(&[][..], Vec::as_slice);
    let hidden = node["hidden_children"].as_u64().unwrap_or(0);
    for (index, child) in children.iter().enumerate() {
        branch(child, &indent, hidden == 0 && index + 1 == children.len(), text);
    }
    if hidden > 0 {
        writeln(text, format_args!("{indent}└─ … {hidden} more"));
    }
}

/// What is worth saying of an actor: nothing of one that is idle and well.
fn facts(actor: &Value) -> String {
    let mut facts = Vec::new();
    let state = actor["state"].as_str().unwrap_or("running");
    if state != "running" {
        facts.push(state.to_owned());
    }
    let count = |key: &str| actor[key].as_u64().unwrap_or(0);
    if count("handled") > 0 {
        facts.push(format!("{} handled", count("handled")));
    }
    for (key, word) in [
        ("depth", "waiting"),
        ("failed", "failed"),
        ("expired", "expired"),
        ("shed", "shed"),
        ("crashes", "crashed"),
        ("dead", "dead"),
    ] {
        if count(key) > 0 {
            facts.push(format!("{} {word}", count(key)));
        }
    }
    if facts.is_empty() { String::new() } else { format!("  ({})", facts.join(", ")) }
}

/// The busiest actors as a table.
pub fn top(actors: &[Value]) -> String {
    let mut text = String::new();
    writeln(
        &mut text,
        format_args!(
            "{:<44} {:>7} {:>8} {:>9} {:>7} {:>7} {:>8}",
            "ACTOR", "DEPTH", "OLDEST", "RECEIVED", "SHED", "CRASHES", "BUSY"
        ),
    );
    for actor in actors {
        let count = |key: &str| actor[key].as_u64().unwrap_or(0);
        writeln(
            &mut text,
            format_args!(
                "{:<44} {:>7} {:>8} {:>9} {:>7} {:>7} {:>8}",
                actor["path"].as_str().unwrap_or("?"),
                count("depth"),
                millis(count("oldest_ms")),
                count("received"),
                count("shed"),
                count("crashes"),
                millis(actor["busy_ms"].as_u64().unwrap_or(0)),
            ),
        );
    }
    text
}

fn millis(ms: u64) -> String {
    match ms {
        0 => "-".to_owned(),
        1..10_000 => format!("{ms}ms"),
        _ => format!("{}s", ms / 1000),
    }
}

fn writeln(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("a String takes all text");
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tree_is_drawn_with_what_is_worth_knowing() {
        let nodes = [json!({
            "name": "root", "actor": {"state": "running"}, "hidden_children": 0,
            "children": [
                {"name": "posts", "actor": {"state": "running", "handled": 7, "crashes": 1},
                 "children": [], "hidden_children": 0},
                {"name": "mail", "actor": {"state": "restarting"},
                 "children": [], "hidden_children": 3},
            ],
        })];
        assert_eq!(
            tree(&nodes),
            "└─ root\n   ├─ posts  (7 handled, 1 crashed)\n   └─ mail  (restarting)\n      └─ … 3 more\n"
        );
    }

    #[test]
    fn the_busiest_are_a_table() {
        let actors = [json!({"path": "/node/blog/posts", "busy_ms": 12, "depth": 3})];
        let text = top(&actors);
        assert!(
            text.lines()
                .nth(1)
                .is_some_and(|line| line.contains("/node/blog/posts") && line.contains("12ms"))
        );
    }
}
