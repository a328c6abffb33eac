//! Walks over the state bytes of a span: count, free, recolour, clear.
//!
//! The inner loops of the sweep, called by the holder of a claim or of a lease on the bytes of its span. They read eight bytes at a time where they can; the meaning of each is that of [`StateByte`].
//!
//! Deliberately absent: slots. A granule inside an object has no colour, so that counting granules counts objects.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::colour::{Colour, StateByte};
use crate::words::{BYTES, COLOURS, FLAGS, ONES, coloured_in, count, load, others_in, sum, words};

/// Words whose flags are summed byte by byte before a byte might overflow: 31 times 8 is 248.
const WORDS_SUMMED_MAX: usize = 31;

/// What stands in some state bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    /// Objects that are not pinned.
    pub(crate) objects: u32,
    /// Of these, objects of another colour than the one asked for.
    pub(crate) whites: u32,
    /// Withdrawn slots, with an object pinned in them or not.
    pub(crate) quarantined: u32,
}

/// Who else writes to the bytes of a walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Writers {
    /// Nobody: whole words may be written.
    None,
    /// A lessee publishes objects in free bytes: only bytes of objects may be written.
    Lessee,
}

impl Tally {
    fn add_byte(&mut self, state: StateByte, current: Colour) {
        if state.is_quarantined() {
            self.quarantined += 1;
        } else if state.is_object() {
            self.objects += 1;
            self.whites += u32::from(!state.has_colour(current));
        }
    }

    /// Counts 31 words at a time. Pinned objects are rare: words with a withdrawn slot among them are counted again,
    /// byte for byte.
    fn add_words(&mut self, words: &[AtomicU64], current: Colour) {
        let same = u64::from(current.number()) * ONES;
        for part in words.chunks(WORDS_SUMMED_MAX) {
            let (mut coloured, mut others, mut seen) = (0, 0, 0);
            for word in part {
                // Acquire pairs with the Release of `publish` and of the mark.
                let word = word.load(Ordering::Acquire);
                coloured += coloured_in(word);
                others += others_in(word, same);
                seen |= word;
            }
            if seen & FLAGS == 0 {
                let objects = sum(coloured) >> 3;
                let live = (part.len() * BYTES) as u32 - (sum(others) >> 3);
                self.objects += objects;
                self.whites += objects - live;
            } else {
                self.add_words_exactly(part, current);
            }
        }
    }

    #[cold]
    fn add_words_exactly(&mut self, words: &[AtomicU64], current: Colour) {
        for word in words {
            for bits in word.load(Ordering::Acquire).to_ne_bytes() {
                self.add_byte(StateByte::from_bits(bits), current);
            }
        }
    }
}

/// Counts what stands in the bytes.
pub(crate) fn tally(bytes: &[AtomicU8], current: Colour) -> Tally {
    let (head, middle, tail) = words(bytes);
    let mut tally = Tally::default();
    for byte in head.iter().chain(tail) {
        tally.add_byte(load(byte), current);
    }
    tally.add_words(middle, current);
    tally
}

/// The index of the first byte, from `from` on, that is not free; the number of bytes when there is none.
pub(crate) fn next_used(bytes: &[AtomicU8], from: usize) -> usize {
    let Some(rest) = bytes.get(from..) else {
        return bytes.len();
    };
    let used = |byte: &AtomicU8| !load(byte).is_free();
    let (head, middle, tail) = words(rest);
    if let Some(index) = head.iter().position(used) {
        return from + index;
    }
    // Acquire pairs with the Release of the sweep that freed the slots.
    let word = |word: &AtomicU64| word.load(Ordering::Acquire) & (COLOURS | FLAGS) != 0;
    let whole = middle.iter().position(word).unwrap_or(middle.len());
    let start = head.len() + whole * BYTES;
    let last = rest.get(start..).unwrap_or_default();
    debug_assert!(last.len() >= tail.len());
    from + start + last.iter().position(used).unwrap_or(last.len())
}

