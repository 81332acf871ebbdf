//! The exact bytes that are hashed and signed.
//!
//! Every statement starts with a domain text, so that bytes of one kind never mean another:
//!
//! ```text
//! entry       "troupe.audit.entry.v1\0" chain sequence previous_hash queue_position recorded_at
//!             actor? action resource outcome request_id? address? detail
//! head        "troupe.audit.head.v1\0" chain sequence hash
//! checkpoint  "troupe.audit.checkpoint.v1\0" number previous_hash created_at head_count
//!             then for each head, in order of chain: chain sequence hash
//! ```
//!
//! | field | bytes |
//! |---|---|
//! | chain, actor, request_id | 16, the UUID in network order |
//! | sequence, queue_position, number | 8, unsigned, big-endian |
//! | recorded_at, created_at | 8, signed, big-endian, microseconds since 1970-01-01T00:00:00Z |
//! | head_count | 4, unsigned, big-endian |
//! | previous_hash, hash | 32 |
//! | action, resource, address, detail, outcome | 4 bytes of length, big-endian, then UTF-8 |
//! | optional fields | one byte 0 when absent; 1 and the field when present |
//!
//! `detail` is the stored text: JSON without spaces, members in order of their names by code point.
//! It is hashed as stored, so that a verifier needs no JSON. The hash of an entry and of a checkpoint
//! is SHA-256 over these bytes; the signature of a head and of a checkpoint is Ed25519 over them.

use serde_json::Value;
use sha2::{Digest, Sha256};
use troupe_kernel::clock::Timestamp;
use uuid::Uuid;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// What the first entry and the first checkpoint name as the one before.
pub const NO_HASH: Hash = [0; 32];

const ENTRY: &[u8] = b"troupe.audit.entry.v1\0";
const HEAD: &[u8] = b"troupe.audit.head.v1\0";
const CHECKPOINT: &[u8] = b"troupe.audit.checkpoint.v1\0";

/// One entry of a chain, as stored, without its own hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The tenant, or nil for the platform's own chain.
    pub chain: Uuid,
    /// Place in the chain, from 1.
    pub sequence: u64,
    /// Place in the queue it came through, unique over all chains.
    pub queue_position: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Who acted.
    pub actor: Option<Uuid>,
    /// What was done.
    pub action: String,
    /// To which thing.
    pub resource: String,
    /// How it ended.
    pub outcome: String,
    /// What else is known, as canonical JSON text.
    pub detail: String,
    /// The request that caused it.
    pub request_id: Option<Uuid>,
    /// Where it came from.
    pub address: Option<String>,
}

/// The end of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The chain.
    pub chain: Uuid,
    /// Sequence of its last entry.
    pub sequence: u64,
    /// Hash of its last entry.
    pub hash: Hash,
}

/// A statement about the ends of chains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Place among the checkpoints, from 1.
    pub number: u64,
    /// Hash of the checkpoint before.
    pub previous_hash: Hash,
    /// When it was made.
    pub created_at: Timestamp,
    /// The chains that grew since the checkpoint before, in order of their ids.
    pub heads: Vec<Head>,
}

impl Entry {
    /// The hash of this entry after the one with `previous`.
    #[must_use]
    pub fn hash(&self, previous: &Hash) -> Hash {
        let mut bytes = Vec::with_capacity(256 + self.detail.len());
        bytes.extend_from_slice(ENTRY);
        bytes.extend_from_slice(self.chain.as_bytes());
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(previous);
        bytes.extend_from_slice(&self.queue_position.to_be_bytes());
        bytes.extend_from_slice(&self.recorded_at.as_micros().to_be_bytes());
        put_id(&mut bytes, self.actor);
        put_text(&mut bytes, &self.action);
        put_text(&mut bytes, &self.resource);
        put_text(&mut bytes, &self.outcome);
        put_id(&mut bytes, self.request_id);
        match &self.address {
            None => bytes.push(0),
            Some(address) => {
                bytes.push(1);
                put_text(&mut bytes, address);
            }
        }
        put_text(&mut bytes, &self.detail);
        Sha256::digest(&bytes).into()
    }
}

impl Head {
    /// The bytes that are signed.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = HEAD.to_vec();
        self.put(&mut bytes);
        bytes
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.chain.as_bytes());
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.hash);
    }
}

