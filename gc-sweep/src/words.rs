//! Eight state bytes at a time.
//!
//! Arithmetic on words of state bytes, and the load of a word, for the walks in `scan` and `search`.
//!
//! ```text
//! bits of one byte   7   6   5   4   3             2   1   0
//!                    death stamp     quarantined   colour
//! ```
//!
//! With c = byte & 7, which is 0 to 7, bit 3 of c + 7 says whether c is not 0, and nothing is carried into the next byte.
//! A flag is that bit.
//!
//! Other threads write single bytes of a word at the same time, and the language knows no access of eight bytes that
//! overlaps one of a single byte. What [`load_word`] does is, by its meaning, eight Acquire loads of one byte each, in no
//! particular order. On x86-64 one instruction does that: it reads each byte once, and the processor lets no later access
//! of the thread come before a load. It stands in inline assembly, of which the compiler assumes nothing but that it
//! touches memory as eight such loads might; hence no option that would let accesses move across it. Elsewhere, and for
//! the model checkers, Miri and ThreadSanitizer, which do not see into assembly, the eight loads are written out.
//!
//! A store of several bytes is, in the same way, as many Release stores of one byte each. That is no question of races but
//! of what it takes back: a byte that another thread has written since the load. So only who writes a span alone comes
//! here, the sweeper that has claimed it whole ([`free_whites`]) and whoever cuts it ([`clear`]). Nobody leases such a span,
//! so nobody publishes in it; withdrawals wait; and an exchange by a barrier that runs late finds nothing to change in an
//! object of the colour of the cycle. A store that makes a newborn object old may lose that to a sweeper, and the object is
//! a newborn one again: what counts is the note that was taken before. What a stray pointer can still have exchanged meanwhile is the byte of a dead
//! object, of a pinned one, or, where free slots may be marked, of a free slot: each is decided by the sweep that is
//! going on, and such a mark lost to it is what it would be one instruction later.
//!
//! Deliberately absent: slots and spans.
#![allow(unsafe_code)]

use std::sync::atomic::AtomicU8;

use crate::colour::{Colour, Kept, StateByte};
use crate::state_cell;

/// Bytes of a word.
pub(crate) const BYTES: usize = 8;
/// One in each byte.
pub(crate) const ONES: u64 = 0x0101_0101_0101_0101;
/// The colour of each byte.
pub(crate) const COLOURS: u64 = 7 * ONES;
/// The flag of each byte, which is also where it says that its slot is withdrawn.
pub(crate) const FLAGS: u64 = 8 * ONES;

/// The state bytes of a word.
pub(crate) type Word = [AtomicU8; BYTES];

/// As many words as the bytes make, and the bytes behind them.
#[inline]
pub(crate) fn words(bytes: &[AtomicU8]) -> (&[Word], &[AtomicU8]) {
    bytes.as_chunks()
}

/// The state of one byte.
#[inline]
pub(crate) fn load(byte: &AtomicU8) -> StateByte {
    state_cell::load(byte)
}

/// The bits of eight bytes, the first in the lowest. Each is loaded with Acquire, which pairs with the Release of every
/// write in `state_cell`.
#[inline(always)]
#[cfg(all(target_arch = "x86_64", not(any(miri, loom, shuttle, softfail_tsan))))]
pub(crate) fn load_word(word: &Word) -> u64 {
    let bits: u64;
    // SAFETY: reads the eight bytes that the reference covers. No byte is read other than by an atomic load, as the head
    // of the file says: no option claims that memory is untouched, so nothing is moved across.
    unsafe {
        std::arch::asm!(
            "mov {bits}, qword ptr [{word}]",
            word = in(reg) word.as_ptr(),
            bits = lateout(reg) bits,
            options(nostack, preserves_flags),
        );
    }
    bits
}

/// The bits of eight bytes, the first in the lowest. Each is loaded with Acquire, which pairs with the Release of every
/// write in `state_cell`.
#[inline(always)]
#[cfg(not(all(target_arch = "x86_64", not(any(miri, loom, shuttle, softfail_tsan)))))]
pub(crate) fn load_word(word: &Word) -> u64 {
    u64::from_le_bytes(word.each_ref().map(|byte| load(byte).bits()))
}

/// The flag of each byte with a colour.
#[inline]
pub(crate) fn coloured_in(word: u64) -> u64 {
    ((word & COLOURS) + COLOURS) & FLAGS
}

/// The flag of each byte whose colour is not the one that `same` repeats; none is a colour here.
#[inline]
pub(crate) fn others_in(word: u64, same: u64) -> u64 {
    (((word & COLOURS) ^ same) + COLOURS) & FLAGS
}

