//! What holds for S3 alone: the address of the server under test, what is refused, and what happens
//! while it is away.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use tokio::time::Instant;
use troupe_blobs::{Blobs, BlobsConfig, S3Blobs};
use troupe_kernel::blob::{BlobContent, BlobLink, LinkUse};
use troupe_kernel::clock::{ManualClock, SharedClock, SystemClock};
use troupe_kernel::config::{ConfigSection, ConfigTree, Layers, Secret};
use troupe_kernel::error::{Failure, FailureKind};
use troupe_kernel::pagination::PageRequest;
use troupe_kernel::ports::{BlobStore, BoxFuture};
use uuid::Uuid;

use crate::certificates::Certificates;
use crate::contract::{Pieces, SIZE_MAX, collect, long, new_blob, text};
use crate::local::Scratch;
use crate::proxy::{Proxy, Way};

/// `http://KEY:SECRET@HOST:PORT/BUCKET`, or `https`, of a server that a test may write to.
const VARIABLE: &str = "TROUPE_TEST_S3_URL";

/// A place of its own in the bucket under test.
pub(crate) struct Bucket {
    host: String,
    config: BlobsConfig,
    scratch: Scratch,
}

impl Bucket {
    /// The bucket; none, and a line that says so, when there is no server.
    pub(crate) fn find() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "tests are told where servers are")]
        let Ok(url) = std::env::var(VARIABLE) else {
            let test = std::thread::current().name().unwrap_or("?").to_owned();
            let mut stderr = std::io::stderr();
            drop(writeln!(stderr, "TROUPE-SKIPPED s3: {test} ({VARIABLE} is not set)"));
            return None;
        };
        let form = "TROUPE_TEST_S3_URL is http://KEY:SECRET@HOST:PORT/BUCKET";
        let (scheme, rest) = url.split_once("://").expect(form);
        let (keys, place) = rest.split_once('@').expect(form);
        let (access_key, secret_key) = keys.split_once(':').expect(form);
        let (host, bucket) = place.split_once('/').expect(form);
        let config = BlobsConfig {
            url: format!("s3://{bucket}/test/{}", Uuid::now_v7()),
            endpoint: format!("{scheme}://{host}"),
            access_key: Secret::new(access_key),
            secret_key: Secret::new(secret_key),
            size_max: SIZE_MAX,
            part_size: 5 << 20,
            ..BlobsConfig::default()
        };
        assert_eq!(config.validate(), []);
        Some(Self { host: host.to_owned(), config, scratch: Scratch::new() })
    }

    pub(crate) fn open(&self, clock: SharedClock) -> S3Blobs {
        S3Blobs::unopened(&self.config, self.scratch.path(), clock).unwrap()
    }

    /// The bucket behind a proxy, with little patience.
    async fn proxied(mut self) -> (Self, Proxy, S3Blobs) {
        let proxy = Proxy::before(self.host.clone()).await;
        let (scheme, _) = self.config.endpoint.split_once("://").unwrap();
        self.config.endpoint = format!("{scheme}://localhost:{}", proxy.address.port());
        self.config.timeout = Duration::from_secs(2);
        self.config.retries_max = 2;
        let blobs = self.open(Arc::new(ManualClock::default()));
        (self, proxy, blobs)
    }
}

/// Removes every blob of a store.
pub(crate) async fn empty(blobs: &dyn BlobStore) {
    loop {
        let page = blobs.list("", PageRequest::default()).await.unwrap();
        for info in &page.items {
            blobs.delete(&info.key).await.unwrap();
        }
        if page.next_cursor.is_none() {
            return;
        }
    }
}

