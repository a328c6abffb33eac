//! Walks over the state bytes of a span: count, free, recolour, clear.
//!
//! The inner loops of the sweep, called by the holder of a claim or of a lease on the bytes of its span. They read several
//! bytes at a time. They write several at a time only where the caller alone writes the span ([`Writers`]): beside a lease
//! the lessee may publish objects in the free bytes of a word.
//!
//! Deliberately absent: slots. A granule inside an object has no colour, so that counting granules counts objects.

use std::sync::atomic::AtomicU8;

use crate::colour::{Kept, StateByte};
use crate::state_cell;
use crate::words::{
    self, BYTES, Word, coloured_in, count, for_each_white, free_before, load, load_word, words,
};

/// Words counted together: the state bytes of four pages.
const WORDS_COUNTED_MAX: usize = 256;

/// What stands in some state bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    /// Objects that are not pinned.
    pub(crate) objects: u32,
    /// Of these, objects of other colours than those asked for.
    pub(crate) whites: u32,
    /// Withdrawn slots, with an object pinned in them or not.
    pub(crate) quarantined: u32,
}

impl Tally {
    fn add_byte(&mut self, state: StateByte, kept: Kept) {
        if state.is_quarantined() {
            self.quarantined += 1;
        } else if state.is_object() {
            self.objects += 1;
            self.whites += u32::from(!kept.has(state));
        }
    }

    /// Pinned objects are rare: where a slot is withdrawn, the words near it are counted again, byte for byte.
    fn add_words(&mut self, words: &[Word], kept: Kept) {
        for part in words.chunks(WORDS_COUNTED_MAX) {
            let counts = count(part, kept);
            if counts.has_withdrawn {
                self.add_words_exactly(part, kept);
            } else {
                self.objects += counts.coloured;
                self.whites += counts.coloured - counts.same;
            }
        }
    }

    #[cold]
    fn add_words_exactly(&mut self, words: &[Word], kept: Kept) {
        for word in words {
            for byte in word {
                self.add_byte(load(byte), kept);
            }
        }
    }
}

/// Counts what stands in the bytes.
pub(crate) fn tally(bytes: &[AtomicU8], kept: Kept) -> Tally {
    let (words, rest) = words(bytes);
    let mut tally = Tally::default();
    tally.add_words(words, kept);
    for byte in rest {
        tally.add_byte(load(byte), kept);
    }
    tally
}

/// The index of the first byte, from `from` on, that is not free; the number of bytes when there is none.
pub(crate) fn next_used(bytes: &[AtomicU8], from: usize) -> usize {
    let Some(rest) = bytes.get(from..) else {
        return bytes.len();
    };
    let (words, _) = words(rest);
    let start = free_before(words) * BYTES;
    let last = rest.get(start..).unwrap_or_default();
    let used = last.iter().position(|byte| !load(byte).is_free());
    from + start + used.unwrap_or(last.len())
}

/// Who may write the state bytes of a span besides the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Writers {
    /// Nobody whose write matters: the span is claimed whole.
    CallerAlone,
    /// A lessee, who publishes.
    Lessee,
}

