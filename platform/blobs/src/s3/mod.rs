//! The port over S3: checks, bounds, and what is asked of the server.
//!
//! A blob is one object with its digest and its time as metadata. It appears whole or not at all, and
//! the server compares what it received with a SHA-256 of it. While S3 is away every call fails within
//! its time, then at once ([`away`]); nothing is kept to be sent later.

mod away;
mod content;
mod http;
mod keys;
mod links;
mod list;
mod names;
mod sweep;
mod upload;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::client::{HttpClient, HttpConnector};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, GetResult, ObjectStore, ObjectStoreExt,
    RetryConfig,
};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use troupe_kernel::blob::{self, BlobContent, BlobLink, BlobReader, LinkUse, NewBlob};
use troupe_kernel::clock::SharedClock;
use troupe_kernel::error::Failure;
use troupe_kernel::health::HealthCheck;
use troupe_kernel::pagination::{Page, PageRequest};
use troupe_kernel::ports::{Blob, BlobInfo, BlobStore, BoxFuture};

use self::away::Away;
use self::content::ObjectContent;
use self::http::{Connector, Trust};
use self::keys::SharedKeys;
use self::names::Names;
use crate::checks::{self, SNIFFED_BYTES, WholeCheck};
use crate::config::BlobsConfig;
use crate::error::{self, BlobError};
use crate::key::BlobKey;

/// Requests under way at once.
const AT_ONCE_MAX: usize = 64;
/// How long one waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// How often a read begins again because the blob was replaced between its two requests.
const ATTEMPTS: u32 = 4;

/// Blobs in a bucket of S3 or of a server that speaks like it. Clones share its connections.
#[derive(Clone)]
pub struct S3Blobs(Arc<Shared>);

struct Shared {
    config: BlobsConfig,
    keys: SharedKeys,
    store: AmazonS3,
    /// For what the store has no method for.
    http: HttpClient,
    names: Names,
    place: String,
    spool: PathBuf,
    size_max: u64,
    part_bytes: usize,
    limit: Duration,
    clock: SharedClock,
    turns: Semaphore,
    away: Away,
}

