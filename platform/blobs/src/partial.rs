//! A file that is not whole yet. All of it blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::error::BlobError;

/// A file of its own name that goes with this value, unless it was moved to its place.
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
    file: File,
    moved: bool,
}

impl Partial {
    /// Begins one in a folder that is there.
    pub(crate) fn create(folder: &Path) -> Result<Self, BlobError> {
        let path = folder.join(Uuid::now_v7().to_string());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| BlobError::io("creating", &path, error))?;
        Ok(Self { path, file, moved: false })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.file.write_all(bytes).map_err(|error| BlobError::io("writing", &self.path, error))
    }

    /// Makes the content durable.
    pub(crate) fn sync(&self) -> Result<(), BlobError> {
        self.file.sync_all().map_err(|error| BlobError::io("syncing", &self.path, error))
    }

    /// Moves it to its place; it may be tried again when it fails.
    pub(crate) fn rename(&mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.moved = true;
        Ok(())
    }

    /// Another handle, to read what was written; it reads on when the file has lost its name.
    pub(crate) fn reader(&self) -> Result<File, BlobError> {
        File::open(&self.path).map_err(|error| BlobError::io("opening", &self.path, error))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.moved
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a partial file stays until the next start");
        }
    }
}
