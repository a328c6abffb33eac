//! Simulated hours in which a table's entries are replaced, each hour by entries of other sizes.

use std::time::Instant;

use super::{Outcome, resident_kib};
use crate::peer::{Peer, Setup, Variant};
use crate::random::Random;
use crate::size::Size;

/// Key, body and link: what an entry needs at least, beside the words of its body.
const ENTRY_BYTES: usize = 32;
/// Replacements of one turn.
const OF_A_TURN: usize = 32;
/// One slot of so many is replaced in one hour of eight alone.
const LONG_LIVED_ONE_OF: usize = 8;

/// Words of a body, by the hour's fashion.
fn words(hour: usize, random: &mut Random) -> usize {
    match hour % 4 {
        0 => 1 + random.index(8),
        1 => 16 + random.index(48),
        2 => 64 + random.index(192),
        _ => 1 + random.index(128),
    }
}

/// Memory resident at the end and at most, over the payload that lives then; and the time of a replacement.
pub fn run<P: Peer>(size: &Size, variant: Variant) -> Outcome {
    let slots = size.fragmented_slots;
    let mut held_words = vec![0usize; slots];
    let before_kib = resident_kib("VmRSS:");
    let mut heap = P::heap(&Setup {
        node_slots: 1,
        entry_slots: slots,
        is_server: false,
        variant,
    });
    let mut random = Random::new(5);
    let mut payload_max = 0usize;
    let mut replaced = 0usize;
    let started = Instant::now();
    for hour in 0..size.hours {
        for _ in 0..4 * slots / OF_A_TURN {
            P::turn(&mut heap, |cx| {
                for _ in 0..OF_A_TURN {
                    let slot = random.index(slots);
                    let words = words(hour, &mut random);
                    let lives_long = slot.is_multiple_of(LONG_LIVED_ONE_OF);
                    if lives_long && held_words[slot] > 0 && hour % 8 > 0 {
                        continue;
                    }
                    held_words[slot] = words;
                    P::put_entry(cx, slot, P::entry(cx, slot as u64, words, None));
                    replaced += 1;
                }
            });
        }
        payload_max = payload_max.max(payload(&held_words));
    }
    let nanos = started.elapsed().as_nanos() as f64;
    let end_kib = resident_kib("VmRSS:") - before_kib;
    let peak_kib = resident_kib("VmHWM:") - before_kib;
    let mut seen = 0u64;
    for first in (0..slots).step_by(OF_A_TURN) {
        seen = seen.wrapping_add(P::turn(&mut heap, |cx| {
            (first..slots.min(first + OF_A_TURN))
                .map(|slot| P::sum_entry(cx, slot))
                .sum()
        }));
    }
    let over = |kib: f64, bytes: usize| kib * 1024.0 / bytes as f64;
    Outcome::new(seen)
        .with("replacement", "ns", nanos / replaced as f64)
        .with("end/live", "x", over(end_kib, payload(&held_words)))
        .with("peak/live", "x", over(peak_kib, payload_max))
}

/// Bytes of all entries in slots.
fn payload(held_words: &[usize]) -> usize {
    held_words
        .iter()
        .filter(|words| **words > 0)
        .map(|words| ENTRY_BYTES + 8 * words)
        .sum()
}
