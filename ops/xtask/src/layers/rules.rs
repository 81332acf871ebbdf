//! The rules as ARCHITECTURE.md writes them, in two fenced blocks.
//!
//! ```text
//! services := blog identity          a group of crates
//! services -> kernel actors          may depend on these and on no other of ours; `*` is all
//! services ~> cache                  the same, in tests only
//! ractor   <- actors                 a foreign crate that only these may name outside tests
//! ```
//! and
//! ```text
//! services = module routes tests     the rooms of every crate of a group
//! console  - repository : it owns no rows
//! ```

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};

type Names = BTreeSet<String>;

/// Both blocks, read.
#[derive(Debug, Default)]
pub(super) struct Rules {
    groups: BTreeMap<String, Vec<String>>,
    edges: BTreeMap<String, Names>,
    test_edges: BTreeMap<String, Names>,
    /// Foreign crates with the only crates that may name them.
    pub(super) foreign: BTreeMap<String, Names>,
    /// Group → the rooms of its crates.
    pub(super) rooms: BTreeMap<String, Vec<String>>,
    /// Crate → rooms that it does without.
    pub(super) exemptions: BTreeMap<String, Names>,
}

impl Rules {
    /// Reads the document.
    ///
    /// # Errors
    /// When a block is missing or a line cannot be understood: a rule that is not read would be a
    /// rule that is not checked.
    pub(super) fn parse(document: &str) -> Result<Self> {
        let mut rules = Self::default();
        for line in block(document, "layers")? {
            rules.read_layer(line).with_context(|| format!("layers line `{line}`"))?;
        }
        for line in block(document, "rooms")? {
            rules.read_room(line).with_context(|| format!("rooms line `{line}`"))?;
        }
        ensure!(!rules.edges.is_empty(), "the layers block has no `->` line");
        Ok(rules)
    }

    /// The members of a group, or the crate itself.
    pub(super) fn group<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        match self.groups.get(name) {
            Some(members) => members.iter().map(String::as_str).collect(),
            None => vec![name],
        }
    }

    /// Every crate that has a line.
    pub(super) fn crates(&self) -> impl Iterator<Item = &str> {
        self.edges.keys().map(String::as_str)
    }

    /// Whether the document knows the crate.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.edges.contains_key(name)
    }

    /// Whether `from` may name `to`.
    pub(super) fn allows(&self, from: &str, to: &str, only_tests: bool) -> bool {
        let holds = |edges: &BTreeMap<String, Names>| {
            edges.get(from).is_some_and(|targets| targets.contains(to) || targets.contains("*"))
        };
        holds(&self.edges) || (only_tests && holds(&self.test_edges))
    }

    /// What `from` may name, for a message.
    pub(super) fn allowed(&self, from: &str) -> String {
        let names: Vec<&str> =
            self.edges.get(from).into_iter().flatten().map(String::as_str).collect();
        if names.is_empty() { "nothing of ours".to_owned() } else { names.join(", ") }
    }

    fn read_layer(&mut self, line: &str) -> Result<()> {
        let mut words = line.split_whitespace();
        let name = words.next().context("empty line")?;
        let sign = words.next().context("no sign after the name")?;
        let listed: Vec<&str> = words.collect();
        match sign {
            ":=" => {
                ensure!(!listed.is_empty(), "an empty group");
                self.groups
                    .insert(name.to_owned(), listed.iter().map(|&word| word.to_owned()).collect());
            }
            "->" => {
                let targets = self.expand(&listed);
                for from in self.expand(&[name]) {
                    self.edges.entry(from).or_default().extend(targets.iter().cloned());
                }
            }
            "~>" => {
                let targets = self.expand(&listed);
                for from in self.expand(&[name]) {
                    self.test_edges.entry(from).or_default().extend(targets.iter().cloned());
                }
            }
            "<-" => {
                let users = self.expand(&listed);
                self.foreign.entry(name.to_owned()).or_default().extend(users);
            }
            _ => bail!("`{sign}` is none of := -> ~> <-"),
        }
        Ok(())
    }

    fn read_room(&mut self, line: &str) -> Result<()> {
        if let Some((group, rooms)) = line.split_once(" = ") {
            let rooms = rooms.split_whitespace().map(str::to_owned).collect();
            self.rooms.insert(group.trim().to_owned(), rooms);
            return Ok(());
        }
        let (name, rest) = line.split_once(" - ").context("neither ` = ` nor ` - `")?;
        let (rooms, reason) = rest.split_once(" : ").context("an exemption needs ` : REASON`")?;
        ensure!(!reason.trim().is_empty(), "an exemption needs a reason");
        let rooms = rooms.split_whitespace().map(str::to_owned);
        self.exemptions.entry(name.trim().to_owned()).or_default().extend(rooms);
        Ok(())
    }

    fn expand(&self, names: &[&str]) -> Names {
        names.iter().flat_map(|name| self.group(name)).map(str::to_owned).collect()
    }
}

/// The lines of the block that opens with three backticks and `name`, without comments.
fn block<'a>(document: &'a str, name: &str) -> Result<Vec<&'a str>> {
    let opening = format!("```{name}");
    let mut lines = document.lines().skip_while(|line| line.trim_end() != opening);
    lines.next().with_context(|| format!("no block that opens with {opening}"))?;
    let mut content = Vec::new();
    for line in lines {
        if line.trim_end() == "```" {
            return Ok(content);
        }
        let line = line.split('#').next().unwrap_or("").trim();
        if !line.is_empty() {
            content.push(line);
        }
    }
    bail!("the block {opening} is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
# Title
```layers
services := blog identity   # a comment
actors   ->
kernel   -> actors
services -> kernel
services ~> cache
cache    -> kernel
node     -> *
ractor   <- actors
```
```rooms
services = module tests
blog - module : it is one
```
";

    #[test]
    fn groups_expand_on_both_sides_and_a_star_allows_all() {
        let rules = Rules::parse(DOCUMENT).expect("a well-formed document");
        assert!(rules.allows("blog", "kernel", false));
        assert!(!rules.allows("kernel", "blog", false));
        assert!(!rules.allows("blog", "identity", false));
        assert!(rules.allows("node", "blog", false));
        assert_eq!(rules.allowed("actors"), "nothing of ours");
    }

    #[test]
    fn a_test_edge_holds_in_tests_only() {
        let rules = Rules::parse(DOCUMENT).expect("a well-formed document");
        assert!(rules.allows("identity", "cache", true));
        assert!(!rules.allows("identity", "cache", false));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (broken, fragment) in [
            (DOCUMENT.replace("kernel   -> actors", "kernel  => actors"), "none of"),
            (DOCUMENT.replace("```rooms", "```"), "no block"),
            (DOCUMENT.replace(" : it is one", ""), "needs"),
            ("```layers\na -> b".to_owned(), "not closed"),
        ] {
            let error = Rules::parse(&broken).expect_err("a broken document");
            assert!(format!("{error:#}").contains(fragment), "{error:#}");
        }
    }
}
