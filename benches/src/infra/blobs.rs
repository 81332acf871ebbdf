//! Blobs on S3, beside object_store by itself over a plain client of hyper.
//!
//! The bare side sends the same bytes with object_store's defaults. Ours has a digest of the whole as
//! metadata, a checksum that the server compares, the comparison of type and content, and time limits.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::TokioExecutor;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use object_store::path::Path as Key;
use object_store::{ClientOptions, ObjectStoreExt as _, WriteMultipart};
use ring::digest::{SHA256, digest};
use troupe_blobs::{BlobsConfig, S3Blobs};
use troupe_kernel::blob::{BlobContent, NewBlob};
use troupe_kernel::ports::{BlobStore as _, BoxFuture};
use troupe_kernel::{Failure, Secret, SystemClock, Uuid};

use super::{Began, Effort, Job, Row, Turn, alternate};

const SMALL: Job =
    Job { name: "S3 upload, 64 KiB, 8 at a time", bare: "object_store", at_least: None };
const SMALL_BYTES: usize = 64 << 10;
const SMALL_COUNT: u64 = 240;
const LARGE: Job =
    Job { name: "S3 upload, 64 MiB in parts of 8 MiB", bare: "object_store", at_least: None };
const LARGE_BYTES: usize = 64 << 20;
const LARGE_COUNT: u64 = 1;
const PART_BYTES: usize = 8 << 20;
/// Uploads, or parts, that are under way at the same time.
const AT_ONCE: usize = 8;
const PARTS_AT_ONCE: usize = 3;
/// The large content comes in pieces of a usual length.
const PIECE_BYTES: usize = 64 << 10;

/// Both sides in the same place.
struct Stores {
    ours: S3Blobs,
    bare: AmazonS3,
    prefix: String,
}

pub(super) async fn measure(url: &str, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let stores = Stores::open(url)?;
    let small = Bytes::from(pattern(SMALL_BYTES));
    let large = Bytes::from(pattern(LARGE_BYTES));
    let count = (SMALL_COUNT / effort.divisor).max(AT_ONCE as u64);
    let rows = vec![
        alternate(
            &SMALL,
            effort.rounds,
            async || stores.small(&small, count).await,
            async || stores.bare_small(&small, count).await,
        )
        .await?,
        alternate(
            &LARGE,
            effort.rounds,
            async || stores.large(&large).await,
            async || stores.bare_large(&large).await,
        )
        .await?,
    ];
    stores.clear(count).await?;
    Ok(rows)
}

impl Stores {
    fn open(url: &str) -> anyhow::Result<Self> {
        let form = "the address of S3 is http://KEY:SECRET@HOST:PORT/BUCKET";
        let (scheme, rest) = url.split_once("://").context(form)?;
        let (keys, place) = rest.split_once('@').context(form)?;
        let (access_key, secret_key) = keys.split_once(':').context(form)?;
        let (host, bucket) = place.split_once('/').context(form)?;
        let prefix = format!("bench/{}", Uuid::now_v7());
        let endpoint = format!("{scheme}://{host}");
        let config = BlobsConfig {
            url: format!("s3://{bucket}/{prefix}"),
            endpoint: endpoint.clone(),
            access_key: Secret::new(access_key),
            secret_key: Secret::new(secret_key),
            size_max: LARGE_BYTES as u64,
            part_size: PART_BYTES as u64,
            ..BlobsConfig::default()
        };
        let bare = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region("us-east-1")
            .with_endpoint(endpoint)
            .with_access_key_id(access_key)
            .with_secret_access_key(secret_key)
            .with_virtual_hosted_style_request(false)
            .with_allow_http(true)
            .with_http_connector(Plain)
            .build()?;
        let ours = S3Blobs::unopened(&config, Path::new("/nonexistent"), Arc::new(SystemClock))?;
        Ok(Self { ours, bare, prefix })
    }

