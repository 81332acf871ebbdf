//! The places in a crate's source that send a statement: each `run!` with the function around it.

use std::path::Path;

/// A `run!` outside of the unit tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Site {
    /// The module below `src/` without `repository`, and the function: `posts::page`.
    pub(super) name: String,
    /// The file as the compiler names it: `domains/blog/src/repository/posts.rs`.
    pub(super) file: String,
    /// Where it begins, from 1.
    pub(super) line: u32,
}

/// The sites of a crate, in their order; `folder` is the crate's as the compiler names it.
pub(super) fn sites(root: &Path, folder: &str) -> Vec<Site> {
    let mut files = Vec::new();
    collect(&root.join("src"), "src", &mut files);
    files.sort();
    let read = |file: &String| std::fs::read_to_string(root.join(file)).expect("a source is read");
    files
        .iter()
        .flat_map(|file| of_source(&read(file), file, &format!("{folder}/{file}")))
        .collect()
}

fn collect(folder: &Path, name: &str, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources is read").flatten() {
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if name == "src/testing" {
            continue;
        }
        if entry.path().is_dir() {
            collect(&entry.path(), &name, files);
        } else if name.ends_with(".rs") {
            files.push(name);
        }
    }
}

fn of_source(source: &str, path: &str, file: &str) -> Vec<Site> {
    let module = module_of(path);
    let (mut sites, mut function) = (Vec::new(), "");
    for (line, text) in (1..).zip(source.lines()) {
        let text = text.trim_start();
        if text.starts_with("#[cfg(test)]") || text.starts_with("macro_rules!") {
            break;
        }
        if text.starts_with("//") {
            continue;
        }
        function = function_in(text).unwrap_or(function);
        if text.contains("run!(") {
            sites.push(Site { name: format!("{module}::{function}"), file: file.to_owned(), line });
        }
    }
    sites
}

fn module_of(path: &str) -> String {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    path.strip_prefix("repository/").unwrap_or(path).replace('/', "::")
}

fn function_in(line: &str) -> Option<&str> {
    let words = line.split_once("fn ")?;
    let is_head = words.0.split_whitespace().all(|word| {
        word.starts_with("pub") || ["async", "const", "super)", "crate)"].contains(&word)
    });
    let name = words.1.split(['(', '<']).next()?;
    (is_head && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_named_by_its_module_and_function() {
        let source = "//! run!(not this)\npub(super) async fn page(\n    conn: &mut DbConn,\n) {\n    \
                      run!(conn, |c| a)?;\n    run!(conn, |c| b)\n}\n\nfn plain<'a>() {\n    \
                      let x = run!(conn, |c| c);\n}\n#[cfg(test)]\nfn late() { run!(conn, |c| d) }\n";
        let found = of_source(source, "src/repository/posts.rs", "blog/src/repository/posts.rs");
        let found: Vec<_> = found.iter().map(|site| (site.name.as_str(), site.line)).collect();
        assert_eq!(found, [("posts::page", 5), ("posts::page", 6), ("posts::plain", 10)]);
        assert_eq!(module_of("src/repository/mod.rs"), "repository");
        assert_eq!(module_of("src/effects/inbox.rs"), "effects::inbox");
    }
}
