//! The ratchet on the length of files.
//!
//! No source file is longer than [`LINES_MAX`] unless `long-files.txt` lists it with its number of
//! lines. The list may only shrink: a listed file may not grow, an entry that is no longer needed
//! must go, and against the oldest committed list nothing may be added or raised.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Violation;
use crate::process;
use crate::workspace::Workspace;

/// Lines that a file may have.
const LINES_MAX: usize = 500;

/// The list, relative to the root: `LINES PATH` a line, `#` for comments.
const LIST: &str = "ops/xtask/long-files.txt";

type List = BTreeMap<String, usize>;

/// Files that are too long, and entries of the list that are stale or new.
pub(super) fn check(workspace: &Workspace, sources: &[PathBuf]) -> Result<Vec<Violation>> {
    let path = workspace.root.join(LIST);
    let list = if path.is_file() { parse(&fs::read_to_string(&path)?)? } else { List::new() };
    let mut lengths = List::new();
    for file in sources {
        let text = fs::read_to_string(workspace.root.join(file))?;
        lengths.insert(file.display().to_string(), text.lines().count());
    }
    let mut found = compare(&lengths, &list);
    if let Some(oldest) = oldest_list(&workspace.root)? {
        found.extend(raised(&list, &oldest));
    }
    Ok(found)
}

fn compare(lengths: &List, list: &List) -> Vec<Violation> {
    let mut found = Vec::new();
    for (file, &lines) in lengths {
        match list.get(file) {
            None if lines > LINES_MAX => {
                found.push(Violation::new(
                    file,
                    format!("{lines} lines, {LINES_MAX} at most: split it"),
                ));
            }
            Some(&listed) if lines > listed => {
                found.push(Violation::new(
                    file,
                    format!("{lines} lines, listed with {listed}: it may only shrink"),
                ));
            }
            Some(&listed) if lines <= LINES_MAX => {
                found.push(Violation::new(
                    file,
                    format!("{lines} lines: take it off {LIST} (listed with {listed})"),
                ));
            }
            Some(&listed) if lines < listed => {
                found.push(Violation::new(
                    file,
                    format!("{lines} lines: lower its entry in {LIST} from {listed}"),
                ));
            }
            _ => {}
        }
    }
    for file in list.keys().filter(|file| !lengths.contains_key(*file)) {
        found.push(Violation::new(file, format!("is gone: take it off {LIST}")));
    }
    found
}

fn raised(list: &List, oldest: &List) -> Vec<Violation> {
    let mut found = Vec::new();
    for (file, &lines) in list {
        match oldest.get(file) {
            None => found.push(Violation::new(
                file,
                format!("added to {LIST}, which may only shrink: split the file"),
            )),
            Some(&before) if lines > before => {
                found.push(Violation::new(
                    file,
                    format!("raised in {LIST} from {before} to {lines}: it may only shrink"),
                ));
            }
            Some(_) => {}
        }
    }
    found
}

/// The list as it was first committed; none without git or before the first commit.
fn oldest_list(root: &Path) -> Result<Option<List>> {
    let mut log = Command::new("git");
    log.arg("-C").arg(root).args([
        "log",
        "--reverse",
        "--format=%H",
        "--diff-filter=A",
        "--",
        LIST,
    ]);
    let Some(commit) =
        process::capture(log).ok().and_then(|text| text.lines().next().map(str::to_owned))
    else {
        return Ok(None);
    };
    let mut show = Command::new("git");
    show.arg("-C").arg(root).arg("show").arg(format!("{commit}:{LIST}"));
    Ok(Some(parse(&process::capture(show)?)?))
}

fn parse(text: &str) -> Result<List> {
    let mut list = List::new();
    for line in
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (lines, file) = line
            .split_once(' ')
            .with_context(|| format!("{LIST}: `{line}` is not `LINES PATH`"))?;
        let lines = lines.parse().with_context(|| format!("{LIST}: `{lines}` is not a number"))?;
        list.insert(file.trim().to_owned(), lines);
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(lines: usize, list: &str) -> Vec<String> {
        let lengths = List::from([("a.rs".to_owned(), lines)]);
        let list = parse(list).expect("a well-formed list");
        compare(&lengths, &list).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn a_file_above_the_limit_is_refused_unless_it_is_listed() {
        assert_eq!(advice(500, ""), Vec::<String>::new());
        assert_eq!(advice(501, ""), ["a.rs: 501 lines, 500 at most: split it"]);
        assert_eq!(advice(520, "520 a.rs"), Vec::<String>::new());
    }

    #[test]
    fn a_listed_file_may_only_shrink_and_its_entry_follows() {
        assert_eq!(advice(521, "520 a.rs").len(), 1);
        assert!(advice(510, "520 a.rs")[0].contains("lower its entry"));
        assert!(advice(400, "520 a.rs")[0].contains("take it off"));
        assert_eq!(
            advice(400, "600 gone.rs"),
            ["gone.rs: is gone: take it off ops/xtask/long-files.txt"]
        );
    }

    #[test]
    fn against_the_first_list_nothing_is_added_or_raised() {
        let oldest = parse("520 a.rs\n# why\n600 b.rs").expect("a well-formed list");
        let lowered = parse("510 a.rs").expect("a well-formed list");
        assert_eq!(raised(&lowered, &oldest), []);
        let worse = parse("530 a.rs\n510 c.rs").expect("a well-formed list");
        assert_eq!(raised(&worse, &oldest).len(), 2);
    }
}
