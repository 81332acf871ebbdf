//! The reply slots of a system: kept for use again, and swept for askers whose deadline passed.
//!
//! Slots are made in blocks and never freed: a node has as many as it ever had asks open at once.
//! So an ask neither allocates a slot nor counts references to it. Each thread keeps some free
//! slots at hand; only what it has too many or too few of passes through the shared list.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::lock::Mutex;
use crate::reply::Slot;
use crate::time::Moment;

/// The deadline of a slot that nobody waits for.
pub(crate) const NO_DEADLINE: u64 = u64::MAX;
/// Slots in a block.
const BLOCK: usize = 64;
/// Free slots that a thread keeps.
const AT_HAND_MAX: usize = 4 * BLOCK;

#[derive(Clone, Copy)]
struct Block {
    deadlines: &'static [AtomicU64],
    slots: &'static [Slot],
}

/// All slots of one system.
pub(crate) struct DeadlineTable {
    wire_always: bool,
    blocks: Mutex<Vec<Block>>,
    free: Mutex<Vec<&'static Slot>>,
}

impl DeadlineTable {
    /// A table for a system, for as long as the process lives.
    pub(crate) fn leaked(wire_always: bool) -> &'static Self {
        let (blocks, free) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        Box::leak(Box::new(Self { wire_always, blocks, free }))
    }

    #[inline]
    pub(crate) fn wire_always(&self) -> bool {
        self.wire_always
    }

    /// A slot for one ask.
    #[inline]
    pub(crate) fn take(&'static self) -> &'static Slot {
        AT_HAND
            .try_with(|at_hand| at_hand.borrow_mut().take(self))
            .unwrap_or_else(|_| self.draw_one())
    }

    /// Takes back a slot that both ends are done with.
    #[inline]
    pub(crate) fn recycle(&'static self, slot: &'static Slot) {
        let kept = AT_HAND.try_with(|at_hand| at_hand.borrow_mut().keep(slot));
        if kept.is_err() {
            self.free.lock().push(slot);
        }
    }

    /// Fails every asker whose deadline has passed.
    pub(crate) fn sweep(&self, now: Moment) {
        let blocks = self.blocks.lock().clone();
        for block in blocks {
            for (deadline, slot) in block.deadlines.iter().zip(block.slots) {
                if deadline.load(Ordering::Relaxed) <= now.as_nanos() {
                    slot.expire(now);
                }
            }
        }
    }

    /// Puts up to a block of free slots into `at_hand`; at least one.
    #[cold]
    fn draw(&'static self, at_hand: &mut Vec<&'static Slot>) {
        let mut free = self.free.lock();
        if free.is_empty() {
            drop(free);
            at_hand.extend(self.grow().slots);
        } else {
            let rest = free.len().saturating_sub(BLOCK);
            at_hand.extend(free.drain(rest..));
        }
    }

    #[cold]
    fn draw_one(&'static self) -> &'static Slot {
        let mut drawn = Vec::new();
        self.draw(&mut drawn);
        let slot = drawn.pop().expect("a draw brings at least one slot");
        self.free.lock().extend(drawn);
        slot
    }

    fn grow(&'static self) -> Block {
        let deadlines: Box<[AtomicU64]> = (0..BLOCK).map(|_| AtomicU64::new(NO_DEADLINE)).collect();
        let deadlines: &'static [AtomicU64] = Box::leak(deadlines);
        let slots: Box<[Slot]> = deadlines.iter().map(|own| Slot::new(self, own)).collect();
        let block = Block { deadlines, slots: Box::leak(slots) };
        self.blocks.lock().push(block);
        block
    }
}

/// Free slots of the table that this thread used last.
struct AtHand {
    table: Option<&'static DeadlineTable>,
    slots: Vec<&'static Slot>,
}

thread_local! {
    static AT_HAND: RefCell<AtHand> =
        const { RefCell::new(AtHand { table: None, slots: Vec::new() }) };
}

impl AtHand {
    #[inline]
    fn is_of(&self, table: &'static DeadlineTable) -> bool {
        self.table.is_some_and(|own| std::ptr::eq(own, table))
    }

    #[inline]
    fn take(&mut self, table: &'static DeadlineTable) -> &'static Slot {
        if self.is_of(table)
            && let Some(slot) = self.slots.pop()
        {
            return slot;
        }
        self.refill(table)
    }

    #[cold]
    fn refill(&mut self, table: &'static DeadlineTable) -> &'static Slot {
        if !self.is_of(table) {
            self.give_back(0);
            self.table = Some(table);
        }
        table.draw(&mut self.slots);
        self.slots.pop().expect("a draw brings at least one slot")
    }

    #[inline]
    fn keep(&mut self, slot: &'static Slot) {
        if self.is_of(slot.table()) {
            self.slots.push(slot);
            if self.slots.len() > AT_HAND_MAX {
                self.give_back(AT_HAND_MAX / 2);
            }
        } else {
            slot.table().free.lock().push(slot);
        }
    }

    /// Gives slots back to their table until `rest` are left.
    #[cold]
    fn give_back(&mut self, rest: usize) {
        if let Some(table) = self.table {
            let rest = rest.min(self.slots.len());
            table.free.lock().extend(self.slots.drain(rest..));
        }
    }
}

impl Drop for AtHand {
    fn drop(&mut self) {
        self.give_back(0);
    }
}