/// Frees every object that is not pinned and whose colour is not `current`: its byte becomes `freed`. Returns how many.
pub(crate) fn free_whites(
    bytes: &[AtomicU8],
    current: Colour,
    freed: StateByte,
    writers: Writers,
) -> u32 {
    let (head, middle, tail) = words(bytes);
    let same = u64::from(current.number()) * ONES;
    let stamps = u64::from(freed.bits()) * ONES;
    let mut freed_slots = free_bytes(head, current, freed) + free_bytes(tail, current, freed);
    for (index, word) in middle.iter().enumerate() {
        let seen = word.load(Ordering::Acquire);
        let whites = coloured_in(seen) & others_in(seen, same) & !seen;
        if whites == 0 {
            continue;
        }
        if writers == Writers::None {
            let dead = (whites >> 3) * 0xff;
            // Release pairs with the Acquire of the allocator that finds the slot free: uses of the dead object end
            // before the slot is written again.
            word.store((seen & !dead) | (stamps & dead), Ordering::Release);
            freed_slots += count(whites);
        } else {
            let start = head.len() + index * BYTES;
            freed_slots += free_bytes(
                bytes.get(start..start + BYTES).unwrap_or_default(),
                current,
                freed,
            );
        }
    }
    freed_slots
}

fn free_bytes(bytes: &[AtomicU8], current: Colour, freed: StateByte) -> u32 {
    let mut count = 0;
    for byte in bytes {
        let state = load(byte);
        if state.is_object() && !state.is_quarantined() && !state.has_colour(current) {
            // Release pairs with the Acquire of the allocator that finds the slot free.
            byte.store(freed.bits(), Ordering::Release);
            count += 1;
        }
    }
    count
}

/// Calls `visit` with each byte that holds an object, pinned ones too, its index and its state. What `visit` does to
/// bytes further on is seen when the walk comes to them.
pub(crate) fn for_each_object(
    bytes: &[AtomicU8],
    mut visit: impl FnMut(usize, &AtomicU8, StateByte),
) {
    let (head, middle, _) = words(bytes);
    let mut one = |index: usize| {
        let byte = bytes.get(index);
        if let Some((byte, state)) = byte.map(|byte| (byte, load(byte)))
            && state.is_object()
        {
            visit(index, byte, state);
        }
    };
    (0..head.len()).for_each(&mut one);
    for (index, word) in middle.iter().enumerate() {
        let start = head.len() + index * BYTES;
        // Little end first, so that the lowest flag is that of the first byte.
        let mut flags = coloured_in(word.load(Ordering::Acquire).to_le());
        while flags != 0 {
            one(start + flags.trailing_zeros() as usize / 8);
            flags &= flags - 1;
        }
    }
    (head.len() + middle.len() * BYTES..bytes.len()).for_each(&mut one);
}

/// Gives every object, pinned ones too, the colour.
pub(crate) fn recolour(bytes: &[AtomicU8], colour: Colour) {
    for_each_object(bytes, |_, byte, state| {
        if !state.has_colour(colour) {
            // Release passes on what the mark's or publisher's Release published.
            byte.store(state.with_colour(colour).bits(), Ordering::Release);
        }
    });
}

/// Gives every pinned object the colour.
pub(crate) fn recolour_pinned(bytes: &[AtomicU8], colour: Colour) {
    for_each_object(bytes, |_, byte, state| {
        if state.is_quarantined() && !state.has_colour(colour) {
            byte.store(state.with_colour(colour).bits(), Ordering::Release);
        }
    });
}