#[tokio::test]
async fn while_s3_is_away_calls_fail_in_time_then_at_once_and_it_recovers_by_itself() {
    let Some(bucket) = Bucket::find() else { return };
    let (_bucket, proxy, blobs) = bucket.proxied().await;
    for way in [Way::Refused, Way::Silent] {
        blobs.put("a", "text/plain", text("before")).await.unwrap();
        assert_eq!(blobs.health_check().probe().await, Ok(()));

        proxy.set(way);
        let begun = Instant::now();
        let failure = blobs.put("a", "text/plain", text("lost")).await.unwrap_err();
        assert_eq!((failure.kind(), failure.code()), (FailureKind::Unavailable, "blobs.away"));
        assert!(begun.elapsed() < Duration::from_millis(2_500), "{way:?} {:?}", begun.elapsed());

        let begun = Instant::now();
        for _ in 0..100 {
            assert_eq!(blobs.get("a").await.unwrap_err().code(), "blobs.away");
        }
        assert!(begun.elapsed() < Duration::from_millis(500), "{way:?} {:?}", begun.elapsed());
        let reason = blobs.health_check().probe().await.unwrap_err();
        assert!(reason.contains("blobs.url") && !reason.contains("SECRET"), "{reason}");

        proxy.set(Way::Open);
        let begun = Instant::now();
        let blob = loop {
            match blobs.get("a").await {
                Ok(blob) => break blob.unwrap(),
                Err(failure) => assert_eq!(failure.code(), "blobs.away"),
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "{way:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(blob.content, text("before"), "{way:?}");
    }
    empty(&blobs).await;
}

#[tokio::test]
async fn a_connection_that_breaks_under_a_request_is_replaced_by_another() {
    let Some(bucket) = Bucket::find() else { return };
    let (_bucket, proxy, blobs) = bucket.proxied().await;
    blobs.put("a", "text/plain", text("one")).await.unwrap();
    // The pooled connection is closed; the next request opens another.
    proxy.set(Way::Refused);
    tokio::time::sleep(Duration::from_millis(50)).await;
    proxy.set(Way::Open);
    assert_eq!(blobs.get("a").await.unwrap().unwrap().content, text("one"));
    empty(&blobs).await;
}

#[tokio::test]
async fn a_read_and_an_upload_in_parts_that_s3_leaves_end_with_an_error() {
    let Some(bucket) = Bucket::find() else { return };
    let (_bucket, proxy, blobs) = bucket.proxied().await;
    let content = long(16 << 20);
    let stored = blobs.put("a", "application/octet-stream", content.clone()).await.unwrap();

    let mut reader = blobs.read("a", None).await.unwrap().unwrap();
    assert!(reader.content.next().await.unwrap().is_some());
    proxy.set(Way::Silent);
    let begun = Instant::now();
    assert_eq!(collect(reader).await.unwrap_err().code(), "blobs.away");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());

    let mut blob = new_blob("b", "application/octet-stream");
    blob.digest = Some(stored.digest);
    let failure = blobs.put_stream(blob, Pieces::of(&content, 1 << 20)).await.unwrap_err();
    assert_eq!(failure.code(), "blobs.away");
    proxy.set(Way::Open);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(blobs.info("b").await.unwrap(), None);
    empty(&blobs).await;
}

#[tokio::test]
async fn wrong_keys_and_a_missing_bucket_are_told_by_the_health_check() {
    let Some(bucket) = Bucket::find() else { return };
    let clock = Arc::new(ManualClock::default());
    let data = bucket.scratch.path();
    let wrong = BlobsConfig { secret_key: Secret::new("wrong"), ..bucket.config.clone() };
    let blobs = S3Blobs::unopened(&wrong, data, clock.clone()).unwrap();
    assert!(blobs.reach().await.is_err());
    assert_eq!(blobs.get("a").await.unwrap_err().code(), "blobs.away");

    let missing = BlobsConfig { url: "s3://no-such-bucket".to_owned(), ..bucket.config.clone() };
    let blobs = S3Blobs::unopened(&missing, data, clock).unwrap();
    let reason = blobs.health_check().probe().await.unwrap_err();
    assert!(reason.contains("s3://no-such-bucket"), "{reason}");
    let failure = blobs.put("a", "text/plain", text("x")).await.unwrap_err();
    assert_eq!(failure.code(), "blobs.away");
    assert_eq!(blobs.list("", PageRequest::default()).await.unwrap_err().code(), "blobs.away");
}

fn settings(access_key: &str, secret_key: &str) -> ConfigTree {
    let text = format!("[blobs]\naccess_key = \"{access_key}\"\nsecret_key = \"{secret_key}\"");
    Layers::new().file("troupe.toml", &text).build().unwrap()
}

#[tokio::test]
async fn other_keys_are_taken_when_s3_takes_them() {
    let Some(bucket) = Bucket::find() else { return };
    let right = &bucket.config;
    let wrong = BlobsConfig { secret_key: Secret::new("wrong-hunter2"), ..right.clone() };
    let clock = Arc::new(ManualClock::default());
    let s3 = S3Blobs::unopened(&wrong, bucket.scratch.path(), clock).unwrap();
    let reload = Blobs::S3(s3.clone()).reload();
    let look = async |access: &str, secret: &str| reload.look(&settings(access, secret)).await;
    let access = right.access_key.expose();
    assert!(look(access, "wrong-hunter2").await.unwrap().keys().is_empty());
    let refused = look(access, "other-hunter2").await.map(drop).unwrap_err();
    assert_eq!(refused[0].path, "blobs.secret_key");
    assert!(!refused[0].to_string().contains("hunter2"), "{refused:?}");

    let change = look(access, right.secret_key.expose()).await.unwrap();
    assert_eq!(change.keys(), ["blobs.secret_key"]);
    assert!(s3.reach().await.is_err(), "looking changes nothing");
    change.make();
    s3.put("a", "text/plain", text("signed anew")).await.unwrap();
    empty(&s3).await;
}

#[tokio::test]
async fn s3_is_spoken_to_in_tls_when_its_certificate_is_trusted_and_names_it() {
    let Some(bucket) = Bucket::find() else { return };
    let Some(certificates) = Certificates::make(2) else { return };
    let Some(strangers) = Certificates::make(2) else { return };
    let Some(expired) = Certificates::make(0) else { return };
    let open = |port: u16, host: &str, root: PathBuf| {
        let config = BlobsConfig {
            endpoint: format!("https://{host}:{port}"),
            tls_ca_file: Some(root),
            timeout: Duration::from_secs(4),
            retries_max: 0,
            ..bucket.config.clone()
        };
        assert_eq!(config.validate(), []);
        S3Blobs::unopened(&config, bucket.scratch.path(), Arc::new(ManualClock::default()))
    };
    let secured = certificates.before(bucket.host.clone()).await;
    let blobs = open(secured, "localhost", certificates.path("root.pem")).unwrap();
    blobs.put("a", "text/plain", text("in TLS")).await.unwrap();
    assert_eq!(blobs.get("a").await.unwrap().unwrap().content, text("in TLS"));
    empty(&blobs).await;

    let late = expired.before(bucket.host.clone()).await;
    // It is good in the second in which it was made.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for (port, host, root, says) in [
        (secured, "localhost", strangers.path("root.pem"), "UnknownIssuer"),
        (secured, "127.0.0.1", certificates.path("root.pem"), "not valid for name"),
        (late, "localhost", expired.path("root.pem"), "expired"),
    ] {
        let blobs = open(port, host, root).unwrap();
        let told = blobs.health_check().probe().await.unwrap_err();
        assert!(told.contains(says) && told.contains("blobs.tls_ca_file"), "{told}");
        assert!(!told.contains(bucket.config.secret_key.expose()), "{told}");
    }
    let none = open(secured, "localhost", certificates.path("names")).map(drop).unwrap_err();
    assert!(none.to_string().contains("holds no certificate"), "{none}");
}

