//! The two walks of the sweep over state bytes, sixteen at a time, for x86-64.
//!
//! Called by `scan` through `words`, whose head says what a load of several bytes means. The same walks word by word
//! stand there, for other machines; tests compare both with a walk byte by byte.
//!
//! Deliberately absent: every write.

use std::arch::asm;
use std::arch::x86_64::{
    __m128i, _mm_add_epi64, _mm_and_si128, _mm_cmpeq_epi8, _mm_cvtsi128_si64, _mm_movemask_epi8,
    _mm_or_si128, _mm_sad_epu8, _mm_set1_epi8, _mm_setzero_si128, _mm_slli_epi16, _mm_sub_epi8,
    _mm_unpackhi_epi64,
};
use std::sync::atomic::AtomicU8;

use super::{COLOURS, Counts, FLAGS, Word, load_word, visit_whites};
use crate::colour::Colour;

/// Matches that one byte counts before it might overflow.
const MATCHES_MAX: usize = 255;

/// Counts the colours of words.
pub(crate) fn count(words: &[Word], colour: Colour) -> Counts {
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { count_by_pairs(words, colour) }
}

/// Calls `visit` with each byte that has a colour, another than the one given, and is not withdrawn.
#[inline]
pub(crate) fn for_each_white(words: &[Word], colour: Colour, visit: impl FnMut(&AtomicU8)) {
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { visit_by_pairs(words, colour, visit) }
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

#[target_feature(enable = "sse2")]
fn count_by_pairs(words: &[Word], colour: Colour) -> Counts {
    let zero = _mm_setzero_si128();
    let colours = _mm_set1_epi8(COLOURS as i8);
    let current = _mm_set1_epi8(colour.number().cast_signed());
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
            same = _mm_sub_epi8(same, _mm_cmpeq_epi8(coloured, current));
            seen = _mm_or_si128(seen, bits);
        }
        counts.coloured -= sum(free);
        counts.same += sum(same);
    }
    // The flag goes to the top of its byte, where the mask is taken from.
    counts.has_withdrawn = _mm_movemask_epi8(_mm_slli_epi16::<4>(seen)) != 0;
    for word in last {
        counts.add(load_word(word), colour);
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
fn visit_by_pairs(words: &[Word], colour: Colour, mut visit: impl FnMut(&AtomicU8)) {
    let zero = _mm_setzero_si128();
    let colours = _mm_set1_epi8(COLOURS as i8);
    let flags = _mm_set1_epi8(FLAGS as i8);
    let current = _mm_set1_epi8(colour.number().cast_signed());
    let (pairs, last) = words.as_chunks::<2>();
    for pair in pairs {
        let bits = load_pair(pair);
        let coloured = _mm_and_si128(bits, colours);
        let kept = _mm_or_si128(
            _mm_cmpeq_epi8(coloured, zero),
            _mm_cmpeq_epi8(coloured, current),
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
        visit_whites(word, colour, &mut visit);
    }
}
