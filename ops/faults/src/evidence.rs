//! What is found after a run: rows of the database, messages of the topics, answers of the API.
//!
//! Rows come by `psql`, not through the product.

use serde::Deserialize;

use anyhow::Result;

use crate::sql;

/// Everything that the checker looks at beside the journal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    /// The log of events in its order.
    pub(crate) outbox: Vec<Logged>,
    /// What the recorder applied, in its order.
    pub(crate) applied: Vec<Applied>,
    /// The messages of all topics; those of a partition in their order.
    pub(crate) messages: Vec<Message>,
    pub(crate) revisions: Vec<Revision>,
    pub(crate) posts: Vec<Post>,
    pub(crate) media: Vec<String>,
    pub(crate) files: Vec<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) sessions: Vec<String>,
    /// The trail of audit records.
    pub(crate) audited: Vec<Audited>,
    /// What `troupe audit verify` found wrong.
    pub(crate) audit_findings: Vec<String>,
    /// Records that wait to be chained.
    pub(crate) audit_waiting: i64,
    /// Jobs that are dead, or due and not done.
    pub(crate) jobs: Vec<Job>,
    pub(crate) letters: Vec<Letter>,
    /// Addresses of the letters that the mail server took, one for each letter.
    pub(crate) mailbox: Vec<String>,
    pub(crate) dead_letters: Vec<String>,
    /// Posts as the API shows them.
    pub(crate) shown: Vec<Shown>,
    /// Contents of uploads and files as the API gives them.
    pub(crate) contents: Vec<Content>,
    pub(crate) nodes: Vec<NodeEnd>,
    /// When nodes were killed, paused or restarted.
    pub(crate) interruptions: Vec<Interruption>,
}

/// An event in the outbox.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Logged {
    pub(crate) event: String,
    pub(crate) kind: String,
    pub(crate) subject: String,
    /// The version in its data; 0 where there is none.
    pub(crate) version: i64,
}

/// An event that the recorder applied.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Applied {
    pub(crate) event: String,
    pub(crate) subject: String,
}

/// A message in Kafka.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "only Kafka's client makes one"))]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) key: String,
    pub(crate) event: String,
}

/// A saved state of a post.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Revision {
    pub(crate) post: String,
    pub(crate) version: i64,
    pub(crate) title: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Post {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) version: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Audited {
    pub(crate) resource: String,
    pub(crate) action: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Job {
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) error: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Letter {
    pub(crate) recipient: String,
    pub(crate) state: String,
    pub(crate) attempts: i64,
}

/// A post as the API shows it.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) id: String,
    /// Version and title, or why there is none.
    pub(crate) found: Result<(i64, String), String>,
}

/// The content of an upload or a file.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) id: String,
    /// Its digest, none when it is not there; or why that is not known.
    pub(crate) found: Result<Option<String>, String>,
}

/// A process of the platform after the run.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeEnd {
    pub(crate) name: String,
    /// It ended although nothing was done to it.
    pub(crate) ended_by_itself: bool,
    /// Why it is not well, if it is not.
    pub(crate) unwell: Option<String>,
    pub(crate) memory_max_kib: u64,
    pub(crate) memory_end_kib: u64,
}

/// A time in which a node could not answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interruption {
    pub(crate) node: usize,
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
}

impl Evidence {
    /// Reads what the database has.
    pub(crate) fn of_database(url: &str) -> Result<Self> {
        Ok(Self {
            outbox: sql::rows(
                url,
                "SELECT event_id AS event, kind, subject, coalesce((data->>'version')::bigint, 0) AS version \
                 FROM outbox ORDER BY transaction_id, position",
            )?,
            applied: sql::rows(url, "SELECT event, subject FROM faults_applied ORDER BY number")?,
            revisions: sql::rows(
                url,
                "SELECT post_id AS post, version, title FROM blog_revisions ORDER BY post_id, version",
            )?,
            posts: sql::rows(url, "SELECT id, status, version FROM blog_posts")?,
            media: sql::rows(url, "SELECT id FROM blog_media").map(ids)?,
            files: sql::rows(url, "SELECT id FROM files WHERE state = 'stored'").map(ids)?,
            emails: sql::rows(url, "SELECT email AS id FROM identity_users").map(ids)?,
            sessions: sql::rows(url, "SELECT id FROM auth_sessions").map(ids)?,
            audited: sql::rows(url, "SELECT resource, action FROM audit_entries")?,
            audit_waiting: sql::number(url, "SELECT count(*) FROM audit_queue")?,
            jobs: sql::rows(
                url,
                "SELECT kind, state, last_error AS error FROM jobs WHERE state = 'dead' OR run_at <= now()",
            )?,
            letters: sql::rows(url, "SELECT recipient, state, attempts FROM notify_mails")?,
            dead_letters: sql::rows(
                url,
                "SELECT consumer || ': ' || kind || ' ' || cause AS id FROM dead_letters",
            )
            .map(ids)?,
            ..Self::default()
        })
    }
}

#[derive(Debug, Deserialize)]
struct OneId {
    id: String,
}

fn ids(rows: Vec<OneId>) -> Vec<String> {
    rows.into_iter().map(|row| row.id).collect()
}