/// Frees every object that is not pinned and whose colour is not `kept`: its byte becomes `freed`. Returns how many.
pub(crate) fn free_whites(
    bytes: &[AtomicU8],
    kept: Kept,
    freed: StateByte,
    writers: Writers,
) -> u32 {
    let (words, rest) = words(bytes);
    let mut count = 0;
    match writers {
        Writers::CallerAlone => count = words::free_whites(words, kept, freed),
        Writers::Lessee => for_each_white(words, kept, |byte| {
            state_cell::free(byte, freed);
            count += 1;
        }),
    }
    for byte in rest {
        let state = load(byte);
        if state.is_object() && !state.is_quarantined() && !kept.has(state) {
            state_cell::free(byte, freed);
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
    let mut one = |index: usize| {
        let byte = bytes.get(index);
        if let Some((byte, state)) = byte.map(|byte| (byte, load(byte)))
            && state.is_object()
        {
            visit(index, byte, state);
        }
    };
    let (words, rest) = words(bytes);
    for (index, word) in words.iter().enumerate() {
        let mut flags = coloured_in(load_word(word));
        while flags != 0 {
            one(index * BYTES + flags.trailing_zeros() as usize / 8);
            flags &= flags - 1;
        }
    }
    (bytes.len() - rest.len()..bytes.len()).for_each(&mut one);
}

/// Gives every object that is not kept, pinned ones too, the colour of what is marked. A newborn keeps its own: nobody has
/// looked at what it leads to.
pub(crate) fn recolour(bytes: &[AtomicU8], kept: Kept) {
    for_each_object(bytes, |_, byte, state| {
        if !kept.has(state) {
            state_cell::set(byte, state.with_colour(kept.marked()));
        }
    });
}

/// As [`recolour`], pinned objects only.
pub(crate) fn recolour_pinned(bytes: &[AtomicU8], kept: Kept) {
    for_each_object(bytes, |_, byte, state| {
        if state.is_quarantined() && !kept.has(state) {
            state_cell::set(byte, state.with_colour(kept.marked()));
        }
    });
}

/// Makes every byte free and never used, in a span that the caller alone writes. Where everything is so already nothing
/// is written, so that no memory is put behind parts of the table that were never used.
pub(crate) fn clear(bytes: &[AtomicU8]) {
    let (words, rest) = words(bytes);
    words::clear(words);
    for byte in rest {
        if load(byte) != StateByte::FREE_FRESH {
            state_cell::set(byte, StateByte::FREE_FRESH);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::Colour;
    use crate::size_class::GRANULE_BYTES;
    use crate::table::StateTable;
    use proptest::prelude::*;
    use std::sync::atomic::Ordering;

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
            marked in 1..=7_u8,
            born in 1..=7_u8,
            cycle in any::<u32>(),
        ) {
            let [marked, born] = [marked, born].map(|number| Colour::from_number(number).unwrap());
            let kept = Kept::new(marked, born);
            let start = start.min(content.len());
            let states: Vec<StateByte> = content[start..].iter().map(|bits| StateByte::from_bits(*bits)).collect();
            let memory = table(&content);
            let bytes = view(&memory, start..content.len());

            let mut expected = Tally::default();
            states.iter().for_each(|state| expected.add_byte(*state, kept));
            prop_assert_eq!(tally(bytes, kept), expected);
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
                let dies = state.is_object() && !state.is_quarantined() && !kept.has(*state);
                if dies { freed.bits() } else { state.bits() }
            }).collect();
            for writers in [Writers::CallerAlone, Writers::Lessee] {
                let memory = table(&content);
                let bytes = view(&memory, start..content.len());
                prop_assert_eq!(free_whites(bytes, kept, freed, writers), expected.whites);
                prop_assert_eq!(&bits(bytes), &after);
                prop_assert_eq!(bits(view(&memory, 0..start)), &content[..start]);
            }
            recolour_pinned(bytes, kept);
            let pinned: Vec<u8> = states.iter().map(|state| {
                let is_pinned = state.is_object() && state.is_quarantined() && !kept.has(*state);
                if is_pinned { state.with_colour(marked).bits() } else { state.bits() }
            }).collect();
            prop_assert_eq!(bits(bytes), pinned);
            recolour(bytes, kept);
            prop_assert_eq!(tally(bytes, kept), Tally { whites: 0, ..expected });
            clear(bytes);
            prop_assert!(bits(bytes).iter().all(|bits| *bits == 0));
            prop_assert_eq!(bits(view(&memory, 0..start)), &content[..start]);
        }
    }

    #[test]
    fn sums_do_not_overflow_in_long_spans() {
        let object = StateByte::object(Colour::FIRST).bits();
        let memory = table(&vec![object; 40_000]);
        let counted = tally(view(&memory, 0..40_000), Kept::alike(Colour::FIRST.next()));
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
