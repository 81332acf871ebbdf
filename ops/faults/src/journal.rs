//! The suite's own record of every write: what was asked under which idempotency key, and every answer.
//!
//! It is a file of JSON lines beside the data of the run, so that a violation can be followed to its
//! requests afterwards.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What a client did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    CreatePost,
    EditPost,
    /// Has a job publish a post soon.
    SchedulePost,
    UploadMedia,
    DeleteMedia,
    BeginFile,
    PutPart,
    CompleteFile,
    /// Makes an account; a letter goes out.
    Register,
    LogIn,
    /// Reads a post that the client wrote; not a write.
    ReadPost,
}

impl Operation {
    /// Whether it changes something.
    pub(crate) fn writes(self) -> bool {
        self != Self::ReadPost
    }
}

/// What came of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The status of the answer.
    Answered(u16),
    /// The connection was refused or broke.
    Broken(String),
    /// No answer while the client waited, which is longer than the deadline.
    Silent,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Try {
    /// The node that was asked.
    pub(crate) node: usize,
    pub(crate) sent_ms: u64,
    pub(crate) took_ms: u64,
    /// The deadline of the route.
    pub(crate) within_ms: u64,
    pub(crate) outcome: Outcome,
}

/// One operation with all its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) operation: Operation,
    /// The idempotency key, the same in every request.
    pub(crate) key: String,
    /// What it is about: the id of a post, an upload, a session or a user.
    pub(crate) subject: String,
    /// What it wrote and nobody else did: a title, the digest of a content, an address.
    pub(crate) mark: String,
    /// The version that the answer told; for a read the least that the client may see.
    pub(crate) version: i64,
    /// For a read: the version that it saw.
    pub(crate) seen: i64,
    /// Whether the write was acknowledged.
    pub(crate) acknowledged: bool,
    /// What the node said when it refused for good.
    pub(crate) refused: Option<String>,
    pub(crate) tries: Vec<Try>,
}

/// The journal of a run.
pub(crate) struct Journal {
    inner: Mutex<Inner>,
}

struct Inner {
    file: File,
    entries: Vec<Entry>,
}

impl Journal {
    /// A new one in a file.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { inner: Mutex::new(Inner { file, entries: Vec::new() }) })
    }

    /// Writes down an operation that is over.
    pub(crate) fn note(&self, entry: Entry) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let line = serde_json::to_string(&entry).unwrap_or_default();
        // The entries are kept in memory too; the file is for people.
        drop(writeln!(inner.file, "{line}"));
        inner.entries.push(entry);
    }

    /// Writes that were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.entries.iter().filter(|entry| entry.acknowledged && entry.operation.writes()).count()
    }

    /// Everything so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).entries.clone()
    }
}
