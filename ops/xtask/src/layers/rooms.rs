//! The rooms of a service crate, against the `rooms` block: who knows one service knows all.

use std::path::Path;

use super::rules::Rules;
use super::{DOCUMENT, Violation};
use crate::workspace::{Package, Workspace};

/// Rooms that are missing, and exemptions for rooms that are there.
pub(super) fn check(workspace: &Workspace, rules: &Rules) -> Vec<Violation> {
    let mut found = Vec::new();
    for (group, rooms) in &rules.rooms {
        for name in rules.group(group) {
            let Some(package) = workspace.packages.iter().find(|package| package.name == name)
            else {
                let advice =
                    format!("`{name}` of the rooms block is not a member of the workspace");
                found.push(Violation::new(DOCUMENT, advice));
                continue;
            };
            check_package(&workspace.root, package, rooms, rules, &mut found);
        }
    }
    found
}

fn check_package(
    root: &Path,
    package: &Package,
    rooms: &[String],
    rules: &Rules,
    found: &mut Vec<Violation>,
) {
    let directory = root.join(&package.directory);
    let exempt =
        |room: &str| rules.exemptions.get(&package.name).is_some_and(|rooms| rooms.contains(room));
    let missing: Vec<&str> = rooms
        .iter()
        .map(String::as_str)
        .filter(|room| !exists(&directory, room) && !exempt(room))
        .collect();
    if !missing.is_empty() {
        let advice = format!(
            "has no room {}: add it, or write in {DOCUMENT} why it does without",
            missing.join(", ")
        );
        found.push(Violation::new(&package.name, advice));
    }
    for room in rooms.iter().filter(|room| exists(&directory, room) && exempt(room)) {
        let advice = format!("has the room {room}: take its exemption out of {DOCUMENT}");
        found.push(Violation::new(&package.name, advice));
    }
}

/// A room is a file, a folder, or (messages) a crate beside the service.
fn exists(directory: &Path, room: &str) -> bool {
    let source = directory.join("src");
    match room {
        "tests" => directory.join("tests/main.rs").is_file(),
        _ => {
            source.join(format!("{room}.rs")).is_file()
                || source.join(room).join("mod.rs").is_file()
                || directory.join(room).join("Cargo.toml").is_file()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn missing_rooms_and_stale_exemptions_are_listed() {
        let root = std::env::temp_dir().join(format!("xtask-rooms-{}", std::process::id()));
        for file in ["blog/src/module.rs", "blog/src/routes/mod.rs", "blog/messages/Cargo.toml"] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("a file has a folder"))
                .expect("a writable temporary directory");
            fs::write(path, "").expect("a writable temporary directory");
        }
        let manifest = root.join("blog/Cargo.toml");
        let workspace = Workspace::from_metadata(&json!({
            "workspace_root": root,
            "packages": [{ "name": "troupe-blog", "manifest_path": manifest, "dependencies": [] }],
        }))
        .expect("a well-formed document");
        let rules = Rules::parse(
            "```layers\nservices := blog\nblog ->\n```\n```rooms\n\
             services = module routes messages service events tests\nblog - events module : to see it fail\n```\n",
        )
        .expect("a well-formed document");
        let found: Vec<String> =
            check(&workspace, &rules).iter().map(Violation::to_string).collect();
        fs::remove_dir_all(&root).expect("our own folder");
        assert_eq!(
            found,
            [
                "blog: has no room service, tests: add it, or write in ARCHITECTURE.md why it does without",
                "blog: has the room module: take its exemption out of ARCHITECTURE.md",
            ]
        );
    }
}
