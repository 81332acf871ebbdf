//! The files of the store: names, atomic writes, reads that notice damage. All of it blocks.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use ring::rand::{SecureRandom, SystemRandom};
use troupe_kernel::ports::{Blob, BlobInfo};

use crate::checks::sha256;
use crate::error::BlobError;
use crate::key::BlobKey;
use crate::partial::Partial;

/// Where files lie until they are whole.
const PARTIAL: &str = "@partial";
/// The file of the key that seals links.
const LINK_KEY: &str = "@links";
/// Ends the name of a side file.
pub(crate) const INFO: &str = "@info";
/// How often a read or a write begins again because somebody else was faster.
const ATTEMPTS: u32 = 16;
/// Keys that are written at once; two keys may share a lock.
const LOCKS: usize = 64;

/// The directory of the store. Clones share its locks.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    root: PathBuf,
    /// Writers of one key take turns: each removes the content that the one before it named.
    writing: Arc<[Mutex<()>]>,
}

impl Directory {
    pub(crate) fn new(root: PathBuf) -> Self {
        let writing = (0..LOCKS).map(|_| Mutex::default()).collect();
        Self { root, writing }
    }

    /// Creates what is missing and removes what a crash left half written.
    pub(crate) fn create(&self) -> Result<(), BlobError> {
        let partial = self.root.join(PARTIAL);
        create_all(&partial)?;
        for entry in
            fs::read_dir(&partial).map_err(|error| BlobError::io("reading", &partial, error))?
        {
            let path = entry.map_err(|error| BlobError::io("reading", &partial, error))?.path();
            fs::remove_file(&path).map_err(|error| BlobError::io("removing", &path, error))?;
        }
        Ok(())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Stores a blob; the side file decides which content is its own.
    pub(crate) fn put(&self, info: &BlobInfo, content: &[u8]) -> Result<(), BlobError> {
        let mut partial = self.partial()?;
        partial.append(content)?;
        self.adopt(info, partial)
    }

    /// A file for content that is about to come.
    pub(crate) fn partial(&self) -> Result<Partial, BlobError> {
        Partial::create(&self.root.join(PARTIAL))
    }

    /// Stores a blob whose content is in a file.
    pub(crate) fn adopt(&self, info: &BlobInfo, content: Partial) -> Result<(), BlobError> {
        content.sync()?;
        let key = BlobKey::parse(&info.key)?;
        let _turn = self.turn(&key);
        let before = self.info(&key)?;
        let side = serde_json::to_vec(info)
            .map_err(|error| BlobError::io("writing", self.info_path(&key), error.into()))?;
        self.place(content, &self.content_path(&key, &info.digest))?;
        let mut partial = self.partial()?;
        partial.append(&side)?;
        partial.sync()?;
        self.place(partial, &self.info_path(&key))?;
        match before {
            Some(before) if before.digest != info.digest => {
                remove(&self.content_path(&key, &before.digest)).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Reads a blob and compares its content with its digest.
    pub(crate) fn get(&self, key: &BlobKey) -> Result<Option<Blob>, BlobError> {
        for _ in 0..ATTEMPTS {
            let Some(info) = self.info(key)? else { return Ok(None) };
            let path = self.content_path(key, &info.digest);
            match fs::read(&path) {
                Ok(content) if sha256(&content) == info.digest => {
                    return Ok(Some(Blob { info, content: Bytes::from(content) }));
                }
                Ok(_) => return Err(BlobError::Damaged(key.to_string())),
                // A writer replaced the blob after its side file was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(BlobError::io("reading", path, error)),
            }
        }
        Err(BlobError::Damaged(key.to_string()))
    }

    /// Opens the content of a blob, which stays readable when the blob is replaced or removed.
    pub(crate) fn open(&self, key: &BlobKey) -> Result<Option<(BlobInfo, File)>, BlobError> {
        for _ in 0..ATTEMPTS {
            let Some(info) = self.info(key)? else { return Ok(None) };
            let path = self.content_path(key, &info.digest);
            let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
            match opened {
                Ok((size_bytes, file)) if size_bytes == info.size_bytes => {
                    return Ok(Some((info, file)));
                }
                Ok(_) => return Err(BlobError::Damaged(key.to_string())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(BlobError::io("reading", path, error)),
            }
        }
        Err(BlobError::Damaged(key.to_string()))
    }

    /// Removes a blob, its side file first: from then on it is not there.
    pub(crate) fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let _turn = self.turn(key);
        let Some(info) = self.info(key)? else { return Ok(()) };
        let side = self.info_path(key);
        remove(&side)?;
        remove(&self.content_path(key, &info.digest))?;
        let folder = side.parent().unwrap_or(&self.root);
        sync(folder)?;
        // Folders that are empty now go as well; one that a writer has just filled stays.
        for folder in folder.ancestors().take_while(|folder| *folder != self.root) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// What is known of a blob.
    pub(crate) fn info(&self, key: &BlobKey) -> Result<Option<BlobInfo>, BlobError> {
        let path = self.info_path(key);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .ok()
                .filter(|info: &BlobInfo| info.key == key.as_str())
                .map(Some)
                .ok_or_else(|| BlobError::Damaged(key.to_string())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(BlobError::io("reading", path, error)),
        }
    }

    /// The key that seals links; made when it is first needed and kept, so that links outlive a restart.
    pub(crate) fn link_key(&self) -> Result<[u8; 32], BlobError> {
        let path = self.root.join(LINK_KEY);
        let _turn = self.writing[0].lock();
        match fs::read(&path) {
            Ok(key) => key.try_into().map_err(|_| BlobError::Damaged(LINK_KEY.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = [0; 32];
                SystemRandom::new().fill(&mut key).map_err(|_| BlobError::Interrupted)?;
                let mut partial = self.partial()?;
                partial.append(&key)?;
                partial.sync()?;
                self.place(partial, &path)?;
                Ok(key)
            }
            Err(error) => Err(BlobError::io("reading", path, error)),
        }
    }

    /// Writes and removes a file, to see whether the directory works.
    pub(crate) fn probe(&self) -> Result<(), BlobError> {
        let mut partial = self.partial()?;
        partial.append(b"probe")?;
        partial.sync()
    }

    fn turn(&self, key: &BlobKey) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        key.as_str().hash(&mut hasher);
        self.writing[usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or(0)].lock()
    }

    pub(crate) fn content_path(&self, key: &BlobKey, digest: &str) -> PathBuf {
        let (folder, name) = key.split();
        self.root.join(folder).join(format!("{name}@{digest}"))
    }

    fn info_path(&self, key: &BlobKey) -> PathBuf {
        let (folder, name) = key.split();
        self.root.join(folder).join(format!("{name}{INFO}"))
    }

    /// Puts a whole, synced file in its place.
    fn place(&self, mut partial: Partial, path: &Path) -> Result<(), BlobError> {
        let folder = path.parent().unwrap_or(&self.root);
        for _ in 0..ATTEMPTS {
            create_all(folder)?;
            match partial.rename(path) {
                Ok(()) => return sync(folder),
                // A delete removed the folder as an empty one.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(BlobError::io("renaming to", path, error)),
            }
        }
        Err(BlobError::io("renaming to", path, io::ErrorKind::NotFound.into()))
    }
}

/// Removes a file; answers whether it was there.
pub(crate) fn remove(path: &Path) -> Result<bool, BlobError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(BlobError::io("removing", path, error)),
    }
}

/// Nothing there, or a part of the way is a file.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn create_all(folder: &Path) -> Result<(), BlobError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| BlobError::io("creating", folder, error))
}

/// Makes the entries of a folder durable. A folder that is gone needs nothing.
fn sync(folder: &Path) -> Result<(), BlobError> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Ok(()) => Ok(()),
        Err(error) if is_missing(&error) => Ok(()),
        Err(error) => Err(BlobError::io("syncing", folder, error)),
    }
}
