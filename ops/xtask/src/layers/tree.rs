//! The tree itself: top-level folders, workspace lints, the first line of every source file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Violation;
use crate::workspace::Workspace;

/// The folders that the repository may have at its top.
const FOLDERS: [&str; 9] =
    ["actors", "benches", "cluster", "docs", "domains", "fuzz", "migrations", "ops", "platform"];

/// Hidden folders that belong to tools.
const TOOL_FOLDERS: [&str; 4] = [".git", ".cargo", ".ci", ".github"];

/// What git ignores and programs write.
const WRITTEN_FOLDERS: [&str; 2] = ["target", "troupe-data"];

/// Every Rust source file below the fixed folders, relative to the root, in order.
pub(super) fn sources(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        let path = workspace.root.join(folder);
        if path.is_dir() {
            collect(&path, &mut files)?;
        }
    }
    let mut files: Vec<PathBuf> = files
        .into_iter()
        .map(|file| file.strip_prefix(&workspace.root).map(Path::to_owned).unwrap_or(file))
        .collect();
    files.sort();
    Ok(files)
}

/// Folders at the top that are not of the fixed ones.
pub(super) fn check_folders(workspace: &Workspace) -> Result<Vec<Violation>> {
    let known: BTreeSet<&str> =
        FOLDERS.iter().chain(&TOOL_FOLDERS).chain(&WRITTEN_FOLDERS).copied().collect();
    let mut found = Vec::new();
    for entry in read(&workspace.root)? {
        let name = file_name(&entry);
        if entry.is_dir() && !known.contains(name.as_str()) {
            let advice =
                format!("not a top-level folder of the repository: {}", FOLDERS.join(", "));
            found.push(Violation::new(format!("{name}/"), advice));
        }
    }
    Ok(found)
}

/// Members that do not take the lints of the workspace.
pub(super) fn check_lints(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    for package in &workspace.packages {
        let path = workspace.root.join(&package.directory).join("Cargo.toml");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let manifest: toml::Table =
            text.parse().with_context(|| format!("in {}", path.display()))?;
        let opted = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        if opted != Some(true) {
            found.push(Violation::new(
                &package.name,
                "does not take the lints: add `[lints] workspace = true`",
            ));
        }
    }
    Ok(found)
}

/// Source files that do not open with what they are for.
pub(super) fn check_headers(workspace: &Workspace, sources: &[PathBuf]) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    for file in sources {
        let path = workspace.root.join(file);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if !text.starts_with("//! ") {
            found.push(Violation::new(file.display(), "opens without `//! ` and what it is for"));
        }
    }
    Ok(found)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in read(folder)? {
        let name = file_name(&entry);
        if name.starts_with('.') || WRITTEN_FOLDERS.contains(&name.as_str()) {
            continue;
        }
        if entry.is_dir() {
            collect(&entry, files)?;
        } else if name.ends_with(".rs") {
            files.push(entry);
        }
    }
    Ok(())
}

fn read(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot list {}", folder.display());
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        entries.push(entry.with_context(unreadable)?.path());
    }
    entries.sort();
    Ok(entries)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
