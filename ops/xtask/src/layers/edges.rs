//! Who depends on whom, against the `layers` block.

use super::rules::Rules;
use super::{DOCUMENT, Violation};
use crate::workspace::{Package, Workspace};

/// Every dependency that the document does not draw, and every name in it that nobody bears.
pub(super) fn check(workspace: &Workspace, rules: &Rules) -> Vec<Violation> {
    let mut found = Vec::new();
    for package in &workspace.packages {
        if rules.knows(&package.name) {
            check_package(package, rules, &mut found);
        } else {
            let advice = format!("{DOCUMENT} does not draw it: give it a line in the layers block");
            found.push(Violation::new(&package.name, advice));
        }
    }
    for name in rules.crates() {
        if !workspace.packages.iter().any(|package| package.name == name) {
            found.push(Violation::new(
                DOCUMENT,
                format!("`{name}` is not a member of the workspace"),
            ));
        }
    }
    found
}

fn check_package(package: &Package, rules: &Rules, found: &mut Vec<Violation>) {
    let name = &package.name;
    for dependency in &package.dependencies {
        let target = &dependency.name;
        if dependency.ours {
            // A crate may name itself in its tests, to switch on a feature.
            if target != name && !rules.allows(name, target, dependency.only_tests) {
                let allowed = rules.allowed(name);
                let where_ = if dependency.only_tests { " in its tests" } else { "" };
                let advice = format!("depends on `{target}`{where_}; {DOCUMENT} allows {allowed}");
                found.push(Violation::new(name, advice));
            }
        } else if let Some(users) = rules.foreign.get(target)
            && !users.contains(name)
            && !dependency.only_tests
        {
            let users: Vec<&str> = users.iter().map(String::as_str).collect();
            let advice = format!("names `{target}`, which is for {} only", users.join(", "));
            found.push(Violation::new(name, advice));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const DOCUMENT: &str = "\
```layers
actors ->
kernel -> actors
blog   -> kernel
blog   ~> actors
ractor <- actors
```
```rooms
```
";

    fn workspace(blog: &[Value]) -> Workspace {
        let package = |name: &str, dependencies: &[Value]| json!({ "name": name, "manifest_path": format!("/repo/{name}/Cargo.toml"), "dependencies": dependencies });
        Workspace::from_metadata(&json!({ "workspace_root": "/repo", "packages": [
            package("troupe-actors", &[json!({ "name": "ractor" })]),
            package("troupe-kernel", &[]),
            package("troupe-blog", blog),
        ] }))
        .expect("a well-formed document")
    }

    fn violations(blog: &[Value]) -> Vec<String> {
        let rules = Rules::parse(DOCUMENT).expect("a well-formed document");
        check(&workspace(blog), &rules).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn what_the_document_draws_passes() {
        let blog = [
            json!({ "name": "troupe-kernel", "path": "/repo/kernel" }),
            json!({ "name": "troupe-actors", "path": "/repo/actors", "kind": "dev" }),
            json!({ "name": "troupe-blog", "path": "/repo/blog", "kind": "dev" }),
            json!({ "name": "ractor", "kind": "dev" }),
            json!({ "name": "serde" }),
        ];
        assert_eq!(violations(&blog), Vec::<String>::new());
    }

    #[test]
    fn an_edge_that_is_not_drawn_and_a_foreign_crate_of_others_are_listed() {
        let blog = [
            json!({ "name": "troupe-actors", "path": "/repo/actors" }),
            json!({ "name": "ractor" }),
        ];
        assert_eq!(
            violations(&blog),
            [
                "blog: depends on `actors`; ARCHITECTURE.md allows kernel",
                "blog: names `ractor`, which is for actors only",
            ]
        );
    }

    #[test]
    fn a_member_without_a_line_and_a_line_without_a_member_are_listed() {
        let rules =
            Rules::parse(&DOCUMENT.replace("blog ", "wiki ")).expect("a well-formed document");
        let found = check(&workspace(&[]), &rules);
        let places: Vec<&str> = found.iter().map(|violation| violation.place.as_str()).collect();
        assert_eq!(places, ["blog", "ARCHITECTURE.md"]);
    }
}
