//! One step of sealing, without a database: records that wait become entries of their chains.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use troupe_kernel::AuditRecord;
use troupe_kernel::clock::Timestamp;
use uuid::Uuid;

use crate::canonical::{self, Checkpoint, Entry, Hash, Head, NO_HASH};

/// The chain of records without a tenant.
pub const PLATFORM: Uuid = Uuid::nil();

/// What is sealed for a record that cannot be read.
const UNREADABLE: &str = "audit.record.unreadable";

/// A record that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// Its place in the queue.
    pub position: u64,
    /// When it was written.
    pub recorded_at: Timestamp,
    /// The record as it was stored.
    pub record: Value,
}

/// An entry with the hashes that link it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The entry.
    pub entry: Entry,
    /// Hash of the entry before it in its chain.
    pub previous: Hash,
    /// Its hash.
    pub hash: Hash,
}

/// The chain that a stored record belongs to.
#[must_use]
pub fn chain_of(record: &Value) -> Uuid {
    read(record).and_then(|record| record.tenant).map_or(PLATFORM, Uuid::from)
}

/// Appends records to their chains in their order and moves the heads.
#[must_use]
pub fn seal(heads: &mut BTreeMap<Uuid, Head>, waiting: Vec<Waiting>) -> Vec<Sealed> {
    let mut sealed = Vec::with_capacity(waiting.len());
    for waiting in waiting {
        let chain = chain_of(&waiting.record);
        let head = heads.entry(chain).or_insert(Head { chain, sequence: 0, hash: NO_HASH });
        let entry = entry(chain, head.sequence.saturating_add(1), waiting);
        let previous = head.hash;
        let hash = entry.hash(&previous);
        *head = Head { chain, sequence: entry.sequence, hash };
        sealed.push(Sealed { entry, previous, hash });
    }
    sealed
}

/// The checkpoint after `last` about `heads`.
#[must_use]
pub fn checkpoint(last: Option<(u64, Hash)>, mut heads: Vec<Head>, now: Timestamp) -> Checkpoint {
    heads.sort_unstable_by_key(|head| head.chain);
    let (number, previous_hash) = last.map_or((0, NO_HASH), |(number, hash)| (number, hash));
    Checkpoint { number: number.saturating_add(1), previous_hash, created_at: now, heads }
}

fn read(record: &Value) -> Option<AuditRecord> {
    serde_json::from_value(record.clone()).ok()
}

/// A record that cannot be read is sealed as such: what was once written must not vanish.
fn entry(chain: Uuid, sequence: u64, waiting: Waiting) -> Entry {
    let Waiting { position, recorded_at, record } = waiting;
    let blank = Entry {
        chain,
        sequence,
        queue_position: position,
        recorded_at,
        actor: None,
        action: UNREADABLE.to_owned(),
        resource: format!("queue:{position}"),
        outcome: "failure".to_owned(),
        detail: String::new(),
        request_id: None,
        address: None,
    };
    match read(&record) {
        None => Entry { detail: canonical::json(&json!({ "record": record })), ..blank },
        Some(record) => Entry {
            actor: record.actor,
            action: record.action,
            resource: record.resource,
            outcome: outcome(record.outcome).to_owned(),
            detail: canonical::json(&record.detail),
            request_id: record.request_id,
            address: record.address,
            ..blank
        },
    }
}

