//! What a member of a group has in hand, and up to where each partition is done.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Partition {
    pub(super) topic: Arc<str>,
    pub(super) number: i32,
}

/// One message in hand.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    pub(super) partition: Partition,
    offset: i64,
    /// Which time that the member has the partition.
    stint: u64,
}

/// The messages in hand of each partition.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    partitions: HashMap<Partition, Progress>,
    stints: u64,
}

#[derive(Debug)]
struct Progress {
    stint: u64,
    /// Offsets in hand, and later ones that are done.
    offsets: BTreeMap<i64, bool>,
    in_hand: usize,
    is_paused: bool,
}

impl Ledger {
    /// Takes a message in hand.
    pub(super) fn begin(&mut self, partition: Partition, offset: i64) -> Ticket {
        let progress = self.partitions.entry(partition.clone()).or_insert_with(|| {
            self.stints += 1;
            Progress { stint: self.stints, offsets: BTreeMap::new(), in_hand: 0, is_paused: false }
        });
        if progress.offsets.insert(offset, false).is_none_or(|is_done| is_done) {
            progress.in_hand += 1;
        }
        Ticket { partition, offset, stint: progress.stint }
    }

    /// A message is done. Answers the last offset before which nothing is in hand, when it moved.
    pub(super) fn end(&mut self, ticket: &Ticket) -> Option<i64> {
        let progress = self.partitions.get_mut(&ticket.partition)?;
        if progress.stint != ticket.stint {
            return None;
        }
        let is_done = progress.offsets.get_mut(&ticket.offset)?;
        if !std::mem::replace(is_done, true) {
            progress.in_hand -= 1;
        }
        let mut reached = None;
        while let Some(first) = progress.offsets.first_entry().filter(|entry| *entry.get()) {
            reached = Some(first.remove_entry().0);
        }
        reached
    }

    /// How many messages of a partition are in hand.
    pub(super) fn in_hand(&self, partition: &Partition) -> usize {
        self.partitions.get(partition).map_or(0, |progress| progress.in_hand)
    }

    /// How many of them there are and of those that are done behind the first.
    pub(super) fn noted(&self, partition: &Partition) -> usize {
        self.partitions.get(partition).map_or(0, |progress| progress.offsets.len())
    }

    /// Partitions of which there ever was a message.
    pub(super) fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Notes whether a partition is paused; answers whether that is new.
    pub(super) fn pause(&mut self, partition: &Partition, paused: bool) -> bool {
        let Some(progress) = self.partitions.get_mut(partition) else { return false };
        std::mem::replace(&mut progress.is_paused, paused) != paused
    }

    /// Another member has the partition now.
    pub(super) fn forget(&mut self, partition: &Partition) {
        self.partitions.remove(partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> Partition {
        Partition { topic: "t".into(), number: 1 }
    }

    #[test]
    fn the_offset_moves_over_what_is_done_without_a_gap() {
        let mut ledger = Ledger::default();
        let tickets: Vec<Ticket> =
            [3, 4, 7, 8].into_iter().map(|offset| ledger.begin(partition(), offset)).collect();
        assert_eq!(ledger.end(&tickets[1]), None, "3 is in hand");
        assert_eq!((ledger.in_hand(&partition()), ledger.noted(&partition())), (3, 4));
        assert_eq!(ledger.end(&tickets[0]), Some(4));
        assert_eq!(ledger.end(&tickets[3]), None, "7 is in hand");
        assert_eq!(ledger.end(&tickets[2]), Some(8));
        assert_eq!((ledger.in_hand(&partition()), ledger.noted(&partition())), (0, 0));
        assert_eq!(ledger.end(&tickets[2]), None, "it was done before");
    }

    #[test]
    fn what_ends_after_the_partition_went_to_another_member_counts_no_more() {
        let mut ledger = Ledger::default();
        let old = ledger.begin(partition(), 3);
        ledger.forget(&partition());
        assert_eq!(ledger.end(&old), None);
        let new = ledger.begin(partition(), 3);
        assert_eq!(ledger.end(&old), None, "another stint");
        assert_eq!(ledger.end(&new), Some(3));
    }

    #[test]
    fn a_message_that_comes_again_while_it_is_in_hand_counts_once() {
        let mut ledger = Ledger::default();
        let first = ledger.begin(partition(), 3);
        let again = ledger.begin(partition(), 3);
        assert_eq!(ledger.in_hand(&partition()), 1);
        assert_eq!(ledger.end(&first), Some(3));
        assert_eq!(ledger.end(&again), None);
        assert_eq!(ledger.in_hand(&partition()), 0);
    }

    #[test]
    fn a_partition_is_paused_once() {
        let mut ledger = Ledger::default();
        assert!(!ledger.pause(&partition(), true), "nothing of it is in hand");
        ledger.begin(partition(), 1);
        assert!(ledger.pause(&partition(), true) && !ledger.pause(&partition(), true));
        assert!(ledger.pause(&partition(), false));
    }
}
