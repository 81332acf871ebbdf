//! The contract of the port. Every test but one runs on the local directory and on S3.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use troupe_blobs::BlobKey;
use troupe_kernel::blob::{BlobContent, BlobReader, NewBlob};
use troupe_kernel::clock::{ManualClock, Timestamp};
use troupe_kernel::error::{Failure, FailureKind};
use troupe_kernel::pagination::{Cursor, PageRequest};
use troupe_kernel::ports::{BlobStore, BoxFuture};

use crate::local::Scratch;
use crate::s3;

/// The limit of both stores: a few parts.
pub(crate) const SIZE_MAX: u64 = 20 << 20;
const DIGEST_OF_HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// A store and the clock that it reads.
pub(crate) struct Given {
    pub(crate) name: &'static str,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) clock: Arc<ManualClock>,
}

/// Runs a test on an empty directory.
async fn on_local(test: impl AsyncFn(Given)) {
    let scratch = Scratch::new();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let blobs = Arc::new(scratch.open_with(SIZE_MAX, clock.clone()));
    test(Given { name: "local", blobs, clock }).await;
}

/// Runs a test on each store, each time on an empty one.
async fn on_both(test: impl AsyncFn(Given)) {
    on_local(&test).await;
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let Some(bucket) = s3::Bucket::find() else { return };
    let blobs = Arc::new(bucket.open(clock.clone()));
    test(Given { name: "s3", blobs: blobs.clone(), clock }).await;
    s3::empty(blobs.as_ref()).await;
}

pub(crate) fn text(content: &'static str) -> Bytes {
    Bytes::from_static(content.as_bytes())
}

pub(crate) fn new_blob(key: &str, content_type: &str) -> NewBlob {
    let (key, content_type) = (key.to_owned(), content_type.to_owned());
    NewBlob { key, content_type, size_max: SIZE_MAX, digest: None }
}

/// Content in pieces, perhaps with a failure in the place of the last.
pub(crate) struct Pieces(pub(crate) Vec<Result<Bytes, Failure>>);

impl Pieces {
    pub(crate) fn of(content: &Bytes, piece_bytes: usize) -> Box<Self> {
        let pieces = content.chunks(piece_bytes).map(|piece| Ok(content.slice_ref(piece)));
        Box::new(Self(pieces.rev().collect()))
    }
}

impl BlobContent for Pieces {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        Box::pin(async move { self.0.pop().transpose() })
    }
}

pub(crate) async fn collect(mut reader: BlobReader) -> Result<Bytes, Failure> {
    let mut content = BytesMut::new();
    while let Some(piece) = reader.content.next().await? {
        content.extend_from_slice(&piece);
    }
    Ok(content.freeze())
}

/// Bytes that no two offsets share.
pub(crate) fn long(size_bytes: usize) -> Bytes {
    let mut content = BytesMut::with_capacity(size_bytes + 8);
    let mut number: u64 = 1;
    while content.len() < size_bytes {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        content.extend_from_slice(&number.to_be_bytes());
    }
    content.truncate(size_bytes);
    content.freeze()
}

#[tokio::test]
async fn a_blob_is_read_back_with_what_is_known_of_it() {
    on_both(async |given| {
        let blobs = given.blobs;
        let stored =
            blobs.put("a/b.txt", "text/plain; charset=utf-8", text("hello")).await.unwrap();
        assert_eq!(stored.digest, DIGEST_OF_HELLO, "{}", given.name);
        assert_eq!((stored.size_bytes, stored.key.as_str()), (5, "a/b.txt"));
        assert_eq!(stored.stored, Timestamp::from_secs(1_700_000_000));
        assert_eq!(blobs.info("a/b.txt").await.unwrap().as_ref(), Some(&stored));
        let blob = blobs.get("a/b.txt").await.unwrap().unwrap();
        assert_eq!((blob.info, blob.content), (stored, text("hello")));
        for key in ["a", "a/b.txt/c", "b"] {
            assert_eq!(blobs.get(key).await.unwrap(), None, "{}: {key}", given.name);
            assert_eq!(blobs.info(key).await.unwrap(), None);
            assert!(blobs.read(key, None).await.unwrap().is_none());
        }
        let empty = blobs.put("empty", "text/plain", Bytes::new()).await.unwrap();
        assert_eq!(empty.size_bytes, 0);
        assert_eq!(blobs.get("empty").await.unwrap().unwrap().content, Bytes::new());
    })
    .await;
}

