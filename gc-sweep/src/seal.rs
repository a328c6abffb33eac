//! The seal of a span: a checksum over what never changes in its record between its cut and its end.
//!
//! Computed when a span is cut, and again by whoever is about to trust its record. The number of its first page is mixed
//! in by the place of the record and not by what the record says, so that a whole record in the wrong place does not pass.
//!
//! Invariant: two shapes that differ in one word have different sums before the last step, which keeps 32 of 64 bits.
//!
//! Deliberately absent: where shapes come from, and what follows when one does not match.

/// What a seal is computed from: the words of a record that a cut fixes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sealed {
    pub(crate) first_page: u32,
    pub(crate) pages: u32,
    pub(crate) slot_granules: u32,
    pub(crate) slots: u32,
    pub(crate) type_index: u32,
    pub(crate) class: u32,
    /// The flags that a cut fixes.
    pub(crate) flags: u8,
}

impl Sealed {
    /// The seal of a record that stands at this page.
    #[inline]
    pub(crate) fn seal(&self, page: u32) -> u32 {
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        // Each step is a bijection of the sum so far, and of the word for a given sum.
        let mix = |sum: u64, word: u64| {
            let product = (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            product ^ product >> 32
        };
        // The start is not 0, so that zeros have a seal like anything else.
        let start = 0x5ea1_ed00_0000_0000 ^ pair(page, self.flags.into());
        let sum = mix(start, pair(self.first_page, self.pages));
        let sum = mix(sum, pair(self.slot_granules, self.slots));
        let sum = mix(sum, pair(self.type_index, self.class));
        mix(sum, 0) as u32
    }

    /// The first field in which a record differs from this shape: its name, what the record says, what is right.
    pub(crate) fn difference(&self, record: &Sealed) -> Option<(&'static str, u32, u32)> {
        let fields = [
            ("first page", record.first_page, self.first_page),
            ("pages", record.pages, self.pages),
            ("slot granules", record.slot_granules, self.slot_granules),
            ("slots", record.slots, self.slots),
            ("type index", record.type_index, self.type_index),
            ("class", record.class, self.class),
            ("flags", record.flags.into(), self.flags.into()),
        ];
        fields.into_iter().find(|(_, found, right)| found != right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flipped(shape: Sealed, bit: usize) -> Sealed {
        let mut shape = shape;
        let words = [
            &mut shape.first_page,
            &mut shape.pages,
            &mut shape.slot_granules,
            &mut shape.slots,
            &mut shape.type_index,
            &mut shape.class,
        ];
        match words.into_iter().nth(bit / 32) {
            Some(word) => *word ^= 1 << (bit % 32),
            None => shape.flags ^= 1 << (bit % 32),
        }
        shape
    }

    const BITS: usize = 6 * 32 + 8;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_bit_of_every_field_and_of_the_place_changes_the_seal(
            page in 0..1_u32 << 20,
            pages in 1..64_u32,
            slot_granules in 1..4096_u32,
            slots in 1..512_u32,
            type_index in 0..1000_u32,
            class in 0..1000_u32,
            flags in 0..8_u8,
        ) {
            let shape = Sealed { first_page: page, pages, slot_granules, slots, type_index, class, flags };
            let seal = shape.seal(page);
            for bit in 0..BITS {
                let broken = flipped(shape, bit);
                prop_assert_ne!(broken.seal(page), seal, "bit {}", bit);
                let (_, found, right) = shape.difference(&broken).unwrap();
                prop_assert_eq!((found ^ right).count_ones(), 1);
            }
            for bit in 0..32 {
                prop_assert_ne!(shape.seal(page ^ 1 << bit), seal);
            }
            prop_assert_eq!(shape.difference(&shape), None);
        }
    }

    #[test]
    fn a_record_of_zeros_is_not_sealed() {
        let zero = Sealed {
            first_page: 0,
            pages: 0,
            slot_granules: 0,
            slots: 0,
            type_index: 0,
            class: 0,
            flags: 0,
        };
        assert!((0..1000).all(|page| zero.seal(page) != 0));
    }
}