#[tokio::test]
async fn a_spooled_stream_leaves_no_file_behind() {
    let Some(bucket) = Bucket::find() else { return };
    let blobs = bucket.open(Arc::new(ManualClock::default()));
    let blob = new_blob("a", "application/octet-stream");
    blobs.put_stream(blob, Pieces::of(&long(12 << 20), 1 << 20)).await.unwrap();
    assert!(bucket.scratch.path().join("blobs").exists(), "it was spooled");
    assert_eq!(bucket.scratch.files(), Vec::<String>::new());
    empty(&blobs).await;
}

#[tokio::test]
async fn an_upload_in_parts_that_was_abandoned_is_swept_and_nothing_else() {
    let Some(bucket) = Bucket::find() else { return };
    let blobs = bucket.open(Arc::new(SystemClock));
    let content = long(12 << 20);
    let kept = blobs.put("kept", "text/plain", text("kept")).await.unwrap();
    // The content never ends, and whoever waits for it gives up: as if the node had died.
    let mut blob = new_blob("abandoned", "application/octet-stream");
    blob.digest = Some("0".repeat(64));
    let endless = Box::new(Endless(content));
    let storing = blobs.put_stream(blob, endless);
    tokio::time::timeout(Duration::from_secs(3), storing).await.unwrap_err();

    assert_eq!(blobs.sweep().await.unwrap(), 0, "it is not a day old");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(blobs.sweep_older(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(blobs.sweep_older(Duration::ZERO).await.unwrap(), 0);
    assert_eq!(blobs.info("kept").await.unwrap(), Some(kept));
    empty(&blobs).await;
}

/// Content that is given once and then waited for in vain.
struct Endless(Bytes);

impl BlobContent for Endless {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        let piece = std::mem::take(&mut self.0);
        Box::pin(async move {
            if piece.is_empty() {
                std::future::pending::<()>().await;
            }
            Ok(Some(piece))
        })
    }
}

/// What a holder of a link without keys does with it.
async fn follow(
    link: &BlobLink,
    content: Bytes,
    headers: &[(String, String)],
) -> (u16, String, Bytes) {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(ring::default_provider())
        .unwrap()
        .https_or_http()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector);
    let mut request = http::Request::builder().method(link.method.as_str()).uri(&link.url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = client.request(request.body(Full::new(content)).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let shown = response.headers().get("content-disposition");
    let shown = shown.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    (status, shown, response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn a_link_to_write_stores_what_was_announced_and_nothing_else() {
    let Some(bucket) = Bucket::find() else { return };
    let blobs = bucket.open(Arc::new(SystemClock));
    let hour = Duration::from_secs(3600);
    let usage = LinkUse::Write {
        content_type: "text/plain".to_owned(),
        size_bytes: 5,
        digest: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824".to_owned(),
    };
    let link = blobs.link("a/b", usage.clone(), hour).await.unwrap();
    assert!(!link.url.contains("troupesecret"), "{}", link.url);

    let (status, _, _) = follow(&link, text("HELLO"), &link.headers).await;
    assert!((400..500).contains(&status), "other content: {status}");
    for dropped in 0..link.headers.len() {
        let mut headers = link.headers.clone();
        headers.remove(dropped);
        let (status, _, _) = follow(&link, text("hello"), &headers).await;
        assert!((400..500).contains(&status), "without {:?}: {status}", link.headers[dropped]);
    }
    let mut other = link.headers.clone();
    other.iter_mut().find(|(name, _)| name == "content-type").unwrap().1 = "text/html".to_owned();
    assert_eq!(follow(&link, text("hello"), &other).await.0, 403);
    let elsewhere = BlobLink { url: link.url.replace("a/b", "a/c"), ..link.clone() };
    assert_eq!(follow(&elsewhere, text("hello"), &link.headers).await.0, 403);
    assert_eq!(blobs.list("", PageRequest::default()).await.unwrap().items, []);

    assert_eq!(follow(&link, text("hello"), &link.headers).await.0, 200);
    let blob = blobs.get("a/b").await.unwrap().unwrap();
    assert_eq!((blob.content, blob.info.content_type.as_str()), (text("hello"), "text/plain"));

    let short = blobs.link("a/b", usage, Duration::from_secs(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(follow(&short, text("hello"), &short.headers).await.0, 403);
    empty(&blobs).await;
}

#[tokio::test]
async fn what_a_link_stored_is_inspected_and_removed_when_it_contradicts_its_type() {
    let Some(bucket) = Bucket::find() else { return };
    let blobs = bucket.open(Arc::new(SystemClock));
    for (content_type, fits) in [("text/plain", true), ("image/png", false)] {
        let usage = LinkUse::Write {
            content_type: content_type.to_owned(),
            size_bytes: 5,
            digest: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824".to_owned(),
        };
        let link = blobs.link("a", usage, Duration::from_secs(60)).await.unwrap();
        assert_eq!(follow(&link, text("hello"), &link.headers).await.0, 200);
        match blobs.inspect("a").await {
            Ok(info) => assert_eq!((info, fits), (blobs.info("a").await.unwrap(), true)),
            Err(failure) => {
                assert_eq!((failure.code(), fits), ("blobs.content_type.contradicted", false));
                assert_eq!(blobs.info("a").await.unwrap(), None);
            }
        }
    }
    assert_eq!(blobs.inspect("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_link_to_read_gives_the_content_of_one_blob() {
    let Some(bucket) = Bucket::find() else { return };
    let blobs = bucket.open(Arc::new(SystemClock));
    blobs.put("a", "text/plain", text("hello")).await.unwrap();
    blobs.put("b", "text/plain", text("secret")).await.unwrap();
    let usage = LinkUse::Read { file_name: Some("größe.txt".to_owned()) };
    let link = blobs.link("a", usage, Duration::from_secs(60)).await.unwrap();
    let (status, shown, content) = follow(&link, Bytes::new(), &link.headers).await;
    assert_eq!((status, content), (200, text("hello")));
    assert_eq!(shown, "attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe.txt");
    let other =
        BlobLink { url: link.url.replace("a%21", "b%21").replace("a!", "b!"), ..link.clone() };
    assert_ne!(other.url, link.url);
    assert_eq!(follow(&other, Bytes::new(), &[]).await.0, 403);
    for valid in [Duration::ZERO, Duration::from_secs(8 * 24 * 3600)] {
        let refused = blobs.link("a", LinkUse::Read { file_name: None }, valid).await.unwrap_err();
        assert_eq!(refused.code(), "blobs.link.time");
    }
    empty(&blobs).await;
}