#[tokio::test]
async fn a_key_may_be_the_folder_of_another_and_a_later_put_replaces() {
    on_both(async |given| {
        let blobs = given.blobs;
        blobs.put("a", "text/plain", text("one")).await.unwrap();
        blobs.put("a/b", "text/plain", text("two")).await.unwrap();
        given.clock.advance(Duration::from_secs(5));
        blobs.put("a", "text/html", text("three")).await.unwrap();
        let blob = blobs.get("a").await.unwrap().unwrap();
        assert_eq!(blob.content, text("three"), "{}", given.name);
        assert_eq!(blob.info.content_type, "text/html");
        assert_eq!(blob.info.stored, Timestamp::from_secs(1_700_000_005));

        blobs.delete("a/b").await.unwrap();
        blobs.delete("a/b").await.unwrap();
        assert_eq!(blobs.get("a/b").await.unwrap(), None);
        assert!(blobs.get("a").await.unwrap().is_some());
        blobs.delete("a").await.unwrap();
        assert_eq!(blobs.get("a").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_and_nothing_is_stored() {
    on_both(async |given| {
        let blobs = given.blobs;
        for key in ["../../etc/passwd", "/etc/passwd", "a/../../b", "a@info", "a!", ""] {
            let failure = blobs.put(key, "text/plain", text("x")).await.unwrap_err();
            assert_eq!(
                (failure.kind(), failure.code()),
                (FailureKind::Invalid, "blobs.key.invalid"),
                "{}: {key:?}",
                given.name
            );
            let stream = new_blob(key, "text/plain");
            let failure = blobs.put_stream(stream, Box::new(text("x"))).await.unwrap_err();
            assert_eq!(failure.code(), "blobs.key.invalid");
            assert_eq!(blobs.get(key).await.unwrap_err().code(), "blobs.key.invalid");
            assert_eq!(blobs.info(key).await.unwrap_err().code(), "blobs.key.invalid");
            assert_eq!(blobs.read(key, None).await.err().unwrap().code(), "blobs.key.invalid");
            assert_eq!(blobs.delete(key).await.unwrap_err().code(), "blobs.key.invalid");
        }
        for content_type in ["", "text", "/x", "text/", "text/plain\r\nSet-Cookie: a=b"] {
            let failure = blobs.put("a", content_type, text("x")).await.unwrap_err();
            assert_eq!(failure.code(), "blobs.content_type.invalid", "{content_type:?}");
        }
        let large = Bytes::from(vec![0; usize::try_from(SIZE_MAX).unwrap() + 1]);
        let failure = blobs.put("a", "application/octet-stream", large).await.unwrap_err();
        assert_eq!(failure.kind(), FailureKind::TooLarge);
        assert_eq!(failure.code(), "blobs.content.too_large");
        let failure = blobs.put("a", "image/png", text("<html>")).await.unwrap_err();
        assert_eq!(failure.code(), "blobs.content_type.contradicted");
        assert_eq!(blobs.list("", PageRequest::default()).await.unwrap().items, []);
    })
    .await;
}

#[tokio::test]
async fn pages_follow_the_order_of_keys_and_a_prefix_ends_anywhere() {
    on_both(async |given| {
        let blobs = given.blobs;
        let mut keys =
            vec!["a", "a-b", "a.b", "a/b", "a/b/c", "a/c", "a0", "b/a", "b/b/b", "ba", "c"];
        for key in keys.iter().rev() {
            assert!(BlobKey::parse(key).is_ok());
            blobs.put(key, "text/plain", text("x")).await.unwrap();
        }
        keys.sort_unstable();
        for prefix in ["", "a", "a/", "a/b", "b/b/", "ba", "d", "../"] {
            for limit in [1, 2, 3, 100] {
                let expected: Vec<&str> =
                    keys.iter().copied().filter(|key| key.starts_with(prefix)).collect();
                let mut listed = Vec::new();
                let mut cursor = None;
                loop {
                    let page = PageRequest::new(cursor, limit).unwrap();
                    let page = blobs.list(prefix, page).await.unwrap();
                    assert!(page.items.len() <= limit as usize);
                    listed.extend(page.items.into_iter().map(|info| info.key));
                    match page.next_cursor {
                        Some(next) => cursor = Some(Cursor::from_text(next)),
                        None => break,
                    }
                }
                let name = given.name;
                assert_eq!(listed, expected, "{name}: prefix {prefix:?}, pages of {limit}");
            }
        }
        let listed = blobs.list("a/b/", PageRequest::default()).await.unwrap().items;
        assert_eq!(listed, [blobs.info("a/b/c").await.unwrap().unwrap()]);
        let page = PageRequest { cursor: Some(Cursor::from_text("nonsense")), limit: 5 };
        assert_eq!(blobs.list("", page).await.unwrap_err().code(), "kernel.cursor.invalid");
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_stored_whole_whatever_its_pieces_and_whether_its_digest_is_known() {
    on_both(async |given| {
        let blobs = given.blobs;
        // Nothing, less than a part, exactly two parts, and more than three.
        for (size_bytes, piece_bytes) in
            [(0, 1), (100_000, 777), (10 << 20, 1 << 20), ((16 << 20) + 5, 3_000_000)]
        {
            let content = long(size_bytes);
            let mut blob = new_blob("streamed", "application/octet-stream");
            let first = blobs
                .put_stream(blob.clone(), Pieces::of(&content, piece_bytes))
                .await
                .unwrap_or_else(|failure| panic!("{}: {size_bytes}: {failure}", given.name));
            let plain = blobs.get("streamed").await.unwrap().unwrap();
            assert_eq!(plain.info, first);
            assert!(plain.content == content, "{}: {size_bytes} bytes differ", given.name);
            blobs.delete("streamed").await.unwrap();

            blob.digest = Some(first.digest.clone());
            let second = blobs.put_stream(blob, Pieces::of(&content, piece_bytes)).await.unwrap();
            assert_eq!(second, first);
            let reader = blobs.read("streamed", None).await.unwrap().unwrap();
            assert_eq!((&reader.info, reader.range.clone()), (&first, 0..size_bytes as u64));
            assert!(collect(reader).await.unwrap() == content);
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_too_large_breaks_off_or_differs_leaves_what_was_there() {
    on_both(async |given| {
        let (blobs, name) = (given.blobs, given.name);
        let kept = blobs.put("a", "text/plain", text("kept")).await.unwrap();
        let content = long(12 << 20);
        let octets = || new_blob("a", "application/octet-stream");

        for digest in [None, Some("0".repeat(64))] {
            let blob = NewBlob { digest: digest.clone(), size_max: (12 << 20) - 1, ..octets() };
            let failure = blobs.put_stream(blob, Pieces::of(&content, 1 << 20)).await.unwrap_err();
            assert_eq!(failure.code(), "blobs.content.too_large", "{name}");

            let mut broken = Pieces::of(&content, 1 << 20);
            broken.0[0] = Err(Failure::unavailable("source.away", "the source is away"));
            let blob = NewBlob { digest, ..octets() };
            let failure = blobs.put_stream(blob, broken).await.unwrap_err();
            assert_eq!(failure.code(), "source.away", "{name}");
        }
        for content in [content, text("short")] {
            let blob = NewBlob { digest: Some("0".repeat(64)), ..octets() };
            let failure = blobs.put_stream(blob, Pieces::of(&content, 1 << 20)).await.unwrap_err();
            assert_eq!(failure.code(), "blobs.digest.differs", "{name}");
        }
        let blob = NewBlob { digest: Some("SHA".to_owned()), ..octets() };
        let failure = blobs.put_stream(blob, Box::new(text("x"))).await.unwrap_err();
        assert_eq!(failure.code(), "blobs.digest.invalid");
        let failure = blobs
            .put_stream(new_blob("a", "image/png"), Pieces::of(&long(9_000), 10))
            .await
            .unwrap_err();
        assert_eq!(failure.code(), "blobs.content_type.contradicted", "{name}");

        let blob = blobs.get("a").await.unwrap().unwrap();
        assert_eq!((blob.info, blob.content), (kept, text("kept")), "{name}");
    })
    .await;
}

#[tokio::test]
async fn a_range_is_read_alone_and_cut_to_what_is_there() {
    on_both(async |given| {
        let blobs = given.blobs;
        let content = long(600_000);
        let info = blobs.put("a", "application/octet-stream", content.clone()).await.unwrap();
        for (range, cut) in [
            (0..1, 0..1),
            (5..300_000, 5..300_000),
            (599_999..600_000, 599_999..600_000),
            (599_990..700_000, 599_990..600_000),
        ] {
            let reader = blobs.read("a", Some(range)).await.unwrap().unwrap();
            assert_eq!((&reader.info, reader.range.clone()), (&info, cut.clone()));
            let expected = content.slice(cut.start as usize..cut.end as usize);
            assert!(collect(reader).await.unwrap() == expected, "{}: {cut:?}", given.name);
        }
        for range in [600_000..600_001, 3..3] {
            let failure = blobs.read("a", Some(range)).await.err().unwrap();
            assert_eq!(failure.code(), "blobs.range.invalid", "{}", given.name);
        }
    })
    .await;
}

/// S3 promises this itself. The server of the tests does not keep it: content and attributes of an object
/// lie apart there, and a removal beside a put fails both.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_whole_blobs_while_many_write_and_delete() {
    on_local(async |given| {
        let blobs = given.blobs;
        let contents: BTreeMap<&str, Bytes> =
            [("text/a", vec![b'a'; 3000]), ("text/b", vec![b'b'; 10]), ("text/c", Vec::new())]
                .map(|(content_type, content)| (content_type, Bytes::from(content)))
                .into();
        let mut tasks = tokio::task::JoinSet::new();
        for worker in 0..8 {
            let (blobs, contents) = (blobs.clone(), contents.clone());
            tasks.spawn(async move {
                for round in 0..20 {
                    let (content_type, content) =
                        contents.iter().nth((worker + round) % 3).unwrap();
                    if (worker + round) % 5 == 0 {
                        blobs.delete("deep/down/key").await.unwrap();
                    } else {
                        blobs.put("deep/down/key", content_type, content.clone()).await.unwrap();
                    }
                    if let Some(blob) = blobs.get("deep/down/key").await.unwrap() {
                        assert_eq!(blob.content, contents[blob.info.content_type.as_str()]);
                    }
                    if let Some(reader) = blobs.read("deep/down/key", None).await.unwrap() {
                        let content_type = reader.info.content_type.clone();
                        let content = collect(reader).await.unwrap();
                        assert_eq!(content, contents[content_type.as_str()]);
                    }
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        blobs.put("deep/down/key", "text/a", contents["text/a"].clone()).await.unwrap();
        let blob = blobs.get("deep/down/key").await.unwrap().unwrap();
        assert_eq!(blob.content, contents["text/a"], "{}", given.name);
    })
    .await;
}
