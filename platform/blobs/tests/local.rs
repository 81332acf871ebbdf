//! What holds for the directory alone: its files, what a crash leaves, damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use troupe_blobs::{BlobsConfig, LocalBlobs};
use troupe_kernel::blob::LinkUse;
use troupe_kernel::clock::{ManualClock, SharedClock};
use troupe_kernel::error::{Failure, FailureKind};
use troupe_kernel::pagination::PageRequest;
use troupe_kernel::ports::BlobStore;
use uuid::Uuid;

use crate::contract::{Pieces, collect as read, long, new_blob, text};

/// A directory that goes with the test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(std::env::temp_dir().join(format!("troupe-blobs-{}", Uuid::now_v7())))
    }

    fn open(&self) -> LocalBlobs {
        self.open_with(4096, Arc::new(ManualClock::default()))
    }

    pub(crate) fn open_with(&self, size_max: u64, clock: SharedClock) -> LocalBlobs {
        let config = BlobsConfig { size_max, ..BlobsConfig::default() };
        LocalBlobs::open(&config, &self.0, clock).unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Every file below the directory, relative to it.
    pub(crate) fn files(&self) -> Vec<String> {
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
async fn what_is_refused_writes_no_file() {
    let scratch = Scratch::new();
    let blobs = scratch.open();
    blobs.put("../../a", "text/plain", text("x")).await.unwrap_err();
    blobs.put("a", "text/plain", vec![0; 4097].into()).await.unwrap_err();
    blobs.put("a", "text", text("x")).await.unwrap_err();
    let broken = Pieces(vec![Err(Failure::unavailable("source.away", "away")), Ok(text("x"))]);
    let streamed = new_blob("a", "text/plain");
    blobs.put_stream(streamed.clone(), Box::new(broken)).await.unwrap_err();
    blobs.put_stream(streamed, Pieces::of(&long(4097), 100)).await.unwrap_err();
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
    let reader = blobs.read("a", None).await.unwrap().unwrap();
    assert_eq!(read(reader).await.unwrap_err().code(), "blobs.content.damaged");
    fs::remove_file(&content).unwrap();
    assert_eq!(blobs.get("a").await.unwrap_err().code(), "blobs.content.damaged");
    blobs.put("a", "text/plain", text("hello")).await.unwrap();
    assert!(blobs.get("a").await.unwrap().is_some());
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

#[tokio::test]
async fn a_link_names_one_blob_and_outlives_a_restart_but_not_its_time() {
    let scratch = Scratch::new();
    let clock = Arc::new(ManualClock::default());
    let blobs = scratch.open_with(4096, clock.clone());
    let usage = LinkUse::Read { file_name: Some("a.txt".to_owned()) };
    let link = blobs.link("a/b", usage.clone(), Duration::from_secs(60)).await.unwrap();
    let token = link.url.strip_prefix("/v1/blobs/links/").unwrap();

    let blobs = scratch.open_with(4096, clock.clone());
    let claim = blobs.redeem(token).await.unwrap();
    assert_eq!((claim.key.as_str(), claim.usage), ("a/b", usage));
    assert_eq!(blobs.list("", PageRequest::default()).await.unwrap().items, []);
    let other = Scratch::new();
    assert!(other.open_with(4096, clock.clone()).redeem(token).await.is_err());
    clock.advance(Duration::from_secs(60));
    assert!(blobs.redeem(token).await.is_err());

    let usage = LinkUse::Write {
        content_type: "text/plain".to_owned(),
        size_bytes: 4097,
        digest: "0".repeat(64),
    };
    let failure = blobs.link("a", usage, Duration::from_secs(60)).await.unwrap_err();
    assert_eq!(failure.code(), "blobs.content.too_large");
}
