//! The walks of the sweep and of the search over state bytes, sixteen at a time, for x86-64.
//!
//! Called by `scan` through `words`, whose head says what a load and a store of several bytes mean. The same walks word
//! by word stand there, for other machines; tests compare both with a walk byte by byte.

use std::arch::asm;
use std::arch::x86_64::{
    __m128i, _mm_add_epi64, _mm_and_si128, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_cvtsi128_si64,
    _mm_movemask_epi8, _mm_or_si128, _mm_sad_epu8, _mm_set1_epi8, _mm_setzero_si128,
    _mm_slli_epi16, _mm_sub_epi8, _mm_unpackhi_epi64,
};
use std::sync::atomic::AtomicU8;

use super::{BYTES, COLOURS, Counts, FLAGS, Word, clear_word, free_in, load_word, visit_whites};
use crate::colour::{Kept, StateByte};

/// Matches that one byte counts before it might overflow.
const MATCHES_MAX: usize = 255;

/// Counts the colours of words.
pub(crate) fn count(words: &[Word], kept: Kept) -> Counts {
    if kept.tells_newborn() {
        // SAFETY: every x86-64 processor has SSE2.
        unsafe { count_by_pairs::<true>(words, kept) }
    } else {
        // SAFETY: as above.
        unsafe { count_by_pairs::<false>(words, kept) }
    }
}

/// Calls `visit` with each byte that has a colour, another than those given, and is not withdrawn.
#[inline]
pub(crate) fn for_each_white(words: &[Word], kept: Kept, visit: impl FnMut(&AtomicU8)) {
    if kept.tells_newborn() {
        // SAFETY: every x86-64 processor has SSE2.
        unsafe { visit_by_pairs::<true>(words, kept, visit) }
    } else {
        // SAFETY: as above.
        unsafe { visit_by_pairs::<false>(words, kept, visit) }
    }
}

/// Frees the whites of bytes that nobody else writes, and says how many they were.
pub(crate) fn free_whites(words: &[Word], kept: Kept, freed: StateByte) -> u32 {
    if kept.tells_newborn() {
        // SAFETY: every x86-64 processor has SSE2.
        unsafe { free_by_pairs::<true>(words, kept, freed) }
    } else {
        // SAFETY: as above.
        unsafe { free_by_pairs::<false>(words, kept, freed) }
    }
}

/// Zeroes bytes that nobody else writes.
pub(crate) fn clear(words: &[Word]) {
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { clear_by_pairs(words) }
}

/// The index of a word before which every byte is free, and not far behind which one is used, if any is.
pub(crate) fn free_before(words: &[Word]) -> usize {
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { free_before_by_pairs(words) }
}

/// The bits of sixteen bytes, each loaded with Acquire, which pairs with the Release of every write in `state_cell`.
#[inline]
#[target_feature(enable = "sse2")]
fn load_pair(pair: &[Word; 2]) -> __m128i {
    let bits: __m128i;
    // SAFETY: reads the sixteen bytes that the reference covers, as `load_word` reads eight.
    unsafe {
        asm!(
            "movdqu {bits}, xmmword ptr [{pair}]",
            pair = in(reg) pair.as_ptr(),
            bits = lateout(xmm_reg) bits,
            options(nostack, preserves_flags),
        );
    }
    bits
}

/// Stores sixteen bytes, each with Release, which pairs with the Acquire of every read in `state_cell`.
#[inline]
#[target_feature(enable = "sse2")]
fn store_pair(pair: &[Word; 2], bits: __m128i) {
    // SAFETY: writes the sixteen bytes that the reference covers, which are atomics, as the head of `words` says.
    unsafe {
        asm!(
            "movdqu xmmword ptr [{pair}], {bits}",
            pair = in(reg) pair.as_ptr(),
            bits = in(xmm_reg) bits,
            options(nostack, preserves_flags),
        );
    }
}

/// The two colours, each in every byte.
#[inline]
#[target_feature(enable = "sse2")]
fn repeated(kept: Kept) -> [__m128i; 2] {
    [kept.marked(), kept.born()].map(|colour| _mm_set1_epi8(colour.number().cast_signed()))
}

/// Which bytes have one of the colours, of which the first stands for both unless they are `TWO`.
#[inline]
#[target_feature(enable = "sse2")]
fn matches<const TWO: bool>(coloured: __m128i, both: [__m128i; 2]) -> __m128i {
    let marked = _mm_cmpeq_epi8(coloured, both[0]);
    if TWO {
        _mm_or_si128(marked, _mm_cmpeq_epi8(coloured, both[1]))
    } else {
        marked
    }
}

#[target_feature(enable = "sse2")]
fn count_by_pairs<const TWO: bool>(words: &[Word], kept: Kept) -> Counts {
    let zero = _mm_setzero_si128();
    let colours = _mm_set1_epi8(COLOURS as i8);
    let both = repeated(kept);
    let mut counts = Counts::of(words);
    let mut seen = zero;
    let (pairs, last) = words.as_chunks::<2>();
    for part in pairs.chunks(MATCHES_MAX) {
        let (mut free, mut same) = (zero, zero);
        for pair in part {
            let bits = load_pair(pair);
            let coloured = _mm_and_si128(bits, colours);
            // A match is -1 in its byte.
            free = _mm_sub_epi8(free, _mm_cmpeq_epi8(coloured, zero));
            same = _mm_sub_epi8(same, matches::<TWO>(coloured, both));
            seen = _mm_or_si128(seen, bits);
        }
        counts.coloured -= sum(free);
        counts.same += sum(same);
    }
    // The flag goes to the top of its byte, where the mask is taken from.
    counts.has_withdrawn = _mm_movemask_epi8(_mm_slli_epi16::<4>(seen)) != 0;
    for word in last {
        counts.add(load_word(word), kept);
    }
    counts
}