impl S3Blobs {
    /// The store that the configuration names; nothing is asked of it yet. Content of unknown digest
    /// is spooled in the directory of the configuration, or in `data/blobs`.
    ///
    /// # Errors
    /// When the configuration names no bucket or the address is none.
    pub fn unopened(
        config: &BlobsConfig,
        data: &Path,
        clock: SharedClock,
    ) -> Result<Self, BlobError> {
        let (bucket, prefix) = config.bucket().ok_or(BlobError::Bucket)?;
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(2),
                base: 2.0,
            },
            max_retries: config.retries_max,
            retry_timeout: config.timeout,
        };
        let connector = Connector {
            trust: Trust::read(config.tls_ca_file.as_deref())?,
            connect_within: config.connect_timeout,
            // Half, so that a connection that fell silent leaves time to try another.
            answer_within: config.timeout / 2,
        };
        let keys = SharedKeys::new(config);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&config.region)
            .with_credentials(Arc::new(keys.clone()))
            .with_virtual_hosted_style_request(!config.path_style)
            .with_allow_http(config.endpoint.starts_with("http://"))
            .with_checksum_algorithm(Checksum::SHA256)
            .with_disable_tagging(true)
            .with_disable_bulk_delete(true)
            .with_retry(retry)
            .with_http_connector(connector.clone());
        if !config.endpoint.is_empty() {
            builder = builder.with_endpoint(config.endpoint.trim_end_matches('/'));
        }
        let spool = if config.directory.as_os_str().is_empty() {
            data.join("blobs")
        } else {
            config.directory.clone()
        };
        Ok(Self(Arc::new(Shared {
            config: config.clone(),
            keys,
            http: connector
                .connect(&ClientOptions::default())
                .map_err(|error| BlobError::s3("configuring", error))?,
            store: builder.build().map_err(|error| BlobError::s3("configuring", error))?,
            names: Names::new(prefix),
            place: config.url.clone(),
            spool,
            size_max: config.size_max,
            part_bytes: usize::try_from(config.part_size).unwrap_or(usize::MAX),
            limit: config.timeout,
            clock,
            turns: Semaphore::new(AT_ONCE_MAX),
            away: Away::default(),
        })))
    }

    /// Asks whether the bucket can be listed with these keys.
    ///
    /// # Errors
    /// When it cannot, or S3 does not answer in time.
    pub async fn reach(&self) -> Result<(), BlobError> {
        let began = Instant::now();
        let options = PaginatedListOptions { max_keys: Some(1), ..PaginatedListOptions::default() };
        let below = self.0.names.below("");
        let asked =
            tokio::time::timeout(self.0.limit, self.0.store.list_paginated(Some(&below), options));
        let outcome = match asked.await {
            Ok(listed) => listed.map(drop).map_err(|error| BlobError::s3("listing", error)),
            Err(_) => Err(BlobError::Slow { action: "listing", limit: self.0.limit }),
        };
        let outcome = match outcome {
            Err(error) if error.is_away() => {
                let left = self.0.limit.saturating_sub(began.elapsed());
                Err(self.refusal(left).await.unwrap_or(error))
            }
            outcome => outcome,
        };
        self.0.away.note(&outcome);
        outcome
    }

    /// Why S3 answers and does not let us in: a list that is refused looks like one that fails.
    async fn refusal(&self, within: Duration) -> Option<BlobError> {
        let probe = object_store::path::Path::from(self.0.names.below("probe"));
        match tokio::time::timeout(within, self.0.store.head(&probe)).await {
            Ok(Err(
                error @ (object_store::Error::PermissionDenied { .. }
                | object_store::Error::Unauthenticated { .. }),
            )) => Some(BlobError::s3("listing", error)),
            _ => None,
        }
    }

    /// Where the blobs lie, for people.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.0.place
    }

    pub(crate) fn size_max(&self) -> u64 {
        self.0.size_max
    }

    /// Asks whether the bucket can be listed.
    #[must_use]
    pub fn health_check(&self) -> HealthCheck {
        let blobs = self.clone();
        let probe = move || -> BoxFuture<'static, Result<(), String>> {
            let blobs = blobs.clone();
            Box::pin(async move {
                blobs.reach().await.map_err(|error| {
                    format!("{}: {}; see blobs.url", blobs.place(), error::chain(&error))
                })
            })
        };
        HealthCheck::new("blobs", Arc::new(probe)).timeout(self.0.limit)
    }

    /// Asks something of S3 in its turn and within its time; an object that is not there is none.
    async fn ask<T>(
        &self,
        action: &'static str,
        asked: impl Future<Output = object_store::Result<T>>,
    ) -> Result<Option<T>, BlobError> {
        self.0.away.pass()?;
        let _turn = self.turn().await?;
        let outcome = match tokio::time::timeout(self.0.limit, asked).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(object_store::Error::NotFound { .. })) => Ok(None),
            Ok(Err(error)) => Err(BlobError::s3(action, error)),
            Err(_) => Err(BlobError::Slow { action, limit: self.0.limit }),
        };
        self.0.away.note(&outcome);
        outcome
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, BlobError> {
        let turn = tokio::time::timeout(TURN_WITHIN, self.0.turns.acquire()).await;
        turn.map_err(|_| BlobError::Busy)?.map_err(|_| BlobError::Interrupted)
    }

    async fn fetch(
        &self,
        key: &BlobKey,
        options: GetOptions,
    ) -> Result<Option<(BlobInfo, GetResult)>, BlobError> {
        let object = self.0.names.object(key);
        let Some(found) = self.ask("reading", self.0.store.get_opts(&object, options)).await?
        else {
            return Ok(None);
        };
        Ok(Some((names::info(key, &found)?, found)))
    }

    async fn read_info(&self, key: &BlobKey) -> Result<Option<BlobInfo>, BlobError> {
        let head = GetOptions { head: true, ..GetOptions::default() };
        Ok(self.fetch(key, head).await?.map(|(info, _)| info))
    }

    async fn read_whole(&self, key: &str) -> Result<Option<Blob>, BlobError> {
        let key = BlobKey::parse(key)?;
        let Some((info, found)) = self.fetch(&key, GetOptions::default()).await? else {
            return Ok(None);
        };
        let mut pieces = self.content(&info, found, true);
        let mut content = BytesMut::new();
        while let Some(piece) = pieces.piece().await? {
            checks::size((content.len() + piece.len()) as u64, info.size_bytes)?;
            content.extend_from_slice(&piece);
        }
        Ok(Some(Blob { info, content: content.freeze() }))
    }

    async fn open(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobReader>, Failure> {
        let key = BlobKey::parse(key)?;
        let Some(range) = range else {
            let Some((info, found)) = self.fetch(&key, GetOptions::default()).await? else {
                return Ok(None);
            };
            let range = 0..info.size_bytes;
            let content = Box::new(self.content(&info, found, true));
            return Ok(Some(BlobReader { info, range, content }));
        };
        for _ in 0..ATTEMPTS {
            let head = GetOptions { head: true, ..GetOptions::default() };
            let Some((info, head)) = self.fetch(&key, head).await? else { return Ok(None) };
            let range = blob::bounded(Some(range.clone()), info.size_bytes)?;
            let options = GetOptions {
                range: Some(GetRange::Bounded(range.clone())),
                if_match: head.meta.e_tag,
                ..GetOptions::default()
            };
            match self.fetch(&key, options).await {
                Ok(Some((_, found))) => {
                    let content = Box::new(self.content(&info, found, false));
                    return Ok(Some(BlobReader { info, range, content }));
                }
                // It was replaced or removed between the two requests.
                Ok(None)
                | Err(BlobError::S3 { source: object_store::Error::Precondition { .. }, .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(BlobError::Busy.into())
    }

    async fn inspect_first(&self, key: &str) -> Result<Option<BlobInfo>, Failure> {
        let Some(info) = self.read_info(&BlobKey::parse(key)?).await? else { return Ok(None) };
        let mut first = BytesMut::new();
        if info.size_bytes > 0 {
            let opened = self.open(key, Some(0..SNIFFED_BYTES as u64)).await?;
            let Some(mut reader) = opened else { return Ok(None) };
            while let Some(piece) = reader.content.next().await? {
                first.extend_from_slice(&piece);
            }
        }
        if let Err(contradicted) = checks::sniff(&info.content_type, &first) {
            self.remove(key).await?;
            return Err(contradicted.into());
        }
        Ok(Some(info))
    }

    fn content(&self, info: &BlobInfo, found: GetResult, whole: bool) -> ObjectContent {
        ObjectContent {
            key: info.key.clone(),
            pieces: found.into_stream(),
            piece_within: self.0.limit,
            check: whole.then(|| WholeCheck::new(info.digest.clone())),
        }
    }

    async fn store(
        &self,
        key: &str,
        content_type: &str,
        content: Bytes,
    ) -> Result<BlobInfo, BlobError> {
        BlobKey::parse(key)?;
        checks::content_type(content_type)?;
        checks::size(content.len() as u64, self.0.size_max)?;
        checks::sniff(content_type, &content[..content.len().min(SNIFFED_BYTES)])?;
        let info = BlobInfo {
            key: key.to_owned(),
            content_type: content_type.to_owned(),
            size_bytes: content.len() as u64,
            digest: checks::sha256(&content),
            stored: self.0.clock.now(),
        };
        self.put_object(info, content).await
    }

    async fn remove(&self, key: &str) -> Result<(), BlobError> {
        let object = self.0.names.object(&BlobKey::parse(key)?);
        self.ask("removing", self.0.store.delete(&object)).await.map(drop)
    }
}

impl BlobStore for S3Blobs {
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
        Box::pin(async move { Ok(self.read_info(&BlobKey::parse(key)?).await?) })
    }

    fn inspect<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<BlobInfo>, Failure>> {
        Box::pin(self.inspect_first(key))
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
        Box::pin(self.open(key, range))
    }

    fn link<'a>(
        &'a self,
        key: &'a str,
        usage: LinkUse,
        valid: Duration,
    ) -> BoxFuture<'a, Result<BlobLink, Failure>> {
        Box::pin(async move { Ok(self.sign(key, usage, valid).await?) })
    }
}
