//! Eight state bytes at a time.
//!
//! Arithmetic on words of state bytes, and the view of bytes as words, for the walks in `scan`.
//!
//! ```text
//! bits of one byte   7   6   5   4   3             2   1   0
//!                    death stamp     quarantined   colour
//! ```
//!
//! With c = byte & 7, which is 0 to 7, bit 3 of c + 7 says whether c is not 0, and nothing is carried into the next byte.
//! A flag is that bit.
//!
//! A word is read and written as one atomic, while other threads may read single bytes of it or write other bytes. The
//! hardware orders such accesses, the language does not describe them. Hence every walk also works byte for byte; under
//! Miri there are no words, and the tests compare the two.
//!
//! Deliberately absent: slots and spans.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::colour::StateByte;

/// Bytes of a word.
pub(crate) const BYTES: usize = 8;
/// One in each byte.
pub(crate) const ONES: u64 = 0x0101_0101_0101_0101;
/// The colour of each byte.
pub(crate) const COLOURS: u64 = 7 * ONES;
/// The flag of each byte, which is also where it says that its slot is withdrawn.
pub(crate) const FLAGS: u64 = 8 * ONES;

/// The words in the middle of the bytes, with the bytes before and behind them.
pub(crate) fn words(bytes: &[AtomicU8]) -> (&[AtomicU8], &[AtomicU64], &[AtomicU8]) {
    if cfg!(miri) {
        return (bytes, &[], &[]);
    }
    // SAFETY: eight atomic bytes at a multiple of eight hold a valid atomic word, and both types allow shared mutation.
    unsafe { bytes.align_to::<AtomicU64>() }
}

/// The state of one byte.
#[inline]
pub(crate) fn load(byte: &AtomicU8) -> StateByte {
    // Acquire pairs with the Release of `publish` and of the mark.
    StateByte::from_bits(byte.load(Ordering::Acquire))
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

/// A bit for each byte that is not free, in the order of the bytes from the lowest bit on, of a little-endian word.
#[inline]
pub(crate) fn used_in(word: u64) -> u64 {
    // Bit 4 of (byte & 15) + 15 says whether the low half of a byte is not 0. The factor then gathers one bit of each
    // byte in the highest byte: byte i, at bit 8 i, is moved by 56 - 7 i to bit 56 + i.
    let used = ((word & (COLOURS | FLAGS)) + (COLOURS | FLAGS)) >> 4 & ONES;
    used.wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// How many bytes are flagged.
#[inline]
pub(crate) fn count(flags: u64) -> u32 {
    ((flags >> 3).wrapping_mul(ONES) >> 56) as u32
}

/// Sums the bytes of a word.
#[inline]
pub(crate) fn sum(counts: u64) -> u32 {
    let pairs = (counts & 0x00ff_00ff_00ff_00ff) + ((counts >> 8) & 0x00ff_00ff_00ff_00ff);
    (pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48) as u32
}
