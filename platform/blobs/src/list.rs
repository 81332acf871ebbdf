//! Walks the keys of the directory in their order, without going where no wanted key can be.

use std::fs;
use std::io;
use std::time::{Duration, SystemTime};

use crate::directory::{Directory, INFO, remove};
use crate::error::BlobError;
use crate::key::BlobKey;

/// Which keys are wanted.
pub(crate) struct Wanted<'a> {
    /// They begin with this.
    pub(crate) prefix: &'a str,
    /// They come after this.
    pub(crate) after: Option<&'a str>,
    /// No more than this.
    pub(crate) limit: usize,
}

/// The wanted keys in their order.
pub(crate) fn keys(directory: &Directory, wanted: &Wanted<'_>) -> Result<Vec<BlobKey>, BlobError> {
    let mut found = Vec::new();
    walk(directory, "", wanted, &mut found)?;
    Ok(found)
}

/// Visits one folder. `below` is its key with the `/` at the end, or nothing for the root.
fn walk(
    directory: &Directory,
    below: &str,
    wanted: &Wanted<'_>,
    found: &mut Vec<BlobKey>,
) -> Result<(), BlobError> {
    for name in names(directory, below)? {
        if found.len() >= wanted.limit {
            return Ok(());
        }
        let path = format!("{below}{name}");
        if path.ends_with('/') {
            let related = path.starts_with(wanted.prefix) || wanted.prefix.starts_with(&path);
            let passed = wanted
                .after
                .is_some_and(|after| after > path.as_str() && !after.starts_with(&path));
            if related && !passed {
                walk(directory, &path, wanted, found)?;
            }
        } else if path.starts_with(wanted.prefix)
            && wanted.after.is_none_or(|after| path.as_str() > after)
        {
            found.push(BlobKey::parse(&path)?);
        }
    }
    Ok(())
}

/// The blobs (`name`) and folders (`name/`) of a folder, so that their order is that of the keys.
fn names(directory: &Directory, below: &str) -> Result<Vec<String>, BlobError> {
    let folder = directory.root().join(below);
    let fault = |error| BlobError::io("listing", &folder, error);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fault(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fault)?;
        let Ok(mut name) = entry.file_name().into_string() else { continue };
        if let Some(blob) = name.strip_suffix(INFO) {
            names.push(blob.to_owned());
        } else if !name.contains('@') && entry.file_type().map_err(fault)?.is_dir() {
            name.push('/');
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes content that no side file names and that is older than `age`; answers how much.
pub(crate) fn sweep(directory: &Directory, age: Duration) -> Result<u64, BlobError> {
    sweep_folder(directory, "", age)
}

fn sweep_folder(directory: &Directory, below: &str, age: Duration) -> Result<u64, BlobError> {
    let mut removed = 0;
    for name in names(directory, below)? {
        if name.ends_with('/') {
            removed += sweep_folder(directory, &format!("{below}{name}"), age)?;
        }
    }
    let folder = directory.root().join(below);
    let fault = |error| BlobError::io("listing", &folder, error);
    for entry in fs::read_dir(&folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let file_name = entry.file_name();
        let Some((name, digest)) = file_name.to_str().and_then(|name| name.split_once('@')) else {
            continue;
        };
        let Ok(key) = BlobKey::parse(&format!("{below}{name}")) else { continue };
        if file_name.to_str().is_some_and(|name| name.ends_with(INFO)) || is_young(&entry, age) {
            continue;
        }
        if directory.info(&key)?.is_none_or(|info| info.digest != digest) && remove(&entry.path())?
        {
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether a writer may still be about to name it. A file whose age cannot be told counts as young.
fn is_young(entry: &fs::DirEntry, age: Duration) -> bool {
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    #[expect(clippy::disallowed_methods, reason = "compared with times that the file system wrote")]
    let now = SystemTime::now();
    modified
        .ok()
        .and_then(|modified| now.duration_since(modified).ok())
        .is_none_or(|since| since < age)
}
