//! The walks of the sweep and of the search over state bytes, word by word: on machines without the pairs of `pairs`, and
//! for tools that do not see into assembly.

use std::sync::atomic::AtomicU8;

use super::{COLOURS, Counts, FLAGS, Word, clear_word, free_in, load_word, visit_whites};
use crate::colour::{Kept, StateByte};

/// Counts the colours of words.
pub(crate) fn count(words: &[Word], kept: Kept) -> Counts {
    let mut counts = Counts::of(words);
    for word in words {
        counts.add(load_word(word), kept);
    }
    counts
}

/// Calls `visit` with each byte that has a colour, another than those given, and is not withdrawn.
pub(crate) fn for_each_white(words: &[Word], kept: Kept, mut visit: impl FnMut(&AtomicU8)) {
    for word in words {
        visit_whites(word, kept, &mut visit);
    }
}

/// Frees the whites of bytes that nobody else writes, and says how many they were.
pub(crate) fn free_whites(words: &[Word], kept: Kept, freed: StateByte) -> u32 {
    words.iter().map(|word| free_in(word, kept, freed)).sum()
}

/// Zeroes bytes that nobody else writes.
pub(crate) fn clear(words: &[Word]) {
    words.iter().for_each(clear_word);
}

/// The index of a word before which every byte is free, and not far behind which one is used, if any is.
pub(crate) fn free_before(words: &[Word]) -> usize {
    let is_used = |word: &Word| load_word(word) & (COLOURS | FLAGS) != 0;
    words.iter().position(is_used).unwrap_or(words.len())
}
