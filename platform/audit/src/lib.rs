//! The append-only, hash-chained audit trail.
//!
//! A handler's transaction writes its audit record into a queue beside its rows: all or nothing. The
//! *sealer* moves committed records into *chains*, one per tenant and one for the platform: each entry
//! has a sequence number and a SHA-256 over its content and the hash of the one before. The end of
//! each chain is signed (Ed25519) with every sealing, and at intervals a signed *checkpoint* states
//! the ends of all chains that grew; checkpoints are chained themselves, and a small *anchor* outside
//! of the database names the newest.
//!
//! [`verify`] walks all of it and needs only the database and the public key. What it finds and what
//! nobody can find is said in its module. The tables refuse changes by triggers, which stops mistakes;
//! the hashes and signatures find what triggers cannot stop.
//!
//! Not here: who may do what (that is authorization), and logs for operators (that is telemetry).

mod anchor;
mod canonical;
mod config;
mod error;
mod events;
mod messages;
mod module;
mod permissions;
mod port;
mod report;
mod repository;
mod routes;
mod schema;
mod sealing;
mod service;
mod signing;
mod verify;

pub use anchor::Anchor;
pub use canonical::{Checkpoint, Entry, Hash, Head, NO_HASH};
pub use config::AuditConfig;
pub use error::AuditError;
pub use events::{CHECKPOINT_SIGNED, CheckpointEvent};
pub use messages::{
    AuditEntry, AuditMessage, CheckpointInfo, EXPORT_ENTRIES_MAX, EntryQuery, Export,
    ExportEntries, GetEntry, GetKey, IntakeMessage, KeyInfo, ListCheckpoints, ListEntries,
    ListWaiting, Record, SealNow, SealedNow, SealerMessage, Tick, Trail, VerifierMessage,
    VerifyTrail, WaitingRecord, Wake,
};
pub use module::{AuditModule, MIGRATIONS};
pub use report::{FINDINGS_MAX, Finding, Report};
pub use service::export;
pub use signing::{PublicKey, SigningKey};
pub use verify::{VerifyOptions, verify};
