//! Value stacks: words that an embedded virtual machine keeps its frames in, never cleared.
//!
//! The mutator that owns a stack pushes and pops frames and stores into slots; the collector reads
//! the live slots at that mutator's snapshot, when nobody else touches the stack. A stack slot is
//! never barriered by a correct embedder: what a new frame finds in its slots is whatever earlier
//! frames left there, and reading that as an "old value" is Go bug 30041.
//!
//! Invariants: a slot is live from `init` until `retire` or the pop of its frame; slots above the
//! top are never live; words outlive liveness. All fields are atomics with relaxed order: the
//! mutator's state word orders the owner against the collector (see world.rs).

use core::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A frame or slot that the stack does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StackError {
    /// The frame does not fit.
    #[error("a frame of {slots} slots does not fit: {used} of {capacity} are in use")]
    Overflow {
        /// Slots asked for.
        slots: usize,
        /// Slots in use.
        used: usize,
        /// Slots of the stack.
        capacity: usize,
    },
    /// There is no frame to pop or to address.
    #[error("the stack has no frame")]
    Empty,
    /// The slot lies outside the top frame.
    #[error("slot {slot} lies outside the top frame of {slots} slots")]
    OutsideFrame {
        /// The slot asked for, relative to the frame.
        slot: usize,
        /// Slots of the top frame.
        slots: usize,
    },
}

/// The words of one stack, shared by its owner and the collector.
pub(crate) struct StackMemory {
    words: Box<[AtomicUsize]>,
    live: Box<[AtomicBool]>,
    /// First slot of each frame, by depth.
    bases: Box<[AtomicUsize]>,
    /// Frames in use.
    depth: AtomicUsize,
    /// First slot above the top frame.
    top: AtomicUsize,
}

impl StackMemory {
    pub(crate) fn new(slots: usize) -> Self {
        StackMemory {
            words: (0..slots).map(|_| AtomicUsize::new(0)).collect(),
            live: (0..slots).map(|_| AtomicBool::new(false)).collect(),
            bases: (0..slots).map(|_| AtomicUsize::new(0)).collect(),
            depth: AtomicUsize::new(0),
            top: AtomicUsize::new(0),
        }
    }

    /// Pushes a frame whose slots are virgin. Answers its first slot.
    pub(crate) fn push_frame(&self, slots: usize) -> Result<usize, StackError> {
        let (depth, top) = (self.depth(), self.top.load(Ordering::Relaxed));
        let overflow = StackError::Overflow {
            slots,
            used: top,
            capacity: self.words.len(),
        };
        let next = top
            .checked_add(slots)
            .filter(|next| *next <= self.words.len())
            .ok_or(overflow)?;
        self.bases
            .get(depth)
            .ok_or(overflow)?
            .store(top, Ordering::Relaxed);
        self.depth.store(depth + 1, Ordering::Relaxed);
        self.top.store(next, Ordering::Relaxed);
        Ok(top)
    }

    /// Pops the top frame: its slots die, its words stay.
    pub(crate) fn pop_frame(&self) -> Result<(), StackError> {
        let frame = self.frame()?;
        self.live[frame.clone()]
            .iter()
            .for_each(|live| live.store(false, Ordering::Relaxed));
        self.top.store(frame.start, Ordering::Relaxed);
        self.depth.store(self.depth() - 1, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    /// The slots of the top frame.
    fn frame(&self) -> Result<Range<usize>, StackError> {
        let depth = self.depth().checked_sub(1).ok_or(StackError::Empty)?;
        let base = self
            .bases
            .get(depth)
            .ok_or(StackError::Empty)?
            .load(Ordering::Relaxed);
        Ok(base..self.top.load(Ordering::Relaxed))
    }

    /// The absolute index of a slot of the top frame.
    pub(crate) fn slot(&self, slot: usize) -> Result<usize, StackError> {
        let frame = self.frame()?;
        if slot < frame.len() {
            Ok(frame.start + slot)
        } else {
            Err(StackError::OutsideFrame {
                slot,
                slots: frame.len(),
            })
        }
    }

    /// The word at an absolute index from [`StackMemory::slot`].
    pub(crate) fn word(&self, at: usize) -> &AtomicUsize {
        &self.words[at]
    }

    pub(crate) fn is_live(&self, at: usize) -> bool {
        self.live[at].load(Ordering::Relaxed)
    }

    pub(crate) fn make_live(&self, at: usize) {
        self.live[at].store(true, Ordering::Relaxed);
    }

    /// Ends the life of slots of the top frame; the words stay.
    pub(crate) fn retire(&self, slots: Range<usize>) -> Result<(), StackError> {
        let frame = self.frame()?;
        if slots.end > frame.len() || slots.start > slots.end {
            return Err(StackError::OutsideFrame {
                slot: slots.end.max(slots.start),
                slots: frame.len(),
            });
        }
        let slots = frame.start + slots.start..frame.start + slots.end;
        self.live[slots]
            .iter()
            .for_each(|live| live.store(false, Ordering::Relaxed));
        Ok(())
    }

    /// The words of all live slots that are not null.
    pub(crate) fn live_words(&self) -> impl Iterator<Item = usize> + '_ {
        let top = self.top.load(Ordering::Relaxed);
        self.words[..top]
            .iter()
            .zip(&self.live[..top])
            .filter(|(_, live)| live.load(Ordering::Relaxed))
            .map(|(word, _)| word.load(Ordering::Relaxed))
            .filter(|word| *word != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_frame_finds_the_words_of_the_last_one() {
        let stack = StackMemory::new(8);
        stack.push_frame(4).unwrap();
        let at = stack.slot(2).unwrap();
        stack.word(at).store(7, Ordering::Relaxed);
        stack.make_live(at);
        stack.pop_frame().unwrap();
        assert_eq!(stack.push_frame(4), Ok(0));
        assert_eq!(stack.word(at).load(Ordering::Relaxed), 7);
        assert!(!stack.is_live(at));
        assert_eq!(stack.live_words().count(), 0);
    }

    #[test]
    fn frames_nest_and_errors_name_the_limits() {
        let stack = StackMemory::new(8);
        assert_eq!(stack.pop_frame(), Err(StackError::Empty));
        assert_eq!(
            stack.push_frame(9),
            Err(StackError::Overflow {
                slots: 9,
                used: 0,
                capacity: 8
            })
        );
        assert_eq!(stack.push_frame(3), Ok(0));
        assert_eq!(stack.push_frame(5), Ok(3));
        assert_eq!(
            stack.slot(5),
            Err(StackError::OutsideFrame { slot: 5, slots: 5 })
        );
        assert_eq!(stack.slot(4), Ok(7));
        assert_eq!(stack.depth(), 2);
        assert_eq!(
            stack.retire(0..6),
            Err(StackError::OutsideFrame { slot: 6, slots: 5 })
        );
        stack.pop_frame().unwrap();
        assert_eq!(stack.slot(2), Ok(2));
    }

    #[test]
    fn only_live_slots_are_roots() {
        let stack = StackMemory::new(4);
        stack.push_frame(4).unwrap();
        for at in 0..4 {
            stack.word(at).store(at * 16, Ordering::Relaxed);
            stack.make_live(at);
        }
        stack.retire(1..2).unwrap();
        assert_eq!(stack.live_words().collect::<Vec<_>>(), [32, 48]);
    }
}