/// Makes every byte free and never used. What is so already is not written, so that no memory is put behind parts of
/// the table that were never used.
pub(crate) fn clear(bytes: &[AtomicU8]) {
    let (head, middle, tail) = words(bytes);
    for byte in head.iter().chain(tail) {
        byte.store(StateByte::FREE_FRESH.bits(), Ordering::Release);
    }
    for word in middle {
        if word.load(Ordering::Acquire) != 0 {
            word.store(0, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size_class::GRANULE_BYTES;
    use crate::table::StateTable;
    use proptest::prelude::*;

    const BASE: usize = 1 << 40;

    fn table(bits: &[u8]) -> StateTable {
        let table = StateTable::new(BASE, bits.len() * GRANULE_BYTES).unwrap();
        for (byte, bits) in view(&table, 0..bits.len()).iter().zip(bits) {
            byte.store(*bits, Ordering::Relaxed);
        }
        table
    }

    fn view(table: &StateTable, range: std::ops::Range<usize>) -> &[AtomicU8] {
        let address = BASE + range.start * GRANULE_BYTES;
        table
            .bytes_of(address, range.len() * GRANULE_BYTES)
            .unwrap()
    }

    fn bits(bytes: &[AtomicU8]) -> Vec<u8> {
        bytes
            .iter()
            .map(|byte| byte.load(Ordering::Relaxed))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn words_say_what_bytes_say(
            content in prop::collection::vec(any::<u8>(), 1..600),
            start in 0..9_usize,
            colour in 1..=7_u8,
            cycle in any::<u32>(),
        ) {
            let colour = Colour::from_number(colour).unwrap();
            let start = start.min(content.len());
            let states: Vec<StateByte> = content[start..].iter().map(|bits| StateByte::from_bits(*bits)).collect();
            let memory = table(&content);
            let bytes = view(&memory, start..content.len());

            let mut expected = Tally::default();
            states.iter().for_each(|state| expected.add_byte(*state, colour));
            prop_assert_eq!(tally(bytes, colour), expected);
            for from in 0..=states.len() + 1 {
                let used = states.iter().skip(from).position(|state| !state.is_free());
                let used = used.map_or(states.len(), |index| from + index);
                prop_assert_eq!(next_used(bytes, from), used);
            }
            let mut objects = Vec::new();
            for_each_object(bytes, |index, _, state| objects.push((index, state)));
            let expected_objects: Vec<_> = states.iter().copied().enumerate().filter(|(_, state)| state.is_object()).collect();
            prop_assert_eq!(objects, expected_objects);

            let freed = StateByte::freed_at(cycle);
            let after: Vec<u8> = states.iter().map(|state| {
                let dies = state.is_object() && !state.is_quarantined() && !state.has_colour(colour);
                if dies { freed.bits() } else { state.bits() }
            }).collect();
            for writers in [Writers::None, Writers::Lessee] {
                let memory = table(&content);
                let bytes = view(&memory, start..content.len());
                prop_assert_eq!(free_whites(bytes, colour, freed, writers), expected.whites);
                prop_assert_eq!(bits(bytes), after.clone());
                prop_assert_eq!(bits(view(&memory, 0..start)), &content[..start]);
            }
            recolour_pinned(bytes, colour);
            let pinned: Vec<u8> = states.iter().map(|state| {
                let is_pinned = state.is_object() && state.is_quarantined() && !state.has_colour(colour);
                if is_pinned { state.with_colour(colour).bits() } else { state.bits() }
            }).collect();
            prop_assert_eq!(bits(bytes), pinned);
            recolour(bytes, colour);
            prop_assert_eq!(tally(bytes, colour), Tally { whites: 0, ..expected });
            clear(bytes);
            prop_assert!(bits(bytes).iter().all(|bits| *bits == 0));
            prop_assert_eq!(bits(view(&memory, 0..start)), &content[..start]);
        }
    }

    #[test]
    fn sums_do_not_overflow_in_long_spans() {
        let object = StateByte::object(Colour::FIRST).bits();
        let memory = table(&vec![object; 40_000]);
        let counted = tally(view(&memory, 0..40_000), Colour::FIRST.next());
        assert_eq!(
            counted,
            Tally {
                objects: 40_000,
                whites: 40_000,
                quarantined: 0
            }
        );
    }
}
