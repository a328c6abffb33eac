//! The search for free slots in the state bytes of a leased span.
//!
//! Called by the allocation slow path on what it has not seen of its span. Slots whose length is a power of two are
//! looked at a window at a time: 64 granules become a mask, from which the run takes its slots without coming back.
//! Other slots are looked at one by one, and long runs by whole words.
//!
//! Invariant: what is called free was free when it was looked at; everything before the end of the answer was either
//! called free or counted as passed.
//!
//! Deliberately absent: addresses, and who owns the free slots.

use std::sync::atomic::AtomicU8;

use gc_hooks::sync::point;

use crate::colour::StateByte;
use crate::scan::next_used;
use crate::words::{BYTES, FLAGS, load, load_word, used_in, words};

/// Granules of a window: the bits of a mask.
pub(crate) const WINDOW_GRANULES: usize = 64;

/// Longer slots are looked at one by one: a window would hold one of them.
const WINDOW_SLOT_GRANULES_MAX: usize = 32;

/// Slots looked at one by one for the end of a run, before whole words are.
const SHORT_RUN_SLOTS: usize = 4;

/// Slots that a search for free ones passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Passed {
    /// Objects that are not pinned.
    pub(crate) objects: u32,
    /// Withdrawn slots, with an object pinned in them or not.
    pub(crate) withdrawn: u32,
}

impl Passed {
    fn add(&mut self, state: StateByte) {
        let is_withdrawn = u32::from(state.is_quarantined());
        self.withdrawn += is_withdrawn;
        self.objects += 1 - is_withdrawn;
    }
}

/// The free slots that were found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FreeSlots {
    /// None to the end.
    None,
    /// A number of granules in a row from a granule on: whole slots, all free.
    Run { first: usize, granules: usize },
    /// Those of the 64 granules from a granule on whose bit is set: whole slots.
    Window { first: usize, free: u64 },
}

impl FreeSlots {
    /// The first granule of each of these slots, which have so many granules.
    pub(crate) fn starts(self, granules: usize) -> impl Iterator<Item = usize> {
        let (first, end, free) = match self {
            FreeSlots::None => (0, 0, 0),
            FreeSlots::Run { first, granules } => (first, first + granules, u64::MAX),
            FreeSlots::Window { first, free } => (first, first + WINDOW_GRANULES, free),
        };
        // Bits stand for the granules of a window; a run has no gaps.
        let is_free = move |at: &usize| free >> ((at - first) % WINDOW_GRANULES) & 1 == 1;
        (first..end).step_by(granules.max(1)).filter(is_free)
    }
}

/// Looks for the first free slots among slots of `granules` bytes each. The bytes are those of whole slots.
pub(crate) fn next_free(bytes: &[AtomicU8], granules: usize) -> (FreeSlots, Passed) {
    point();
    if granules.is_power_of_two() && granules <= WINDOW_SLOT_GRANULES_MAX {
        next_window(bytes, granules)
    } else {
        next_run(bytes, granules.max(1))
    }
}

fn next_window(bytes: &[AtomicU8], granules: usize) -> (FreeSlots, Passed) {
    let starts = u64::MAX / ((1 << granules) - 1);
    let mut passed = Passed::default();
    for (index, window) in bytes.chunks(WINDOW_GRANULES).enumerate() {
        let first = index * WINDOW_GRANULES;
        let used = used_mask(window);
        if used.used == 0 {
            let end = next_used(bytes, first + window.len());
            // The search goes on at a window.
            let granules = (end - first) / WINDOW_GRANULES * WINDOW_GRANULES;
            return (FreeSlots::Run { first, granules }, passed);
        }
        passed.withdrawn += used.withdrawn;
        passed.objects += used.used.count_ones() - used.withdrawn - used.beyond;
        let free = !used.used & starts;
        if free != 0 {
            // Slots do not overlap, so that no bit of the product meets another.
            return (
                FreeSlots::Window {
                    first,
                    free: free * ((1 << granules) - 1),
                },
                passed,
            );
        }
    }
    (FreeSlots::None, passed)
}

/// The granules of a window in use.
struct Used {
    /// A bit for each granule that is not free.
    used: u64,
    /// How many of these are withdrawn.
    withdrawn: u32,
    /// How many of these lie behind the end of the bytes.
    beyond: u32,
}

