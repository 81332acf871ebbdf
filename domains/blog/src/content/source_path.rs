//! The path under which a document was imported.
//!
//! Invariant: a source path is relative, uses `/`, has no empty, `.` or `..`
//! part, no backslash, colon or control character, and ends in `.md` or
//! `.markdown`. The same rule guards the directory writer, so that an export
//! can never leave its directory.

use thiserror::Error;

use super::limits::SOURCE_PATH_BYTES_MAX;

/// Why a path was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathError {
    /// Longer than [`SOURCE_PATH_BYTES_MAX`], or nothing at all.
    #[error("a path has between 1 and {SOURCE_PATH_BYTES_MAX} bytes")]
    Length,
    /// Begins with `/`, or has an empty, `.` or `..` part.
    #[error("a path is relative, with neither empty parts nor `.` nor `..`")]
    Part,
    /// A backslash, a colon or a control character.
    #[error("a path has no backslash, colon or control character")]
    Character,
    /// Not a Markdown file.
    #[error("a path ends in .md or .markdown")]
    Extension,
}

/// Checks a path against the rule of this file.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(path: &str) -> Result<(), PathError> {
    if path.is_empty() || path.len() > SOURCE_PATH_BYTES_MAX {
        return Err(PathError::Length);
    }
    if path.chars().any(|c| c == '\\' || c == ':' || c.is_control()) {
        return Err(PathError::Character);
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(PathError::Part);
    }
    if !is_markdown(path) {
        return Err(PathError::Extension);
    }
    Ok(())
}

/// Whether the name ends as a Markdown file does.
#[must_use]
pub fn is_markdown(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').is_some_and(|(stem, extension)| {
        !stem.is_empty()
            && (extension.eq_ignore_ascii_case("md") || extension.eq_ignore_ascii_case("markdown"))
    })
}

/// The file's name without folder and ending: `guide/getting-started.md` gives
/// `getting-started`.
#[must_use]
pub fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_pass() {
        for path in ["a.md", "guide/a.markdown", "Ünïcode/Ä b.MD", "a..b/c.md"] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn paths_that_leave_the_directory_are_refused() {
        for path in ["/a.md", "../a.md", "a/../b.md", "a//b.md", "./a.md", "a/"] {
            assert_eq!(check(path), Err(PathError::Part), "{path}");
        }
        for path in ["a\\b.md", "c:a.md", "a\0.md", "a\n.md"] {
            assert_eq!(check(path), Err(PathError::Character), "{path}");
        }
        for path in ["a.txt", ".md", "md", "a.md/b"] {
            assert_eq!(check(path), Err(PathError::Extension), "{path}");
        }
        assert_eq!(check(""), Err(PathError::Length));
        assert_eq!(check(&format!("{}.md", "a".repeat(600))), Err(PathError::Length));
    }

    #[test]
    fn the_stem_is_the_bare_name() {
        assert_eq!(stem("guide/getting-started.md"), "getting-started");
        assert_eq!(stem("README.markdown"), "README");
    }
}