/// A bit for each byte that is not free, in the order of the bytes from the lowest bit on.
#[inline]
pub(crate) fn used_in(word: u64) -> u64 {
    // Bit 4 of (byte & 15) + 15 says whether the low half of a byte is not 0. The factor then gathers one bit of each
    // byte in the highest byte: byte i, at bit 8 i, is moved by 56 - 7 i to bit 56 + i.
    let used = ((word & (COLOURS | FLAGS)) + (COLOURS | FLAGS)) >> 4 & ONES;
    used.wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// The highest bit of each byte that is not zero.
#[inline]
pub(crate) fn nonzero_in(word: u64) -> u64 {
    const LOW: u64 = 0x7f * ONES;
    (((word & LOW) + LOW) | word) & !LOW
}

/// What stands in some words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    /// Bytes with a colour.
    pub(crate) coloured: u32,
    /// Bytes of the colours asked for.
    pub(crate) same: u32,
    /// Some byte is withdrawn.
    pub(crate) has_withdrawn: bool,
}

impl Counts {
    /// No byte of these words was found to be free yet.
    fn of(words: &[Word]) -> Counts {
        Counts {
            coloured: (words.len() * BYTES) as u32,
            same: 0,
            has_withdrawn: false,
        }
    }

    /// Counts one of the words.
    fn add(&mut self, word: u64, kept: Kept) {
        self.coloured -= BYTES as u32 - coloured_in(word).count_ones();
        self.same += BYTES as u32 - others_than(word, kept).count_ones();
        self.has_withdrawn |= word & FLAGS != 0;
    }
}

fn repeated(colour: Colour) -> u64 {
    u64::from(colour.number()) * ONES
}

/// The flag of each byte that has none of the colours; none is a colour here.
#[inline]
fn others_than(word: u64, kept: Kept) -> u64 {
    others_in(word, repeated(kept.marked())) & others_in(word, repeated(kept.born()))
}

/// Calls `visit` with each byte that has a colour, another than those given, and is not withdrawn.
#[inline]
fn visit_whites(word: &Word, kept: Kept, visit: &mut impl FnMut(&AtomicU8)) {
    let seen = load_word(word);
    let whites = coloured_in(seen) & others_than(seen, kept) & !seen;
    for_each_in(word, whites, visit);
}

/// Calls `visit` with each byte of a word that is flagged, or whose highest bit is set, in a mask of nothing else.
#[inline]
pub(crate) fn for_each_in(word: &Word, mut mask: u64, mut visit: impl FnMut(&AtomicU8)) {
    if mask == FLAGS || mask == FLAGS << 4 {
        return word.iter().for_each(visit);
    }
    while mask != 0 {
        if let Some(byte) = word.get(mask.trailing_zeros() as usize / 8) {
            visit(byte);
        }
        mask &= mask - 1;
    }
}

/// Frees the whites of a word, byte by byte, and says how many they were.
fn free_in(word: &Word, kept: Kept, freed: StateByte) -> u32 {
    let mut count = 0;
    visit_whites(word, kept, &mut |byte| {
        state_cell::free(byte, freed);
        count += 1;
    });
    count
}

/// Zeroes a word, byte by byte. What is zero already is not written.
fn clear_word(word: &Word) {
    for_each_in(word, nonzero_in(load_word(word)), |byte| {
        state_cell::set(byte, StateByte::FREE_FRESH);
    });
}

#[cfg(all(target_arch = "x86_64", not(any(miri, loom, shuttle, softfail_tsan))))]
pub(crate) use self::pairs::{clear, count, for_each_white, free_before, free_whites};
#[cfg(not(all(target_arch = "x86_64", not(any(miri, loom, shuttle, softfail_tsan)))))]
pub(crate) use self::portable::{clear, count, for_each_white, free_before, free_whites};

/// The walks by pairs of words.
#[cfg(all(target_arch = "x86_64", not(any(miri, loom, shuttle, softfail_tsan))))]
mod pairs;

/// The walks word by word.
#[cfg(not(all(target_arch = "x86_64", not(any(miri, loom, shuttle, softfail_tsan)))))]
mod portable;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn a_word_is_its_bytes_from_the_lowest_on() {
        let bytes: [AtomicU8; 17] = std::array::from_fn(|at| AtomicU8::new(at as u8 * 13));
        for start in 0..9 {
            let (words, rest) = words(&bytes[start..]);
            assert_eq!(
                (words.len(), rest.len()),
                ((17 - start) / 8, (17 - start) % 8)
            );
            let expected = std::array::from_fn(|at| bytes[start + at].load(Ordering::Relaxed));
            assert_eq!(load_word(&words[0]), u64::from_le_bytes(expected));
        }
    }

    #[test]
    fn a_word_orders_what_its_bytes_publish() {
        const ROUNDS: u8 = 255;
        for _ in 0..20 {
            let bytes: [AtomicU8; BYTES] = Default::default();
            let values: [AtomicU8; BYTES] = Default::default();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for round in 1..=ROUNDS {
                        for (byte, value) in bytes.iter().zip(&values) {
                            value.store(round, Ordering::Relaxed);
                            // Release pairs with the Acquire of `load_word`.
                            byte.store(round, Ordering::Release);
                        }
                    }
                });
                let (words, _) = words(&bytes);
                let mut seen = [0; BYTES];
                while seen != [ROUNDS; BYTES] {
                    seen = load_word(&words[0]).to_le_bytes();
                    for (byte, value) in seen.iter().zip(&values) {
                        assert!(value.load(Ordering::Relaxed) >= *byte);
                    }
                }
            });
        }
    }
}
