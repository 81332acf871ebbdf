//! `cargo xtask layers`: the shape of the repository, checked.
//!
//! ARCHITECTURE.md is the rule: its `layers` block says who may depend on whom and its `rooms`
//! block what a service crate is made of. Every violation is listed, none stops the search.

mod edges;
mod lengths;
mod rooms;
mod rules;
mod tree;

use std::fmt;
use std::fs;

use anyhow::{Context, Result};

use self::rules::Rules;
use crate::workspace::Workspace;

/// Where the rules are written.
const DOCUMENT: &str = "ARCHITECTURE.md";

/// One broken rule: where, and what to do.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    place: String,
    advice: String,
}

impl Violation {
    fn new(place: impl fmt::Display, advice: impl Into<String>) -> Self {
        Self { place: place.to_string(), advice: advice.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.advice)
    }
}

/// The group of crates that ARCHITECTURE.md calls services.
pub(crate) fn services(workspace: &Workspace) -> Result<Vec<String>> {
    Ok(load(workspace)?.group("services").into_iter().map(str::to_owned).collect())
}

/// Runs every check and prints what it found.
pub(crate) fn command(workspace: &Workspace) -> Result<bool> {
    let rules = load(workspace)?;
    let sources = tree::sources(workspace)?;
    let mut found = Vec::new();
    found.extend(edges::check(workspace, &rules));
    found.extend(tree::check_folders(workspace)?);
    found.extend(tree::check_lints(workspace)?);
    found.extend(tree::check_headers(workspace, &sources)?);
    found.extend(lengths::check(workspace, &sources)?);
    found.extend(rooms::check(workspace, &rules));
    found.sort();
    for violation in &found {
        println!("layers: {violation}");
    }
    let (crates, files) = (workspace.packages.len(), sources.len());
    match found.len() {
        0 => println!("layers: {crates} crates and {files} source files keep to {DOCUMENT}"),
        count => println!("layers: {count} violations in {crates} crates and {files} source files"),
    }
    Ok(found.is_empty())
}

fn load(workspace: &Workspace) -> Result<Rules> {
    let path = workspace.root.join(DOCUMENT);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Rules::parse(&text).with_context(|| format!("in {DOCUMENT}"))
}
