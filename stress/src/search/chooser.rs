//! Where the decisions of a program come from: a seed, or bytes that somebody else chooses.
//!
//! Used by the writer of a program, on one thread. Invariant: the same seed or bytes give the same decisions. Bytes
//! that are used up give zeros, and say so, so that the program comes to its end.

use crate::rng::Rng;

/// See the module.
pub(super) enum Chooser<'b> {
    /// Drawn from a seed.
    Drawn(Rng),
    /// Read from bytes that a fuzzer chooses.
    Read(&'b [u8]),
}

impl Chooser<'_> {
    /// A number below `bound`, or zero when the bound is zero.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        match self {
            Chooser::Drawn(rng) => rng.below(u64::from(bound)) as u32,
            Chooser::Read(bytes) => {
                // Small numbers take one byte, so that a change of a byte is a change of one decision.
                let width = if bound <= 256 { 1 } else { 4 };
                let taken = bytes.len().min(width);
                let (now, rest) = bytes.split_at(taken);
                *bytes = rest;
                let number = now
                    .iter()
                    .fold(0, |number, byte| number << 8 | u32::from(*byte));
                number.checked_rem(bound).unwrap_or(0)
            }
        }
    }

    /// A number within both ends.
    pub(super) fn within(&mut self, least: u32, most: u32) -> u32 {
        least + self.below(most - least + 1)
    }

    /// True once in so many times.
    pub(super) fn one_in(&mut self, times: u32) -> bool {
        self.below(times) + 1 == times
    }

    /// One of several, or none of none.
    pub(super) fn pick<T: Copy>(&mut self, among: &[T]) -> Option<T> {
        among.get(self.below(among.len() as u32) as usize).copied()
    }

    /// Whether there is nothing left to decide from.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Chooser::Read([]))
    }
}
