//! The port over the directory: checks, bounds, and the way off the async threads.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use ring::hmac;
use tokio::sync::Semaphore;
use troupe_kernel::blob::{self, BlobContent, BlobLink, BlobReader, LinkUse, NewBlob};
use troupe_kernel::clock::SharedClock;
use troupe_kernel::error::Failure;
use troupe_kernel::health::HealthCheck;
use troupe_kernel::pagination::{Page, PageRequest};
use troupe_kernel::ports::{Blob, BlobInfo, BlobStore, BoxFuture};

use crate::checks::{self, SNIFFED_BYTES};
use crate::config::BlobsConfig;
use crate::directory::Directory;
use crate::error::{self, BlobError};
use crate::file_content::FileContent;
use crate::intake::Intake;
use crate::key::BlobKey;
use crate::links::{self, Claim};
use crate::list::{self, Wanted};

/// Blobs that are read and written at once.
const AT_ONCE_MAX: usize = 32;
/// How long one waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// Content without a side file is litter only when no writer can still be about to write one.
const LITTER_AGE: Duration = Duration::from_secs(3600);
/// Bytes of a stream that are written at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Blobs in a local directory. Clones share it.
#[derive(Clone)]
pub struct LocalBlobs {
    directory: Directory,
    size_max: u64,
    clock: SharedClock,
    turns: Arc<Semaphore>,
    /// Seals links; read from its file when the first is made.
    link_key: Arc<OnceLock<hmac::Key>>,
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
        let (directory, size_max) = (Directory::new(root), config.size_max);
        Self { directory, size_max, clock, turns, link_key: Arc::default() }
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

    pub(crate) fn size_max(&self) -> u64 {
        self.size_max
    }

    /// Asks whether the directory can be written.
    #[must_use]
    pub fn health_check(&self) -> HealthCheck {
        let blobs = self.clone();
        let probe = move || -> BoxFuture<'static, Result<(), String>> {
            let blobs = blobs.clone();
            Box::pin(async move {
                blobs.work(Directory::probe).await.map_err(|error| error::chain(&error))
            })
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

    /// What a link of this directory allows.
    ///
    /// # Errors
    /// When it was changed or has expired.
    pub async fn redeem(&self, token: &str) -> Result<Claim, BlobError> {
        links::unseal(&self.link_key().await?, token, self.clock.now())
    }

    async fn seal(
        &self,
        key: &str,
        usage: LinkUse,
        valid: Duration,
    ) -> Result<BlobLink, BlobError> {
        let key = BlobKey::parse(key)?.to_string();
        links::check(&usage, valid, self.size_max.min(links::BYTES_MAX))?;
        let (method, headers) = match &usage {
            LinkUse::Read { .. } => ("GET", Vec::new()),
            LinkUse::Write { content_type, .. } => {
                ("PUT", vec![("content-type".to_owned(), content_type.clone())])
            }
        };
        let expires = self.clock.now().plus(valid);
        let token = links::seal(&self.link_key().await?, &Claim { key, usage, expires })?;
        let url = format!("{}{token}", links::PATH);
        Ok(BlobLink { method: method.to_owned(), url, headers, expires })
    }

    async fn link_key(&self) -> Result<hmac::Key, BlobError> {
        if let Some(key) = self.link_key.get() {
            return Ok(key.clone());
        }
        let key = self.work(Directory::link_key).await?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        Ok(self.link_key.get_or_init(|| key).clone())
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
        checks::content_type(content_type)?;
        let size_bytes = content.len() as u64;
        checks::size(size_bytes, self.size_max)?;
        checks::sniff(content_type, &content[..content.len().min(SNIFFED_BYTES)])?;
        let (content_type, stored) = (content_type.to_owned(), self.clock.now());
        self.work(move |directory| {
            let digest = checks::sha256(&content);
            let key = key.as_str().to_owned();
            let info = BlobInfo { key, content_type, size_bytes, digest, stored };
            directory.put(&info, &content)?;
            Ok(info)
        })
        .await
    }

    async fn store_stream(
        &self,
        blob: NewBlob,
        content: Box<dyn BlobContent>,
    ) -> Result<BlobInfo, BlobError> {
        let mut intake = Intake::new(blob, content, CHUNK_BYTES, self.size_max)?;
        let mut partial = self.work(Directory::partial).await?;
        while let Some(chunk) = intake.chunk().await? {
            partial = self.work(move |_| partial.append(&chunk).map(|()| partial)).await?;
        }
        let (size_bytes, digest) = intake.finish()?;
        let NewBlob { key, content_type, .. } = intake.blob().clone();
        let info = BlobInfo { key, content_type, size_bytes, digest, stored: self.clock.now() };
        self.work(move |directory| directory.adopt(&info, partial).map(|()| info)).await
    }

    async fn open_content(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobReader>, Failure> {
        let key = BlobKey::parse(key)?;
        let opened = self.work(move |directory| directory.open(&key)).await?;
        let Some((info, file)) = opened else { return Ok(None) };
        let digest = range.is_none().then(|| info.digest.clone());
        let range = blob::bounded(range, info.size_bytes)?;
        let content = Box::new(FileContent::new(info.key.clone(), file, range.clone(), digest));
        Ok(Some(BlobReader { info, range, content }))
    }

    async fn read_info(&self, key: &str) -> Result<Option<BlobInfo>, BlobError> {
        let key = BlobKey::parse(key)?;
        self.work(move |directory| directory.info(&key)).await
    }

    async fn read_whole(&self, key: &str) -> Result<Option<Blob>, BlobError> {
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
        Box::pin(async move { Ok(self.read_whole(key).await?) })
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

    fn info<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<BlobInfo>, Failure>> {
        Box::pin(async move { Ok(self.read_info(key).await?) })
    }

    fn put_stream<'a>(
        &'a self,
        blob: NewBlob,
        content: Box<dyn BlobContent>,
    ) -> BoxFuture<'a, Result<BlobInfo, Failure>> {
        Box::pin(async move { Ok(self.store_stream(blob, content).await?) })
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        range: Option<Range<u64>>,
    ) -> BoxFuture<'a, Result<Option<BlobReader>, Failure>> {
        Box::pin(self.open_content(key, range))
    }

    fn link<'a>(
        &'a self,
        key: &'a str,
        usage: LinkUse,
        valid: Duration,
    ) -> BoxFuture<'a, Result<BlobLink, Failure>> {
        Box::pin(async move { Ok(self.seal(key, usage, valid).await?) })
    }
}
