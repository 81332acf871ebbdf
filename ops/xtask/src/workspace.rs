//! The workspace as `cargo metadata` tells it: members, where they lie, what they depend on.
//!
//! Dependencies are those that a manifest names, not the resolved graph: a rule about layers is a
//! rule about what a crate may write down.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;

/// The prefix that our library crates share; rules and documents leave it out.
const PREFIX: &str = "troupe-";

/// All members of the workspace.
pub(crate) struct Workspace {
    /// The folder of the root manifest.
    pub(crate) root: PathBuf,
    /// The members in the order of their names.
    pub(crate) packages: Vec<Package>,
}

/// One member.
pub(crate) struct Package {
    /// The name without our prefix, as ARCHITECTURE.md uses it.
    pub(crate) name: String,
    /// Its folder, relative to the root.
    pub(crate) directory: PathBuf,
    /// What its manifest names.
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a dependency table.
pub(crate) struct Dependency {
    /// The name, without our prefix when it is one of ours.
    pub(crate) name: String,
    /// Whether it is a member of this workspace.
    pub(crate) ours: bool,
    /// Whether only tests, examples and benchmarks see it.
    pub(crate) only_tests: bool,
}

impl Workspace {
    /// Asks cargo; works without a network.
    pub(crate) fn load() -> Result<Self> {
        let mut command = process::cargo();
        command.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]);
        let text = process::capture(command).context("cargo metadata")?;
        Self::from_metadata(&serde_json::from_str(&text).context("the answer of cargo metadata")?)
    }

    /// Reads the document that `cargo metadata` prints.
    pub(crate) fn from_metadata(metadata: &Value) -> Result<Self> {
        let root = PathBuf::from(string(metadata, "workspace_root")?);
        let mut packages = Vec::new();
        for package in list(metadata, "packages")? {
            packages.push(Package::from_metadata(package, &root)?);
        }
        ensure!(!packages.is_empty(), "cargo metadata lists no package");
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { root, packages })
    }
}

impl Package {
    fn from_metadata(package: &Value, root: &Path) -> Result<Self> {
        let manifest = Path::new(string(package, "manifest_path")?);
        let directory = manifest.parent().unwrap_or(manifest);
        let directory = directory.strip_prefix(root).unwrap_or(directory).to_owned();
        let mut dependencies = Vec::new();
        for dependency in list(package, "dependencies")? {
            let ours = dependency.get("path").is_some_and(Value::is_string);
            let name = string(dependency, "name")?;
            dependencies.push(Dependency {
                name: if ours { short(name) } else { name }.to_owned(),
                ours,
                only_tests: dependency.get("kind").and_then(Value::as_str) == Some("dev"),
            });
        }
        Ok(Self { name: short(string(package, "name")?).to_owned(), directory, dependencies })
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

fn string<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value.get(key).and_then(Value::as_str).with_context(|| format!("no text at `{key}`"))
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value.get(key).and_then(Value::as_array).with_context(|| format!("no list at `{key}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_read_with_short_names_relative_folders_and_kinds() {
        let workspace = Workspace::from_metadata(&json!({
            "workspace_root": "/repo",
            "packages": [{
                "name": "troupe-blog",
                "manifest_path": "/repo/domains/blog/Cargo.toml",
                "dependencies": [
                    { "name": "troupe-kernel", "path": "/repo/platform/kernel", "kind": null },
                    { "name": "anyhow", "kind": "dev" },
                ],
            }],
        }))
        .expect("a well-formed document");
        let blog = &workspace.packages[0];
        assert_eq!(
            (blog.name.as_str(), blog.directory.as_path()),
            ("blog", Path::new("domains/blog"))
        );
        let seen: Vec<_> =
            blog.dependencies.iter().map(|d| (d.name.as_str(), d.ours, d.only_tests)).collect();
        assert_eq!(seen, [("kernel", true, false), ("anyhow", false, true)]);
    }

    #[test]
    fn a_document_without_packages_is_refused() {
        let empty = json!({ "workspace_root": "/repo", "packages": [] });
        assert!(Workspace::from_metadata(&empty).is_err());
    }
}
