//! What a verification found.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Findings that a report lists; it counts all.
pub const FINDINGS_MAX: usize = 100;

/// What a verification saw and found. It found nothing wrong when `findings` is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// Whether nothing is wrong with what was seen.
    pub intact: bool,
    /// Whether everything was seen; if not, go on `after` the last sequence.
    pub complete: bool,
    /// Where to go on in the trail of one tenant.
    pub after: u64,
    /// Trails that were walked.
    pub trails: u64,
    /// Entries whose content and link were checked.
    pub entries: u64,
    /// Checkpoints whose signature and statements were checked.
    pub checkpoints: u64,
    /// Entries after the last checkpoint, which only the signed head protects.
    pub entries_since_checkpoint: u64,
    /// Records that wait to be sealed, which nothing protects yet.
    pub waiting: u64,
    /// Places of the queue that nothing accounts for. On PostgreSQL a transaction that was undone
    /// leaves one; on SQLite it is a finding.
    pub unaccounted: u64,
    /// How many things are wrong.
    pub findings_total: u64,
    /// What is wrong, the first hundred.
    pub findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn add(&mut self, finding: Finding) {
        self.findings_total += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

/// One thing that is wrong. A `trail` is a tenant, or nil for the platform's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// The content of an entry is not what was sealed.
    #[error("trail {trail}: entry {sequence} was changed")]
    EntryChanged {
        /// The trail.
        trail: Uuid,
        /// The entry.
        sequence: u64,
    },
    /// An entry does not follow from the one before it: one of the two was replaced, inserted or moved.
    #[error("trail {trail}: entry {sequence} does not follow from the one before it")]
    LinkBroken {
        /// The trail.
        trail: Uuid,
        /// The entry.
        sequence: u64,
    },
    /// Entries are missing.
    #[error("trail {trail}: entries {first} to {last} are missing")]
    EntriesMissing {
        /// The trail.
        trail: Uuid,
        /// The first that is missing.
        first: u64,
        /// The last that is missing.
        last: u64,
    },
    /// An entry has a place that no entry can have.
    #[error("trail {trail}: there is an entry at the impossible place {sequence}")]
    PlaceImpossible {
        /// The trail.
        trail: Uuid,
        /// The place.
        sequence: i64,
    },
    /// Entries follow after the end that was signed.
    #[error("trail {trail}: entries after {signed} are not covered by the signed head")]
    BeyondHead {
        /// The trail.
        trail: Uuid,
        /// Where the signed head ends.
        signed: u64,
    },
    /// A trail has entries and no signed head.
    #[error("trail {trail}: its signed head is missing")]
    HeadMissing {
        /// The trail.
        trail: Uuid,
    },
    /// The signature of a head is not good.
    #[error("trail {trail}: the signature of its head is forged")]
    HeadForged {
        /// The trail.
        trail: Uuid,
    },
    /// The head names another hash than the entry has.
    #[error("trail {trail}: its head and entry {sequence} contradict each other")]
    HeadContradicts {
        /// The trail.
        trail: Uuid,
        /// The entry.
        sequence: u64,
    },
    /// The signature of a checkpoint is not good.
    #[error("checkpoint {number} is forged")]
    CheckpointForged {
        /// The checkpoint.
        number: u64,
    },
    /// A checkpoint does not follow from the one before it.
    #[error("checkpoint {number} does not follow from the one before it")]
    CheckpointLinkBroken {
        /// The checkpoint.
        number: u64,
    },
    /// Checkpoints are missing.
    #[error("checkpoints {first} to {last} are missing")]
    CheckpointsMissing {
        /// The first that is missing.
        first: u64,
        /// The last that is missing.
        last: u64,
    },
    /// A checkpoint and an entry contradict each other.
    #[error("trail {trail}: checkpoint {number} and entry {sequence} contradict each other")]
    CheckpointContradicts {
        /// The trail.
        trail: Uuid,
        /// The checkpoint.
        number: u64,
        /// The entry.
        sequence: u64,
    },
    /// What was signed names a key that is not known.
    #[error("the key {key_id} is not known; give its public key to verify what it signed")]
    KeyUnknown {
        /// The key.
        key_id: String,
    },
    /// The anchor outside of the database names a checkpoint that the database does not have.
    #[error(
        "the anchor names checkpoint {number}, which is missing or another: the database was set back"
    )]
    SetBack {
        /// The checkpoint.
        number: u64,
    },
    /// Records that were written are neither sealed nor waiting.
    #[error("{count} records that were written are neither sealed nor waiting: they were removed")]
    RecordsUnaccounted {
        /// How many.
        count: u64,
    },
}
