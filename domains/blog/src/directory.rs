//! A directory of Markdown documents on disk, for `troupe blog import DIR` and `export DIR`.
//!
//! [`walk`] lists documents in a stable order within bounds, [`read`] reads one,
//! [`Writer`] writes an export. Neither follows symbolic links, and a path that comes from a
//! server is checked before anything is created: an export never leaves its directory.
//! The HTTP client that moves the documents is the node's business.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::content::limits::DOCUMENT_BYTES_MAX;
use crate::content::source_path::{self, PathError};

/// The most documents of one import.
pub const DOCUMENTS_MAX: usize = 10_000;
/// The deepest folder below the directory.
pub const DEPTH_MAX: usize = 16;
/// The most entries of all kinds that are looked at.
pub const ENTRIES_MAX: usize = 100_000;

/// A document that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The path below the directory, with `/`: the document's name in the blog.
    pub path: String,
    /// Where the file is.
    pub file: PathBuf,
    /// Its length.
    pub size_bytes: u64,
}

/// A Markdown file that cannot be imported, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The path below the directory, as far as it can be shown.
    pub path: String,
    /// Why, as a sentence.
    pub reason: String,
}

/// What a directory holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The documents, ordered by the bytes of their paths.
    pub documents: Vec<Source>,
    /// What was left out; folders that begin with a dot and files that are not Markdown are not
    /// mentioned.
    pub skipped: Vec<Skipped>,
}

/// Why a directory cannot be read or written.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// The file system refused.
    #[error("{} cannot be {action}", path.display())]
    Io {
        /// What was tried, in the past participle.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Not a directory.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// More than [`DOCUMENTS_MAX`] documents or [`ENTRIES_MAX`] entries.
    #[error("the directory holds more than {0} {1}; import its folders one by one")]
    TooMany(usize, &'static str),
    /// A document is not UTF-8.
    #[error("{} is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// A document is too large.
    #[error("{} is larger than {DOCUMENT_BYTES_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    /// A path that would leave the directory, or that no document may have.
    #[error("the document's path {path:?} is refused")]
    Path {
        /// The path.
        path: String,
        /// The rule it breaks.
        source: PathError,
    },
    /// A symbolic link stands where a folder or file would be written.
    #[error("{} is a symbolic link; nothing is written through it", .0.display())]
    Link(PathBuf),
}

/// Lists the Markdown documents below a directory.
///
/// # Errors
/// When the directory cannot be read or exceeds the bounds. Single files that cannot be imported
/// are listed in [`Listing::skipped`] instead.
pub fn walk(root: &Path) -> Result<Listing, DirectoryError> {
    let meta = fs::metadata(root).map_err(|source| failed("read", root, source))?;
    if !meta.is_dir() {
        return Err(DirectoryError::NotADirectory(root.to_owned()));
    }
    let mut walk = Walk::default();
    walk.folder(root, "", 0)?;
    walk.listing.documents.sort_by(|a, b| a.path.cmp(&b.path));
    walk.listing.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walk.listing)
}

/// Reads a document that [`walk`] found.
///
/// # Errors
/// When it cannot be read, grew too large meanwhile or is not UTF-8.
pub fn read(source: &Source) -> Result<String, DirectoryError> {
    use io::Read as _;
    let file = &source.file;
    let opened = fs::File::open(file).map_err(|error| failed("read", file, error))?;
    let limit = DOCUMENT_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::with_capacity(usize::try_from(source.size_bytes.min(limit)).unwrap_or(0));
    opened.take(limit).read_to_end(&mut bytes).map_err(|error| failed("read", file, error))?;
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(DirectoryError::TooLarge(file.clone()));
    }
    String::from_utf8(bytes).map_err(|_| DirectoryError::NotText(file.clone()))
}

#[derive(Default)]
struct Walk {
    listing: Listing,
    entries: usize,
}