fn used_mask(window: &[AtomicU8]) -> Used {
    let (words, rest) = words(window);
    let mut used = Used {
        used: 0,
        withdrawn: 0,
        beyond: (WINDOW_GRANULES - window.len()) as u32,
    };
    if used.beyond == 0 && rest.is_empty() {
        let mut seen = 0;
        for (index, word) in words.iter().enumerate() {
            let word = load_word(word);
            used.used |= used_in(word) << (index * BYTES);
            seen |= word;
        }
        if seen & FLAGS == 0 {
            return used;
        }
    }
    used.used = u64::MAX.checked_shl(window.len() as u32).unwrap_or(0);
    for (index, byte) in window.iter().enumerate() {
        let state = load(byte);
        used.used |= u64::from(!state.is_free()) << index;
        used.withdrawn += u32::from(state.is_quarantined());
    }
    used
}

fn next_run(bytes: &[AtomicU8], granules: usize) -> (FreeSlots, Passed) {
    let is_free = |index: usize| bytes.get(index).map(load).is_some_and(StateByte::is_free);
    let (mut first, mut passed) = (0, Passed::default());
    loop {
        let Some(byte) = bytes.get(first) else {
            return (FreeSlots::None, passed);
        };
        let state = load(byte);
        if state.is_free() {
            break;
        }
        passed.add(state);
        first += granules;
    }
    let mut end = first;
    while is_free(end) {
        end += granules;
        if end - first > SHORT_RUN_SLOTS * granules {
            end = next_used(bytes, end);
            break;
        }
    }
    (
        FreeSlots::Run {
            first,
            granules: (end - first) / granules * granules,
        },
        passed,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size_class::GRANULE_BYTES;
    use crate::table::StateTable;
    use proptest::prelude::*;
    use std::sync::atomic::Ordering;

    const BASE: usize = 1 << 40;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_slot_is_free_or_passed(
            granules in prop_oneof![Just(1_usize), Just(2), Just(4), Just(8), Just(16), Just(32), Just(64), 1..40_usize],
            slots in prop::collection::vec(prop_oneof![4 => Just(0_u8), 1 => Just(0x50), 2 => Just(3), 1 => Just(8), 1 => Just(11)], 1..400),
        ) {
            let table = StateTable::new(BASE, slots.len() * granules * GRANULE_BYTES).unwrap();
            for (slot, bits) in slots.iter().enumerate() {
                table.byte(BASE + slot * granules * GRANULE_BYTES).unwrap().store(*bits, Ordering::Relaxed);
            }
            let bytes = table.bytes_of(BASE, slots.len() * granules * GRANULE_BYTES).unwrap();
            let (mut found, mut passed, mut seen) = (Vec::new(), Passed::default(), 0);
            loop {
                let (free, by) = next_free(bytes.get(seen..).unwrap_or_default(), granules);
                passed.objects += by.objects;
                passed.withdrawn += by.withdrawn;
                let starts: Vec<usize> = free.starts(granules).map(|at| seen + at).collect();
                let found_before = found.len();
                match free {
                    FreeSlots::None => break,
                    FreeSlots::Run { first, granules: run } => {
                        prop_assert!(run > 0 && run % granules == 0);
                        found.extend((seen + first..seen + first + run).step_by(granules));
                        seen += first + run;
                    }
                    FreeSlots::Window { first, free } => {
                        let bits = (0..WINDOW_GRANULES).filter(|bit| free >> bit & 1 == 1);
                        let granules_free: Vec<usize> = bits.map(|bit| seen + first + bit).collect();
                        for slot in granules_free.chunks(granules) {
                            prop_assert_eq!(slot.len(), granules);
                            prop_assert!(slot[0] % granules == 0 && slot[granules - 1] - slot[0] == granules - 1);
                            found.push(slot[0]);
                        }
                        seen += first + WINDOW_GRANULES;
                    }
                }
                prop_assert_eq!(&found[found_before..], starts);
            }
            let state = |slot: usize| StateByte::from_bits(slots[slot]);
            let expected: Vec<usize> = (0..slots.len()).filter(|slot| state(*slot).is_free()).map(|slot| slot * granules).collect();
            prop_assert_eq!(found, expected);
            let withdrawn = (0..slots.len()).filter(|slot| state(*slot).is_quarantined()).count();
            prop_assert_eq!(passed.withdrawn as usize, withdrawn);
            let objects = (0..slots.len()).filter(|slot| state(*slot).is_object() && !state(*slot).is_quarantined()).count();
            prop_assert_eq!(passed.objects as usize, objects);
        }
    }
}
