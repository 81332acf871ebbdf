//! The events of the audit.

use serde::{Deserialize, Serialize};
use troupe_kernel::Event;

use crate::canonical::hex;
use crate::repository::checkpoints::Signed;

/// A checkpoint was signed; keep it elsewhere to find a database that was set back.
pub const CHECKPOINT_SIGNED: &str = "audit.checkpoint.signed";

/// Payload of `audit.checkpoint.signed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointEvent {
    /// Its number.
    pub number: u64,
    /// Its hash, in hex.
    pub hash: String,
    /// The key that signed it.
    pub key_id: String,
    /// Ed25519 signature, in hex.
    pub signature: String,
    /// How many trails it speaks of.
    pub trails: usize,
}

pub(crate) fn checkpoint_signed(signed: &Signed) -> Event {
    let data = CheckpointEvent {
        number: signed.checkpoint.number,
        hash: hex(&signed.hash),
        key_id: signed.key_id.clone(),
        signature: hex(&signed.signature),
        trails: signed.checkpoint.heads.len(),
    };
    Event::new(CHECKPOINT_SIGNED, "checkpoints", &data)
}