impl Checkpoint {
    /// The bytes that are hashed and signed.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = CHECKPOINT.to_vec();
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.previous_hash);
        bytes.extend_from_slice(&self.created_at.as_micros().to_be_bytes());
        let count = u32::try_from(self.heads.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&count.to_be_bytes());
        self.heads.iter().for_each(|head| head.put(&mut bytes));
        bytes
    }

    /// The hash that the next checkpoint names.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Sha256::digest(self.bytes()).into()
    }
}

/// JSON as text without spaces, members in order of their names by code point.
#[must_use]
pub fn json(value: &Value) -> String {
    let mut text = String::new();
    put_json(&mut text, value);
    text
}

fn put_json(text: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                put_json(text, item);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            text.push('{');
            for (index, name) in names.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::String(name.clone()).to_string());
                text.push(':');
                put_json(text, &members[name]);
            }
            text.push('}');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).expect("a stored text is shorter than 4 GiB");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn put_id(bytes: &mut Vec<u8>, id: Option<Uuid>) {
    match id {
        None => bytes.push(0),
        Some(id) => {
            bytes.push(1);
            bytes.extend_from_slice(id.as_bytes());
        }
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a text cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn entry() -> Entry {
        Entry {
            chain: Uuid::from_u128(1),
            sequence: 1,
            queue_position: 7,
            recorded_at: Timestamp::from_micros(1_700_000_000_000_001),
            actor: Some(Uuid::from_u128(2)),
            action: "blog.post.publish".to_owned(),
            resource: "post:3".to_owned(),
            outcome: "success".to_owned(),
            detail: r#"{"a":1}"#.to_owned(),
            request_id: None,
            address: Some("192.0.2.1".to_owned()),
        }
    }

    #[test]
    fn the_encoding_is_the_documented_one() {
        // Calculated from the table in this file's head by other means (a few lines of Python); a
        // change of it makes every existing trail unverifiable.
        assert_eq!(
            hex(&entry().hash(&NO_HASH)),
            "b04277cad9523ae0d16c5b5a9a108d9bb2a37412aab3928ddc16c8f6dd69f4b4"
        );
    }

    #[test]
    fn json_is_sorted_and_tight() {
        let value = json!({"b": [1, {"z": null, "a": "ü\n"}], "a": 1.5, "B": true});
        assert_eq!(super::json(&value), r#"{"B":true,"a":1.5,"b":[1,{"a":"ü\n","z":null}]}"#);
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        let ids = (
            any::<u128>(),
            proptest::option::of(any::<u128>()),
            proptest::option::of(any::<u128>()),
        );
        let numbers = (1..u64::MAX, any::<u64>(), any::<i64>());
        let texts = (".*", ".*", ".*", ".*", proptest::option::of(".*"));
        (ids, numbers, texts).prop_map(|(ids, numbers, texts)| Entry {
            chain: Uuid::from_u128(ids.0),
            sequence: numbers.0,
            queue_position: numbers.1,
            recorded_at: Timestamp::from_micros(numbers.2),
            actor: ids.1.map(Uuid::from_u128),
            action: texts.0,
            resource: texts.1,
            outcome: texts.2,
            detail: texts.3,
            request_id: ids.2.map(Uuid::from_u128),
            address: texts.4,
        })
    }

    proptest! {
        #[test]
        fn different_entries_have_different_hashes(a in any_entry(), b in any_entry()) {
            prop_assert_eq!(a == b, a.hash(&NO_HASH) == b.hash(&NO_HASH));
        }

        #[test]
        fn moving_text_between_fields_changes_the_hash(a in any_entry(), cut in 0_usize..8) {
            let mut moved = a.clone();
            let at = a.action.char_indices().map(|(index, _)| index).nth(cut).unwrap_or(0);
            moved.action = a.action[..at].to_owned();
            moved.resource = format!("{}{}", &a.action[at..], a.resource);
            prop_assert_eq!(moved == a, moved.hash(&NO_HASH) == a.hash(&NO_HASH));
        }

        #[test]
        fn the_hash_depends_on_the_one_before(a in any_entry(), previous in any::<[u8; 32]>()) {
            prop_assert_eq!(previous == NO_HASH, a.hash(&previous) == a.hash(&NO_HASH));
        }
    }
}
