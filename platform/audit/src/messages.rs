//! The typed protocols of the audit: queries on the trail, verification, records from outside of
//! transactions, and the sealer's own.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use troupe_kernel::AuditRecord;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::TenantId;
use troupe_kernel::pagination::{Page, PageRequest};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::report::Report;

/// One entry of the trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// The tenant; none for the platform's own trail.
    pub tenant: Option<TenantId>,
    /// Place in the trail of the tenant, from 1.
    pub sequence: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Who acted.
    pub actor: Option<Uuid>,
    /// What was done: `owner.thing.action`.
    pub action: String,
    /// To which thing: `kind:id`.
    pub resource: String,
    /// How it ended: `success`, `denied` or `failure`.
    pub outcome: String,
    /// What else is known.
    #[schema(value_type = Object)]
    pub detail: Value,
    /// The request that caused it.
    pub request_id: Option<Uuid>,
    /// Where it came from.
    pub address: Option<String>,
    /// Place in the queue it came through.
    pub position: u64,
    /// SHA-256 of the entry before, in hex.
    pub previous_hash: String,
    /// SHA-256 of this entry, in hex.
    pub hash: String,
}

/// A record that waits to be sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WaitingRecord {
    /// Place in the queue.
    pub position: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The record.
    #[schema(value_type = Object)]
    pub record: Value,
}

/// A signed statement about the end of a trail, or of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointInfo {
    /// Its number.
    pub number: u64,
    /// When it was signed.
    pub created_at: Timestamp,
    /// Hash of the checkpoint before, in hex.
    pub previous_hash: String,
    /// Its hash, in hex.
    pub hash: String,
    /// The key that signed it.
    pub key_id: String,
    /// Ed25519 signature, in hex.
    pub signature: String,
    /// What it says about the tenant's trail; none in the list of all.
    pub sequence: Option<u64>,
    /// Hash of the entry of that sequence, in hex.
    pub entry_hash: Option<String>,
    /// How many trails it speaks of.
    pub trails: u32,
}

/// The key that signs the trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyInfo {
    /// Names the key.
    pub id: String,
    /// The public key, PEM.
    pub public_key: String,
}

/// Which trail: one tenant's, the platform's own, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trail {
    /// The trail of a tenant.
    Tenant(TenantId),
    /// Every trail.
    All,
}

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryQuery {
    /// Only by this actor.
    pub actor: Option<Uuid>,
    /// Only actions that start so.
    pub action: Option<String>,
    /// Only about this thing.
    pub resource: Option<String>,
    /// Only with this outcome.
    pub outcome: Option<String>,
    /// Only at or after this time.
    pub from: Option<Timestamp>,
    /// Only before this time.
    pub until: Option<Timestamp>,
}

/// Answers entries, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListEntries {
    /// Which trail.
    pub trail: Trail,
    /// Which entries.
    pub query: EntryQuery,
    /// Which page.
    pub page: PageRequest,
}

/// Answers one entry, or fails with `audit.entry.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetEntry {
    /// The tenant.
    pub tenant: TenantId,
    /// Place in its trail.
    pub sequence: u64,
}

/// Answers entries as JSON lines, newest first, at most [`EXPORT_ENTRIES_MAX`] at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportEntries {
    /// Which trail.
    pub trail: Trail,
    /// Which entries.
    pub query: EntryQuery,
    /// Where the part before ended.
    pub cursor: Option<String>,
}

/// Entries in one part of an export.
pub const EXPORT_ENTRIES_MAX: u32 = 2000;

/// One part of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// One JSON document a line.
    pub lines: String,
    /// Where the next part begins; none after the last.
    pub next_cursor: Option<String>,
}

/// Answers records that wait to be sealed, oldest first, at most a hundred.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListWaiting {
    /// Which trail.
    pub trail: Trail,
}

/// Answers checkpoints, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListCheckpoints {
    /// Which trail they speak of.
    pub trail: Trail,
    /// Which page.
    pub page: PageRequest,
}

/// Answers the key that signs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetKey;

/// Verifies a trail, or all of them, as far as the time allows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerifyTrail {
    /// Which trail.
    pub trail: Trail,
    /// Where to go on in the trail of one tenant; 0 starts at its beginning.
    pub after: u64,
}

/// Keeps a record from outside of a transaction. Answered when it is durable.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The record.
    pub record: AuditRecord,
}

/// Records were committed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wake;

/// A tick of the clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tick;

/// Seals everything that waits and signs a checkpoint if there is something new.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SealNow;

/// What a sealing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedNow {
    /// Entries that were added.
    pub entries: u64,
    /// The checkpoint that was signed.
    pub checkpoint: Option<u64>,
}

troupe_actors::protocol! {
    /// Queries on the trail.
    pub enum AuditMessage("audit", 1) redact ["detail"] {
        /// Answers entries.
        ListEntries => Page<AuditEntry>,
        /// Answers one entry.
        GetEntry => AuditEntry,
        /// Answers entries as JSON lines.
        ExportEntries => Export,
        /// Answers records that wait.
        ListWaiting => Vec<WaitingRecord>,
        /// Answers checkpoints.
        ListCheckpoints => Page<CheckpointInfo>,
        /// Answers the public key.
        GetKey => KeyInfo,
    }
}

troupe_actors::protocol! {
    /// Verification of the trail.
    pub enum VerifierMessage("audit.verifier", 1) redact [] {
        /// Verifies a trail.
        VerifyTrail => Report,
    }
}

troupe_actors::protocol! {
    /// Records from outside of transactions.
    pub enum IntakeMessage("audit.intake", 1) redact ["detail"] {
        /// Keeps a record.
        Record => (),
    }
}

troupe_actors::protocol! {
    /// What seals the trail.
    pub enum SealerMessage("audit.sealer", 1) redact [] {
        /// Records were committed.
        Wake,
        /// A tick of the clock.
        Tick,
        /// Seals everything now.
        SealNow => SealedNow,
    }
}