    async fn small(&self, content: &Bytes, count: u64) -> anyhow::Result<Turn> {
        let began = Began::now();
        stream::iter(0..count)
            .map(|number| async move {
                let key = format!("small/{number}");
                self.ours.put(&key, "application/octet-stream", content.clone()).await.map(drop)
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(began.turn(count))
    }

    async fn bare_small(&self, content: &Bytes, count: u64) -> anyhow::Result<Turn> {
        let began = Began::now();
        stream::iter(0..count)
            .map(|number| async move {
                let key = self.bare_key(&format!("small/{number}"));
                self.bare.put(&key, content.clone().into()).await.map(drop)
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(began.turn(count))
    }

    async fn large(&self, content: &Bytes) -> anyhow::Result<Turn> {
        let began = Began::now();
        for number in 0..LARGE_COUNT {
            // Whoever uploads says the digest; the bare way has none.
            let digest = digest(&SHA256, content);
            let blob = NewBlob {
                key: format!("large/{number}"),
                content_type: "application/octet-stream".to_owned(),
                size_max: LARGE_BYTES as u64,
                digest: Some(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()),
            };
            self.ours.put_stream(blob, Box::new(Pieces(content.clone()))).await?;
        }
        Ok(began.turn(LARGE_COUNT))
    }

    async fn bare_large(&self, content: &Bytes) -> anyhow::Result<Turn> {
        let began = Began::now();
        for number in 0..LARGE_COUNT {
            let key = self.bare_key(&format!("large/{number}"));
            let upload = self.bare.put_multipart(&key).await?;
            let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
            for piece in content.chunks(PIECE_BYTES) {
                writer.wait_for_capacity(PARTS_AT_ONCE).await?;
                writer.put(content.slice_ref(piece));
            }
            writer.finish().await?;
        }
        Ok(began.turn(LARGE_COUNT))
    }

    fn bare_key(&self, key: &str) -> Key {
        Key::from(format!("{}/bare/{key}", self.prefix))
    }

    async fn clear(&self, count: u64) -> anyhow::Result<()> {
        let small = (0..count).map(|number| format!("small/{number}"));
        for key in small.chain((0..LARGE_COUNT).map(|number| format!("large/{number}"))) {
            self.ours.delete(&key).await?;
            self.bare.delete(&self.bare_key(&key)).await?;
        }
        Ok(())
    }
}

/// Bytes in which no part is like another.
fn pattern(length: usize) -> Vec<u8> {
    let mut content = Vec::with_capacity(length + 8);
    let mut number: u64 = 1;
    while content.len() < length {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        content.extend_from_slice(&number.to_be_bytes());
    }
    content.truncate(length);
    content
}

/// Content that comes piece by piece.
struct Pieces(Bytes);

impl BlobContent for Pieces {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        let piece = self.0.split_to(PIECE_BYTES.min(self.0.len()));
        Box::pin(async move { Ok((!piece.is_empty()).then_some(piece)) })
    }
}

/// HTTP/1.1 without TLS and without limits.
#[derive(Debug, Clone, Copy)]
struct Plain;

impl HttpConnector for Plain {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut tcp = TcpConnector::new();
        tcp.set_nodelay(true);
        Ok(HttpClient::new(PlainService(Client::builder(TokioExecutor::new()).build(tcp))))
    }
}

struct PlainService(Client<TcpConnector, HttpRequestBody>);

impl fmt::Debug for PlainService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainService")
    }
}

impl HttpService for PlainService {
    fn call<'service, 'answer>(
        &'service self,
        request: HttpRequest,
    ) -> BoxFuture<'answer, Result<HttpResponse, HttpError>>
    where
        'service: 'answer,
        Self: 'answer,
    {
        Box::pin(async move {
            let response = self
                .0
                .request(request)
                .await
                .map_err(|error| HttpError::new(HttpErrorKind::Connect, error))?;
            Ok(response.map(|body| {
                HttpResponseBody::new(
                    body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error)),
                )
            }))
        })
    }
}
