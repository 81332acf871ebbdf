//! The port over the directory: checks, bounds, and the way off the async threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use troupe_kernel::clock::SharedClock;
use troupe_kernel::error::Failure;
use troupe_kernel::health::HealthCheck;
use troupe_kernel::pagination::{Page, PageRequest};
use troupe_kernel::ports::{Blob, BlobInfo, BlobStore, BoxFuture};

use crate::config::BlobsConfig;
use crate::directory::{Directory, digest};
use crate::error::BlobError;
use crate::key::BlobKey;
use crate::list::{self, Wanted};

/// Blobs that are read and written at once.
const AT_ONCE_MAX: usize = 32;
/// How long one waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// Content without a side file is litter only when no writer can still be about to write one.
const LITTER_AGE: Duration = Duration::from_secs(3600);
const CONTENT_TYPE_BYTES_MAX: usize = 127;

/// Blobs in a local directory. Clones share it.
#[derive(Clone)]
pub struct LocalBlobs {
    directory: Directory,
    size_max: u64,
    clock: SharedClock,
    turns: Arc<Semaphore>,
}

impl LocalBlobs {
    /// Opens the directory of the configuration, or `data/blobs`, and creates it if need be.
    ///
    /// # Errors
    /// When it cannot be created or written.
    pub fn open(config: &BlobsConfig, data: &Path, clock: SharedClock) -> Result<Self, BlobError> {
        let blobs = Self::unopened(config, data, clock);
        blobs.reach()?;
        Ok(blobs)
    }

    /// The store of the same directory without a look at it, for what reads the configuration only.
    #[must_use]
    pub fn unopened(config: &BlobsConfig, data: &Path, clock: SharedClock) -> Self {
        let root: PathBuf = if config.directory.as_os_str().is_empty() {
            data.join("blobs")
        } else {
            config.directory.clone()
        };
        let turns = Arc::new(Semaphore::new(AT_ONCE_MAX));
        Self { directory: Directory::new(root), size_max: config.size_max, clock, turns }
    }

    /// Creates the directory if need be and tries to write in it.
    ///
    /// # Errors
    /// When it cannot be created or written.
    pub fn reach(&self) -> Result<(), BlobError> {
        self.directory.create()?;
        self.directory.probe()
    }

    /// Where the blobs lie.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.directory.root()
    }

    /// Asks whether the directory can be written.
    #[must_use]
    pub fn health_check(&self) -> HealthCheck {
        let blobs = self.clone();
        let probe = move || -> BoxFuture<'static, Result<(), String>> {
            let blobs = blobs.clone();
            Box::pin(
                async move { blobs.work(Directory::probe).await.map_err(|error| chain(&error)) },
            )
        };
        HealthCheck::new("blobs", Arc::new(probe))
    }

    /// Removes what a crash left behind and nobody can read; answers how many files.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub async fn sweep(&self) -> Result<u64, BlobError> {
        self.work(|directory| list::sweep(directory, LITTER_AGE)).await
    }

    /// Does blocking work on a thread that may block; not more than a few at once.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let turn = tokio::time::timeout(TURN_WITHIN, self.turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| BlobError::Busy)?.map_err(|_| BlobError::Interrupted)?;
        let directory = self.directory.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&directory)
        });
        done.await.map_err(|_| BlobError::Interrupted)?
    }

    async fn store(
        &self,
        key: &str,
        content_type: &str,
        content: Bytes,
    ) -> Result<BlobInfo, BlobError> {
        let key = BlobKey::parse(key)?;
        check_content_type(content_type)?;
        let size_bytes = content.len() as u64;
        if size_bytes > self.size_max {
            return Err(BlobError::TooLarge { size_bytes, size_max: self.size_max });
        }
        let (content_type, stored) = (content_type.to_owned(), self.clock.now());
        self.work(move |directory| {
            let digest = digest(&content);
            let key = key.as_str().to_owned();
            let info = BlobInfo { key, content_type, size_bytes, digest, stored };
            directory.put(&info, &content)?;
            Ok(info)
        })
        .await
    }

    async fn read(&self, key: &str) -> Result<Option<Blob>, BlobError> {
        let key = BlobKey::parse(key)?;
        self.work(move |directory| directory.get(&key)).await
    }

    async fn remove(&self, key: &str) -> Result<(), BlobError> {
        let key = BlobKey::parse(key)?;
        self.work(move |directory| directory.delete(&key)).await
    }

    async fn page(&self, prefix: &str, page: PageRequest) -> Result<Page<BlobInfo>, Failure> {
        let after: Option<String> = page.position()?;
        let (prefix, limit) = (prefix.to_owned(), page.limit as usize + 1);
        let infos = self.work(move |directory| {
            let wanted = Wanted { prefix: &prefix, after: after.as_deref(), limit };
            let mut infos = Vec::new();
            for key in list::keys(directory, &wanted)? {
                // One that was removed meanwhile is left out.
                infos.extend(directory.info(&key)?);
            }
            Ok(infos)
        });
        Ok(Page::from_rows(infos.await?, &page, |info| info.key.clone()))
    }
}

impl BlobStore for LocalBlobs {
    fn put<'a>(
        &'a self,
        key: &'a str,
        content_type: &'a str,
        content: Bytes,
    ) -> BoxFuture<'a, Result<BlobInfo, Failure>> {
        Box::pin(async move { Ok(self.store(key, content_type, content).await?) })
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Blob>, Failure>> {
        Box::pin(async move { Ok(self.read(key).await?) })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { Ok(self.remove(key).await?) })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<BlobInfo>, Failure>> {
        Box::pin(self.page(prefix, page))
    }
}

/// A type and a subtype of visible ASCII (RFC 9110, 8.3.1); it is sent back as a header field.
fn check_content_type(content_type: &str) -> Result<(), BlobError> {
    let visible = content_type.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let parts = content_type.split(';').next().and_then(|essence| essence.split_once('/'));
    let named = parts.is_some_and(|(kind, subtype)| !kind.is_empty() && !subtype.trim().is_empty());
    if visible && named && content_type.len() <= CONTENT_TYPE_BYTES_MAX {
        return Ok(());
    }
    let shown = content_type.chars().take(CONTENT_TYPE_BYTES_MAX).flat_map(char::escape_default);
    Err(BlobError::ContentType(shown.collect()))
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