/// The name of an outcome as it is stored.
#[must_use]
pub const fn outcome(outcome: troupe_kernel::Outcome) -> &'static str {
    match outcome {
        troupe_kernel::Outcome::Success => "success",
        troupe_kernel::Outcome::Denied => "denied",
        troupe_kernel::Outcome::Failure => "failure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waiting(position: u64, tenant: Option<u128>, note: &str) -> Waiting {
        Waiting {
            position,
            recorded_at: Timestamp::from_micros(1_700_000_000_000_000),
            record: json!({
                "tenant": tenant.map(Uuid::from_u128),
                "actor": null,
                "action": "a.b.c",
                "resource": "thing:1",
                "outcome": "success",
                "detail": { "note": note },
                "request_id": null,
                "address": null,
            }),
        }
    }

    /// Walks a chain as a verifier does.
    fn holds(chain: &[Sealed]) -> bool {
        let mut previous = NO_HASH;
        for (index, sealed) in chain.iter().enumerate() {
            let expected = u64::try_from(index).unwrap_or(u64::MAX) + 1;
            if sealed.entry.sequence != expected
                || sealed.previous != previous
                || sealed.entry.hash(&previous) != sealed.hash
            {
                return false;
            }
            previous = sealed.hash;
        }
        true
    }

    #[test]
    fn each_tenant_has_its_own_chain_and_the_platform_one() {
        let mut heads = BTreeMap::new();
        let records = vec![
            waiting(1, Some(7), "a"),
            waiting(2, None, "b"),
            waiting(3, Some(7), "c"),
            waiting(4, Some(8), "d"),
        ];
        let sealed = seal(&mut heads, records);
        let places: Vec<(Uuid, u64)> =
            sealed.iter().map(|each| (each.entry.chain, each.entry.sequence)).collect();
        let (seven, eight) = (Uuid::from_u128(7), Uuid::from_u128(8));
        assert_eq!(places, [(seven, 1), (PLATFORM, 1), (seven, 2), (eight, 1)]);
        assert_eq!(heads[&seven], Head { chain: seven, sequence: 2, hash: sealed[2].hash });
        assert_eq!(sealed[2].previous, sealed[0].hash);
    }

    #[test]
    fn a_record_that_cannot_be_read_is_sealed_as_such() {
        let mut heads = BTreeMap::new();
        let odd = Waiting { record: json!({"z": 1, "a": [true]}), ..waiting(9, None, "") };
        let sealed = seal(&mut heads, vec![odd]);
        assert_eq!(sealed[0].entry.action, UNREADABLE);
        assert_eq!(sealed[0].entry.detail, r#"{"record":{"a":[true],"z":1}}"#);
        assert_eq!(sealed[0].entry.resource, "queue:9");
    }

    proptest! {
        #[test]
        fn a_chain_is_the_same_however_it_is_cut_into_batches(
            notes in proptest::collection::vec(("[a-z]{0,6}", 0_u128..3), 0..40),
            cuts in proptest::collection::vec(1_usize..7, 1..40),
        ) {
            let records: Vec<Waiting> = notes
                .iter()
                .enumerate()
                .map(|(index, (note, tenant))| waiting(index as u64 + 1, tenant.checked_sub(1), note))
                .collect();
            let mut whole_heads = BTreeMap::new();
            let whole = seal(&mut whole_heads, records.clone());
            let (mut heads, mut pieces, mut rest) = (BTreeMap::new(), Vec::new(), records);
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let size = (*cuts.next().expect("it cycles")).min(rest.len());
                let tail = rest.split_off(size);
                pieces.extend(seal(&mut heads, std::mem::replace(&mut rest, tail)));
            }
            prop_assert_eq!(&pieces, &whole);
            prop_assert_eq!(heads, whole_heads);
            for chain in [PLATFORM, Uuid::from_u128(0), Uuid::from_u128(1)] {
                let own: Vec<Sealed> =
                    whole.iter().filter(|each| each.entry.chain == chain).cloned().collect();
                prop_assert!(holds(&own));
            }
        }

        #[test]
        fn every_tampering_breaks_the_chain(
            notes in proptest::collection::vec("[a-z]{0,6}", 3..20),
            at in any::<proptest::sample::Index>(),
            kind in 0..7,
        ) {
            let records: Vec<Waiting> = notes
                .iter()
                .enumerate()
                .map(|(index, note)| waiting(index as u64 + 1, Some(1), note))
                .collect();
            let mut heads = BTreeMap::new();
            let mut chain = seal(&mut heads, records);
            let head = heads[&Uuid::from_u128(1)];
            prop_assert!(holds(&chain));
            let at = at.index(chain.len());
            match kind {
                0 => chain[at].entry.action.push('x'),
                1 => chain[at].entry.detail = r#"{"note":"forged"}"#.to_owned(),
                2 => { chain.remove(at); }
                3 => {
                    let copy = chain[at].clone();
                    chain.insert(at, copy);
                }
                4 => {
                    let other = (at + 1) % chain.len();
                    chain.swap(at, other);
                }
                5 => chain[at].hash[0] ^= 1,
                _ => chain[at].entry.recorded_at = Timestamp::from_micros(0),
            }
            let end = chain.last().map(|last| (last.entry.sequence, last.hash));
            let intact = holds(&chain) && end == Some((head.sequence, head.hash));
            prop_assert!(!intact, "tampering of kind {} at {} was not seen", kind, at);
        }

        #[test]
        fn a_rewritten_chain_does_not_match_its_head(
            notes in proptest::collection::vec("[a-z]{0,6}", 1..20),
            at in any::<proptest::sample::Index>(),
        ) {
            let records = |forged: Option<usize>| -> Vec<Waiting> {
                notes
                    .iter()
                    .enumerate()
                    .map(|(index, note)| {
                        let note = if forged == Some(index) { "FORGED" } else { note.as_str() };
                        waiting(index as u64 + 1, Some(1), note)
                    })
                    .collect()
            };
            let (mut honest, mut forged) = (BTreeMap::new(), BTreeMap::new());
            drop(seal(&mut honest, records(None)));
            let rewritten = seal(&mut forged, records(Some(at.index(notes.len()))));
            prop_assert!(holds(&rewritten), "a rewritten chain is consistent in itself");
            prop_assert_ne!(honest, forged, "which is why heads are signed");
        }
    }
}
