//! The blob store as its users see it, through the port, on a real directory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use troupe_blobs::{BlobsConfig, LocalBlobs};
use troupe_kernel::clock::ManualClock;
use troupe_kernel::error::FailureKind;
use troupe_kernel::pagination::{Cursor, PageRequest};
use troupe_kernel::ports::BlobStore;
use uuid::Uuid;

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("troupe-blobs-{}", Uuid::now_v7())))
    }

    fn open(&self) -> LocalBlobs {
        let config = BlobsConfig { size_max: 4096, ..BlobsConfig::default() };
        LocalBlobs::open(&config, &self.0, Arc::new(ManualClock::default())).unwrap()
    }

    /// Every file below the directory, relative to it.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        collect(&self.0.join("blobs"), &mut files);
        files.sort();
        files
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn collect(folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path.to_str().unwrap().to_owned());
        }
    }
}

fn text(content: &'static str) -> Bytes {
    Bytes::from_static(content.as_bytes())
}

#[tokio::test]
async fn a_blob_is_read_back_with_what_is_known_of_it_also_after_a_restart() {
    let scratch = Scratch::new();
    let stored =
        scratch.open().put("a/b.txt", "text/plain; charset=utf-8", text("hello")).await.unwrap();
    assert_eq!(stored.digest, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_eq!((stored.size_bytes, stored.key.as_str()), (5, "a/b.txt"));
    let blob = scratch.open().get("a/b.txt").await.unwrap().unwrap();
    assert_eq!((blob.info, blob.content), (stored, text("hello")));
    assert_eq!(scratch.open().get("a").await.unwrap(), None);
    assert_eq!(scratch.open().get("a/b.txt/c").await.unwrap(), None);
}

#[tokio::test]
async fn a_key_may_be_the_folder_of_another_and_replacing_leaves_no_litter() {
    let scratch = Scratch::new();
    let blobs = scratch.open();
    blobs.put("a", "text/plain", text("one")).await.unwrap();
    blobs.put("a/b", "text/plain", text("two")).await.unwrap();
    blobs.put("a", "text/html", text("three")).await.unwrap();
    let blob = blobs.get("a").await.unwrap().unwrap();
    assert_eq!((blob.content, blob.info.content_type.as_str()), (text("three"), "text/html"));
    assert_eq!(scratch.files().len(), 4, "{:?}", scratch.files());

    blobs.delete("a/b").await.unwrap();
    blobs.delete("a/b").await.unwrap();
    blobs.delete("a").await.unwrap();
    assert_eq!(blobs.get("a").await.unwrap(), None);
    assert_eq!(scratch.files(), Vec::<String>::new());
    assert!(!scratch.0.join("blobs/a").exists(), "an empty folder goes with its last blob");
}

#[tokio::test]
async fn keys_that_climb_and_content_that_is_too_large_are_refused_before_a_file_is_written() {
    let scratch = Scratch::new();
    let blobs = scratch.open();
    for key in ["../../etc/passwd", "/etc/passwd", "a/../../b", "a@info", ""] {
        let failure = blobs.put(key, "text/plain", text("x")).await.unwrap_err();
        assert_eq!((failure.kind(), failure.code()), (FailureKind::Invalid, "blobs.key.invalid"));
        assert_eq!(blobs.get(key).await.unwrap_err().code(), "blobs.key.invalid");
        assert_eq!(blobs.delete(key).await.unwrap_err().code(), "blobs.key.invalid");
    }
    let failure = blobs.put("a", "text/plain", vec![0; 4097].into()).await.unwrap_err();
    assert_eq!(
        (failure.kind(), failure.code()),
        (FailureKind::TooLarge, "blobs.content.too_large")
    );
    for content_type in ["", "text", "/x", "text/", "text/plain\r\nSet-Cookie: a=b"] {
        let failure = blobs.put("a", content_type, text("x")).await.unwrap_err();
        assert_eq!(failure.code(), "blobs.content_type.invalid", "{content_type:?}");
    }
    assert_eq!(scratch.files(), Vec::<String>::new());
}

#[tokio::test]
async fn damage_is_noticed_and_not_handed_out() {
    let scratch = Scratch::new();
    let blobs = scratch.open();
    blobs.put("a", "text/plain", text("hello")).await.unwrap();
    let content = scratch.files().into_iter().find(|file| !file.ends_with("@info")).unwrap();
    fs::write(&content, "hellO").unwrap();
    assert_eq!(blobs.get("a").await.unwrap_err().code(), "blobs.content.damaged");
    fs::remove_file(&content).unwrap();
    assert_eq!(blobs.get("a").await.unwrap_err().code(), "blobs.content.damaged");
    blobs.put("a", "text/plain", text("hello")).await.unwrap();
    assert!(blobs.get("a").await.unwrap().is_some());
}

#[tokio::test]
async fn pages_follow_the_order_of_keys_and_a_prefix_ends_anywhere() {
    let scratch = Scratch::new();
    let blobs = scratch.open();
    let mut keys = vec!["a", "a-b", "a.b", "a/b", "a/b/c", "a/c", "a0", "b/a", "b/b/b", "ba", "c"];
    for key in keys.iter().rev() {
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
            assert_eq!(listed, expected, "prefix {prefix:?}, pages of {limit}");
        }
    }
    let page = PageRequest { cursor: Some(Cursor::from_text("nonsense")), limit: 5 };
    assert_eq!(blobs.list("", page).await.unwrap_err().code(), "kernel.cursor.invalid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_whole_blobs_while_many_write_and_delete() {
    let scratch = Scratch::new();
    let blobs = scratch.open();
    let contents: BTreeMap<&str, Bytes> =
        [("text/a", vec![b'a'; 3000]), ("text/b", vec![b'b'; 10]), ("text/c", Vec::new())]
            .map(|(content_type, content)| (content_type, Bytes::from(content)))
            .into();
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let (blobs, contents) = (blobs.clone(), contents.clone());
        tasks.spawn(async move {
            for round in 0..40 {
                let (content_type, content) = contents.iter().nth((worker + round) % 3).unwrap();
                if (worker + round) % 5 == 0 {
                    blobs.delete("deep/down/key").await.unwrap();
                } else {
                    blobs.put("deep/down/key", content_type, content.clone()).await.unwrap();
                }
                if let Some(blob) = blobs.get("deep/down/key").await.unwrap() {
                    assert_eq!(blob.content, contents[blob.info.content_type.as_str()]);
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    blobs.put("deep/down/key", "text/a", contents["text/a"].clone()).await.unwrap();
    assert_eq!(blobs.get("deep/down/key").await.unwrap().unwrap().content, contents["text/a"]);
}

#[tokio::test]
async fn what_a_crash_left_is_removed_and_young_content_is_spared() {
    let scratch = Scratch::new();
    let blobs = scratch.open();
    blobs.put("a/kept", "text/plain", text("kept")).await.unwrap();
    let root = blobs.root().to_owned();
    fs::write(root.join("@partial/left"), "half").unwrap();
    fs::write(root.join("a/lost@0011"), "content without a side file").unwrap();
    fs::write(root.join("a/young@0011"), "its side file is about to be written").unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let set_old = |file: &str| {
        let file = fs::File::options().write(true).open(root.join(file)).unwrap();
        file.set_modified(old).unwrap();
    };
    set_old("a/lost@0011");

    let blobs = scratch.open();
    assert!(!root.join("@partial/left").exists());
    assert_eq!(blobs.sweep().await.unwrap(), 1);
    assert!(root.join("a/young@0011").exists() && !root.join("a/lost@0011").exists());
    assert!(blobs.get("a/kept").await.unwrap().is_some());
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named_and_the_health_check_says_so() {
    let scratch = Scratch::new();
    let blobs = scratch.open();
    assert_eq!(blobs.health_check().probe().await, Ok(()));
    fs::remove_dir_all(blobs.root()).unwrap();
    fs::write(blobs.root(), "in the way").unwrap();
    let reason = blobs.health_check().probe().await.unwrap_err();
    assert!(reason.contains("@partial"), "{reason}");
    let failure = blobs.put("a", "text/plain", text("x")).await.unwrap_err();
    assert_eq!((failure.kind(), failure.code()), (FailureKind::Unavailable, "blobs.away"));
    let opened =
        LocalBlobs::open(&BlobsConfig::default(), &scratch.0, Arc::new(ManualClock::default()));
    assert!(opened.err().unwrap().to_string().contains("blobs"));
}