#[inline]
#[target_feature(enable = "sse2")]
fn sum(bytes: __m128i) -> u32 {
    let halves = _mm_sad_epu8(bytes, _mm_setzero_si128());
    _mm_cvtsi128_si64(_mm_add_epi64(halves, _mm_unpackhi_epi64(halves, halves))) as u32
}

#[inline]
#[target_feature(enable = "sse2")]
fn visit_by_pairs<const TWO: bool>(words: &[Word], kept: Kept, mut visit: impl FnMut(&AtomicU8)) {
    let zero = _mm_setzero_si128();
    let colours = _mm_set1_epi8(COLOURS as i8);
    let flags = _mm_set1_epi8(FLAGS as i8);
    let both = repeated(kept);
    let (pairs, last) = words.as_chunks::<2>();
    for pair in pairs {
        let bits = load_pair(pair);
        let coloured = _mm_and_si128(bits, colours);
        let kept = _mm_or_si128(
            _mm_cmpeq_epi8(coloured, zero),
            matches::<TWO>(coloured, both),
        );
        let withdrawn = _mm_cmpeq_epi8(_mm_and_si128(bits, flags), flags);
        let mut whites = !_mm_movemask_epi8(_mm_or_si128(kept, withdrawn)) & 0xffff;
        let bytes = pair.as_flattened();
        if whites == 0xffff {
            bytes.iter().for_each(&mut visit);
            continue;
        }
        while whites != 0 {
            if let Some(byte) = bytes.get(whites.trailing_zeros() as usize) {
                visit(byte);
            }
            whites &= whites - 1;
        }
    }
    for word in last {
        visit_whites(word, kept, &mut visit);
    }
}

#[target_feature(enable = "sse2")]
fn free_by_pairs<const TWO: bool>(words: &[Word], kept: Kept, freed: StateByte) -> u32 {
    let zero = _mm_setzero_si128();
    let colours = _mm_set1_epi8(COLOURS as i8);
    let flags = _mm_set1_epi8(FLAGS as i8);
    let both = repeated(kept);
    let stamp = _mm_set1_epi8(freed.bits().cast_signed());
    let (pairs, last) = words.as_chunks::<2>();
    let mut count = 0;
    for part in pairs.chunks(MATCHES_MAX) {
        let mut kept_before = zero;
        for pair in part {
            let bits = load_pair(pair);
            let coloured = _mm_and_si128(bits, colours);
            let unmarked = _mm_or_si128(
                _mm_cmpeq_epi8(coloured, zero),
                matches::<TWO>(coloured, both),
            );
            let withdrawn = _mm_cmpeq_epi8(_mm_and_si128(bits, flags), flags);
            let kept = _mm_or_si128(unmarked, withdrawn);
            // A match is -1 in its byte.
            kept_before = _mm_sub_epi8(kept_before, kept);
            // Lines in which everything lives stay unwritten.
            if _mm_movemask_epi8(kept) != 0xffff {
                let stays = _mm_and_si128(bits, kept);
                store_pair(pair, _mm_or_si128(stays, _mm_andnot_si128(kept, stamp)));
            }
        }
        count += (part.len() * 2 * BYTES) as u32 - sum(kept_before);
    }
    last.iter()
        .fold(count, |count, word| count + free_in(word, kept, freed))
}

/// Pairs looked at together where most of them say the same: those of a cache line.
const PAIRS: usize = 4;

#[target_feature(enable = "sse2")]
fn clear_by_pairs(words: &[Word]) {
    let zero = _mm_setzero_si128();
    let (lines, last) = words.as_chunks::<{ 2 * PAIRS }>();
    for line in lines {
        let (pairs, _) = line.as_chunks::<2>();
        let seen = pairs
            .iter()
            .fold(zero, |seen, pair| _mm_or_si128(seen, load_pair(pair)));
        if _mm_movemask_epi8(_mm_cmpeq_epi8(seen, zero)) != 0xffff {
            for pair in pairs {
                store_pair(pair, zero);
            }
        }
    }
    last.iter().for_each(clear_word);
}

#[target_feature(enable = "sse2")]
fn free_before_by_pairs(words: &[Word]) -> usize {
    let zero = _mm_setzero_si128();
    let used = _mm_set1_epi8((COLOURS | FLAGS) as i8);
    let (lines, _) = words.as_chunks::<{ 2 * PAIRS }>();
    let is_used = |line: &[Word; 2 * PAIRS]| {
        let (pairs, _) = line.as_chunks::<2>();
        let seen = pairs
            .iter()
            .fold(zero, |seen, pair| _mm_or_si128(seen, load_pair(pair)));
        _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(seen, used), zero)) != 0xffff
    };
    let line = lines.iter().position(is_used).unwrap_or(lines.len());
    line * 2 * PAIRS
}