impl Walk {
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), DirectoryError> {
        let entries = fs::read_dir(folder).map_err(|source| failed("read", folder, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| failed("read", folder, source))?;
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                return Err(DirectoryError::TooMany(ENTRIES_MAX, "entries"));
            }
            let kind = entry.file_type().map_err(|source| failed("read", &entry.path(), source))?;
            let Ok(name) = entry.file_name().into_string() else {
                let shown = entry.file_name().to_string_lossy().into_owned();
                self.skip(format!("{prefix}{shown}"), "its name is not UTF-8");
                continue;
            };
            let path = format!("{prefix}{name}");
            if kind.is_dir() && !name.starts_with('.') {
                if depth >= DEPTH_MAX {
                    self.skip(path, "it lies too deep");
                } else {
                    self.folder(&entry.path(), &format!("{path}/"), depth + 1)?;
                }
            } else if kind.is_file() && source_path::is_markdown(&name) {
                self.file(&entry, path)?;
            } else if kind.is_symlink() && source_path::is_markdown(&name) {
                self.skip(path, "it is a symbolic link");
            }
        }
        Ok(())
    }

    fn file(&mut self, entry: &fs::DirEntry, path: String) -> Result<(), DirectoryError> {
        if let Err(fault) = source_path::check(&path) {
            self.skip(path, fault.to_string());
            return Ok(());
        }
        let meta = entry.metadata().map_err(|source| failed("read", &entry.path(), source))?;
        if meta.len() > DOCUMENT_BYTES_MAX as u64 {
            self.skip(path, format!("it is larger than {DOCUMENT_BYTES_MAX} bytes"));
            return Ok(());
        }
        if self.listing.documents.len() >= DOCUMENTS_MAX {
            return Err(DirectoryError::TooMany(DOCUMENTS_MAX, "documents"));
        }
        self.listing.documents.push(Source { path, file: entry.path(), size_bytes: meta.len() });
        Ok(())
    }

    fn skip(&mut self, path: String, reason: impl Into<String>) {
        if self.listing.skipped.len() < DOCUMENTS_MAX {
            self.listing.skipped.push(Skipped { path, reason: reason.into() });
        }
    }
}

/// Writes the documents of one export into a directory.
#[derive(Debug)]
pub struct Writer {
    root: PathBuf,
    written: BTreeSet<String>,
}

impl Writer {
    /// Opens or creates the directory.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn open(root: &Path) -> Result<Self, DirectoryError> {
        fs::create_dir_all(root).map_err(|source| failed("created", root, source))?;
        Ok(Self { root: root.to_owned(), written: BTreeSet::new() })
    }

    /// Writes one document, replacing a file of an earlier export. Two documents of one export
    /// with the same path are kept apart by a number. Answers the path that was written.
    ///
    /// # Errors
    /// When the path is refused, when a symbolic link is in the way, or when the file system
    /// refuses.
    pub fn write(&mut self, path: &str, content: &str) -> Result<String, DirectoryError> {
        source_path::check(path)
            .map_err(|source| DirectoryError::Path { path: path.to_owned(), source })?;
        let path = self.distinct(path);
        let mut target = self.root.clone();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            target.push(part);
            if fs::symlink_metadata(&target).is_ok_and(|meta| meta.is_symlink()) {
                return Err(DirectoryError::Link(target));
            }
            if parts.peek().is_some() && !target.is_dir() {
                fs::create_dir(&target).map_err(|source| failed("created", &target, source))?;
            }
        }
        // Written beside and renamed, so that a crash leaves no half document under its name.
        let draft = target.with_extension("md.partial");
        write_new(&draft, content).map_err(|source| failed("written", &draft, source))?;
        fs::rename(&draft, &target).map_err(|source| failed("written", &target, source))?;
        self.written.insert(folded(&path));
        Ok(path)
    }

    /// Paths that differ in case only are one file on some systems.
    fn distinct(&self, path: &str) -> String {
        if !self.written.contains(&folded(path)) {
            return path.to_owned();
        }
        let (stem, extension) = path.rsplit_once('.').unwrap_or((path, "md"));
        (2_u32..)
            .map(|number| format!("{stem}-{number}.{extension}"))
            .find(|candidate| !self.written.contains(&folded(candidate)))
            .expect("there are more numbers than documents")
    }
}

/// Writes a file that did not exist, so that a link in its place is not followed.
fn write_new(file: &Path, content: &str) -> io::Result<()> {
    use io::Write as _;
    drop(fs::remove_file(file));
    fs::OpenOptions::new().write(true).create_new(true).open(file)?.write_all(content.as_bytes())
}

fn folded(path: &str) -> String {
    path.to_lowercase()
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> DirectoryError {
    DirectoryError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
