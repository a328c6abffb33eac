//! The pattern that the sweep leaves in the slots it frees, and the look at it when a slot is to serve again.
//!
//! Called by the sweep for the slots of a span that it holds, and by a lessee for the free slots of its own. Each word of
//! the pattern mixes its place in the heap with a key of the caller's, so that memory that was moved or copied here does
//! not pass, nor what an earlier death of the same slot left. No word is an address of a heap: whoever follows one
//! through a stale pointer is told so.
//!
//! Words are read and written as relaxed atomics: the state byte of the slot carries the order, and a stray writer, who is
//! looked for here, respects none.
//!
//! Deliberately absent: which slots, and what follows.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Reservation, poison, unpoison};

/// Bytes of a word of the pattern.
const WORD_BYTES: usize = 8;

/// The highest bits of each word: no address begins with them.
const PREFIX: u64 = 0xdead << 48;

/// The first change in a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    /// Bytes from the begin of the pattern to the first byte that differs.
    pub(crate) offset_bytes: usize,
    /// What that byte is now.
    pub(crate) byte: u8,
    /// The word it is part of.
    pub(crate) word: u64,
}

impl Reservation {
    /// Writes the pattern over committed memory, from an offset on. Does nothing where memory is not committed.
    pub(crate) fn write_pattern(&self, offset: usize, bytes: usize, key: u64) {
        for at in self.words_in(offset, bytes) {
            if let Some(word) = self.word(at) {
                word.store(pattern(at, key), Relaxed);
            }
        }
    }

    /// Where the pattern that was written with this key is no longer whole.
    pub(crate) fn find_change(&self, offset: usize, bytes: usize, key: u64) -> Option<Change> {
        let address = self.base() + offset;
        unpoison(address, bytes);
        let change = self.words_in(offset, bytes).find_map(|at| {
            let found = self.word(at)?.load(Relaxed);
            let changed = found ^ pattern(at, key);
            // The lowest byte of a word is the first on the machines that the heap runs on.
            (changed != 0).then(|| {
                let byte_in_word = changed.trailing_zeros() / 8;
                Change {
                    offset_bytes: at - offset + byte_in_word as usize,
                    byte: (found >> (byte_in_word * 8)) as u8,
                    word: found,
                }
            })
        });
        poison(address, bytes);
        change
    }

    /// The offsets of the words in a range of offsets.
    fn words_in(&self, offset: usize, bytes: usize) -> impl Iterator<Item = usize> + use<> {
        (offset..offset + bytes / WORD_BYTES * WORD_BYTES).step_by(WORD_BYTES)
    }

    /// The word at an offset; `None` where it is not committed, or not aligned.
    fn word(&self, offset: usize) -> Option<&AtomicU64> {
        let is_inside = offset + WORD_BYTES <= self.committed_end.load(Relaxed);
        if !is_inside || !offset.is_multiple_of(WORD_BYTES) {
            return None;
        }
        // SAFETY: the word is aligned, since the base is, and lies in memory that was committed, which stays readable and
        // writable for as long as the reservation lives. The caller holds the free slot it is part of.
        Some(unsafe { AtomicU64::from_ptr(self.pointer(offset).cast::<u64>()) })
    }
}

/// The word of the pattern at an offset.
fn pattern(offset: usize, key: u64) -> u64 {
    let mixed = (offset as u64 ^ key << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    PREFIX | mixed >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size_class::CHUNK_BYTES;

    #[test]
    fn a_pattern_is_whole_until_a_byte_of_it_changes() {
        let reservation = Reservation::new(2 * CHUNK_BYTES, 2 * CHUNK_BYTES).unwrap();
        reservation.commit(0..CHUNK_BYTES).unwrap();
        let (start, bytes) = (4096, 64);
        reservation.write_pattern(start, bytes, 3);
        assert_eq!(reservation.find_change(start, bytes, 3), None);
        // A look leaves the slot to AddressSanitizer as one that nobody may touch.
        let let_in = || unpoison(reservation.base() + start, bytes);
        for at in 0..bytes {
            let word = reservation.word(start + at / 8 * 8).unwrap();
            let_in();
            let before = word.fetch_xor(0x40 << (at % 8 * 8), Relaxed);
            let byte = (before >> (at % 8 * 8)) as u8 ^ 0x40;
            let change = reservation.find_change(start, bytes, 3).unwrap();
            let_in();
            assert_eq!((change.offset_bytes, change.byte), (at, byte));
            assert_eq!(change.word, word.load(Relaxed));
            word.store(before, Relaxed);
        }
        assert_eq!(reservation.find_change(start, bytes, 3), None);
        for stranger in [2, 4, 0] {
            assert!(reservation.find_change(start, bytes, stranger).is_some());
        }
    }

    #[test]
    fn memory_of_another_place_does_not_pass() {
        let reservation = Reservation::new(CHUNK_BYTES, CHUNK_BYTES).unwrap();
        reservation.commit(0..CHUNK_BYTES).unwrap();
        reservation.write_pattern(0, 32, 1);
        reservation.write_pattern(32, 32, 1);
        let moved = reservation.word(0).unwrap().load(Relaxed);
        reservation.word(32).unwrap().store(moved, Relaxed);
        let change = reservation.find_change(32, 32, 1).unwrap();
        assert_eq!(change.word, moved);
    }

    #[test]
    fn memory_that_is_not_committed_is_left_alone() {
        let reservation = Reservation::new(2 * CHUNK_BYTES, 2 * CHUNK_BYTES).unwrap();
        reservation.commit(0..CHUNK_BYTES).unwrap();
        reservation.write_pattern(CHUNK_BYTES - 8, 64, 1);
        assert!(reservation.word(CHUNK_BYTES).is_none() && reservation.word(4).is_none());
        assert_eq!(reservation.find_change(CHUNK_BYTES - 8, 64, 1), None);
    }
}
