//! Directories as they are found on disks: hidden folders, links, foreign files.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A directory that is gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("troupe-blog-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary directory can be made");
        Self(path)
    }

    fn put(&self, path: &str, content: &[u8]) {
        let file = self.0.join(path);
        fs::create_dir_all(file.parent().expect("a parent")).expect("created");
        fs::write(file, content).expect("written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn paths(listing: &Listing) -> Vec<&str> {
    listing.documents.iter().map(|source| source.path.as_str()).collect()
}

#[test]
fn documents_are_listed_in_a_stable_order() {
    let folder = Folder::new();
    for path in [
        "b.md",
        "a/z.md",
        "a.md",
        "a/b/c.markdown",
        "Z.MD",
        "notes.txt",
        ".git/x.md",
        "a/.hidden/y.md",
    ] {
        folder.put(path, b"x");
    }
    let listing = walk(&folder.0).expect("readable");
    assert_eq!(paths(&listing), ["Z.MD", "a.md", "a/b/c.markdown", "a/z.md", "b.md"]);
    assert!(listing.skipped.is_empty());
    assert_eq!(walk(&folder.0).expect("readable"), listing);
    assert_eq!(read(&listing.documents[0]).expect("text"), "x");
}

#[cfg(unix)]
#[test]
fn links_and_large_files_are_skipped_with_a_reason() {
    let folder = Folder::new();
    folder.put("big.md", &vec![b'x'; DOCUMENT_BYTES_MAX + 1]);
    folder.put("col:on.md", b"x");
    std::os::unix::fs::symlink("/etc/passwd", folder.0.join("link.md")).expect("linked");
    std::os::unix::fs::symlink("/etc", folder.0.join("folder")).expect("linked");
    let listing = walk(&folder.0).expect("readable");
    assert!(listing.documents.is_empty());
    let skipped: Vec<_> = listing.skipped.iter().map(|each| each.path.as_str()).collect();
    assert_eq!(skipped, ["big.md", "col:on.md", "link.md"]);
    assert_eq!(listing.skipped[2].reason, "it is a symbolic link");
}

#[test]
fn a_document_that_is_not_text_is_refused() {
    let folder = Folder::new();
    folder.put("a.md", b"\xff\xfe");
    let listing = walk(&folder.0).expect("readable");
    let error = read(&listing.documents[0]).expect_err("refused");
    assert!(error.to_string().ends_with("a.md is not UTF-8 text"), "{error}");
    assert!(matches!(walk(&folder.0.join("a.md")), Err(DirectoryError::NotADirectory(_))));
    assert!(matches!(walk(&folder.0.join("gone")), Err(DirectoryError::Io { .. })));
}

#[test]
fn an_export_is_read_back_and_replaced_by_the_next() {
    let folder = Folder::new();
    let target = folder.0.join("out");
    let mut writer = Writer::open(&target).expect("created");
    assert_eq!(writer.write("posts/a.md", "one").expect("written"), "posts/a.md");
    assert_eq!(writer.write("posts/A.md", "two").expect("written"), "posts/A-2.md");
    let mut again = Writer::open(&target).expect("there");
    assert_eq!(again.write("posts/a.md", "three").expect("written"), "posts/a.md");
    let listing = walk(&target).expect("readable");
    assert_eq!(paths(&listing), ["posts/A-2.md", "posts/a.md"]);
    assert_eq!(read(&listing.documents[1]).expect("text"), "three");
}

#[cfg(unix)]
#[test]
fn an_export_never_leaves_its_directory() {
    let folder = Folder::new();
    let target = folder.0.join("out");
    let mut writer = Writer::open(&target).expect("created");
    for path in ["../a.md", "/tmp/a.md", "a/../../b.md", "a.sh"] {
        assert!(matches!(writer.write(path, "x"), Err(DirectoryError::Path { .. })), "{path}");
    }
    std::os::unix::fs::symlink(&folder.0, target.join("posts")).expect("linked");
    assert!(matches!(writer.write("posts/a.md", "x"), Err(DirectoryError::Link(_))));
    assert!(!folder.0.join("a.md").exists());
}
