//! The state byte: what one byte says about one 16-byte granule of the heap.
//!
//! Owns the meaning of the byte and nothing else; the bytes live in [`crate::table::StateTable`]. Used by the
//! allocator, the marker, the write barrier and the sweep, from any thread and in any phase: all here is arithmetic on
//! values.
//!
//! ```text
//! bit    7   6   5   4     3             2   1   0
//!        death stamp       quarantined   colour
//! ```
//!
//! * colour 1 to 7: an object starts here, allocated or last marked in the collection of that colour. Colour 0: no
//!   object starts here.
//! * quarantined: the slot is withdrawn for good. With colour 0 it is neither free nor an object.
//! * death stamp, on a free byte only: 0 = never used, else 1 + cycle % 15 of the collection that freed the slot.
//!   Reports use it to say for how long a pointer has been stale. It is zero on objects.
//!
//! Invariant: exactly one of `is_object`, `is_free` and "quarantined with colour 0" holds for any of the 256 bytes.
//!
//! Deliberately absent: a mark bit that is cleared. Colours advance from one collection to the next, so a barrier that
//! runs late marks in a colour that no longer means anything, and a collection can be given up half way.

use std::num::NonZeroU8;

const COLOUR_MASK: u8 = 0b0000_0111;
const QUARANTINED_BIT: u8 = 0b0000_1000;
const STAMP_SHIFT: u32 = 4;
const FREE_MASK: u8 = COLOUR_MASK | QUARANTINED_BIT;

/// Death stamps count cycles modulo this number: four bits, with one value taken for "never used".
const STAMP_MODULUS: u32 = 15;

/// The mark of one collection, 1 to 7. Collections take the colours in turn.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Colour(NonZeroU8);

impl Colour {
    /// How many colours there are. With n colours, n - 2 collections in a row may be given up.
    pub const COUNT: usize = 7;

    /// The colour of the first collection.
    pub const FIRST: Colour = Colour(NonZeroU8::MIN);

    /// The colour of the next collection.
    #[must_use]
    pub const fn next(self) -> Colour {
        match NonZeroU8::new(self.0.get() % Colour::COUNT as u8 + 1) {
            Some(number) => Colour(number),
            None => Colour::FIRST,
        }
    }

    /// The number of this colour, 1 to 7.
    #[inline]
    pub const fn number(self) -> u8 {
        self.0.get()
    }

    /// The colour with this number.
    pub const fn from_number(number: u8) -> Option<Colour> {
        match NonZeroU8::new(number) {
            Some(number) if number.get() <= Colour::COUNT as u8 => Some(Colour(number)),
            _ => None,
        }
    }
}

const _: () = assert!(Colour::COUNT == COLOUR_MASK as usize);

/// What a cycle looks at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum CycleKind {
    /// Everything: what was marked before is of no account.
    #[default]
    Full,
    /// What was born since the last cycle. What that one marked is taken for alive and is not looked at.
    Young,
}

impl CycleKind {
    /// The name of the kind in reports.
    pub const fn id(self) -> &'static str {
        match self {
            CycleKind::Full => "full",
            CycleKind::Young => "young",
        }
    }
}

/// The colours of what a cycle keeps: what it has marked, and what was born while it was at it. They are one colour unless
/// the next cycle is to tell the two apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Kept {
    marked: Colour,
    born: Colour,
}

impl Kept {
    /// What is marked and what is born take these colours.
    #[inline]
    pub const fn new(marked: Colour, born: Colour) -> Kept {
        Kept { marked, born }
    }

    /// What is marked and what is born take the same colour.
    pub const fn alike(colour: Colour) -> Kept {
        Kept::new(colour, colour)
    }

    /// The colour of what is marked.
    #[inline]
    pub const fn marked(self) -> Colour {
        self.marked
    }

    /// The colour of what is born.
    #[inline]
    pub const fn born(self) -> Colour {
        self.born
    }

    /// What is born can be told from what is marked.
    #[inline]
    pub const fn tells_newborn(self) -> bool {
        self.marked.number() != self.born.number()
    }

    /// An object that is kept starts here.
    #[inline]
    pub const fn has(self, state: StateByte) -> bool {
        state.has_colour(self.marked) || state.has_colour(self.born)
    }

    /// Both colours in six bits.
    pub const fn bits(self) -> u8 {
        self.born.number() << 3 | self.marked.number()
    }

    /// The colours that these bits mean, if they are colours.
    pub const fn from_bits(bits: u8) -> Option<Kept> {
        match (
            Colour::from_number(bits & COLOUR_MASK),
            Colour::from_number(bits >> 3),
        ) {
            (Some(marked), Some(born)) => Some(Kept::new(marked, born)),
            _ => None,
        }
    }
}

/// The state of one granule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct StateByte(u8);

impl StateByte {
    /// Free and never used. All bits zero, so that a fresh side table says this of every granule.
    pub const FREE_FRESH: StateByte = StateByte(0);

    /// Withdrawn for good, and no object.
    pub const QUARANTINED: StateByte = StateByte(QUARANTINED_BIT);

    /// An object of this colour.
    #[inline]
    pub const fn object(colour: Colour) -> StateByte {
        StateByte(colour.number())
    }

    /// A free slot whose object died in this collection.
    #[inline]
    pub const fn freed_at(cycle: u32) -> StateByte {
        StateByte(((1 + cycle % STAMP_MODULUS) as u8) << STAMP_SHIFT)
    }

    /// The state that these bits mean. Every byte means something, also one that nobody has written.
    #[inline]
    pub const fn from_bits(bits: u8) -> StateByte {
        StateByte(bits)
    }

    /// The bits of this state.
    #[inline]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// An allocated object starts here.
    #[inline]
    pub const fn is_object(self) -> bool {
        self.0 & COLOUR_MASK != 0
    }

    /// No object starts here and the slot may be handed out.
    #[inline]
    pub const fn is_free(self) -> bool {
        self.0 & FREE_MASK == 0
    }

    /// The slot is withdrawn for good, whether or not an object stands in it.
    #[inline]
    pub const fn is_quarantined(self) -> bool {
        self.0 & QUARANTINED_BIT != 0
    }

    /// The colour of the object that starts here.
    #[inline]
    pub const fn colour(self) -> Option<Colour> {
        Colour::from_number(self.0 & COLOUR_MASK)
    }

    /// An object of this colour starts here.
    #[inline]
    pub const fn has_colour(self, colour: Colour) -> bool {
        self.0 & COLOUR_MASK == colour.number()
    }

    /// The same slot with an object of this colour in it. Quarantine stays, a death stamp goes.
    #[inline]
    #[must_use]
    pub const fn with_colour(self, colour: Colour) -> StateByte {
        StateByte((self.0 & QUARANTINED_BIT) | colour.number())
    }

    /// The same slot, withdrawn. A colour stays, a death stamp goes.
    #[inline]
    #[must_use]
    pub const fn with_quarantine(self) -> StateByte {
        StateByte((self.0 & COLOUR_MASK) | QUARANTINED_BIT)
    }

    /// The death stamp of a free slot: 0 when it was never used, and for whatever is not free.
    pub(crate) const fn death_stamp(self) -> u8 {
        if self.is_free() {
            self.0 >> STAMP_SHIFT
        } else {
            0
        }
    }

    /// For how many collections the slot has been free, modulo 15; `None` if it is not a free slot or was never used.
    pub const fn stale_cycles(self, now: u32) -> Option<u32> {
        let stamp = self.death_stamp() as u32;
        if stamp == 0 {
            return None;
        }
        Some((now % STAMP_MODULUS + STAMP_MODULUS - (stamp - 1)) % STAMP_MODULUS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_round_trips_and_is_exactly_one_thing() {
        for bits in 0..=u8::MAX {
            let state = StateByte::from_bits(bits);
            assert_eq!(state.bits(), bits);
            let withdrawn = state.is_quarantined() && !state.is_object();
            let kinds = [state.is_object(), state.is_free(), withdrawn];
            assert_eq!(
                kinds.iter().filter(|holds| **holds).count(),
                1,
                "{bits:#010b}"
            );
            assert_eq!(state.is_object(), state.colour().is_some());
            assert_eq!(state.is_quarantined(), bits & 8 != 0);
            assert!(state.is_free() || state.stale_cycles(0).is_none());
        }
    }

    #[test]
    fn colours_come_in_turn_and_return_after_seven() {
        let mut colour = Colour::FIRST;
        for number in 1..=7 {
            assert_eq!(colour.number(), number);
            assert_eq!(Colour::from_number(number), Some(colour));
            let state = StateByte::object(colour);
            assert_eq!(state.colour(), Some(colour));
            assert!(state.has_colour(colour) && !state.has_colour(colour.next()));
            assert_eq!(
                state.bits() >> 3,
                0,
                "an object carries neither stamp nor quarantine"
            );
            colour = colour.next();
        }
        assert_eq!(colour, Colour::FIRST);
        assert_eq!(Colour::from_number(0), None);
        assert_eq!(Colour::from_number(8), None);
    }

    #[test]
    fn a_death_stamp_tells_the_cycles_since_modulo_fifteen() {
        for freed in 0..64 {
            let state = StateByte::freed_at(freed);
            assert!(state.is_free() && state != StateByte::FREE_FRESH);
            for later in 0..64 {
                assert_eq!(state.stale_cycles(freed + later), Some(later % 15));
            }
        }
        assert_eq!(StateByte::FREE_FRESH.stale_cycles(7), None);
        assert_eq!(
            StateByte::freed_at(u32::MAX).stale_cycles(u32::MAX),
            Some(0)
        );
    }

    #[test]
    fn marking_keeps_quarantine_and_drops_the_stamp() {
        let blue = Colour::FIRST.next();
        for bits in 0..=u8::MAX {
            let state = StateByte::from_bits(bits);
            let marked = state.with_colour(blue);
            assert_eq!(marked.colour(), Some(blue));
            assert_eq!(marked.is_quarantined(), state.is_quarantined());
            assert_eq!(marked.bits() >> 4, 0);
            let withdrawn = state.with_quarantine();
            assert!(withdrawn.is_quarantined());
            assert_eq!(withdrawn.colour(), state.colour());
            assert_eq!(withdrawn.bits() >> 4, 0);
        }
        assert!(!StateByte::QUARANTINED.is_object() && !StateByte::QUARANTINED.is_free());
    }

    #[test]
    fn kept_colours_round_trip_and_keep_two_of_seven() {
        for bits in 0..=u8::MAX {
            let Some(kept) = Kept::from_bits(bits) else {
                assert!(bits & COLOUR_MASK == 0 || !(1..=7).contains(&(bits >> 3)));
                continue;
            };
            assert_eq!(kept.bits(), bits);
            let keeps = (1..=7).filter_map(Colour::from_number);
            let keeps = keeps.filter(|colour| kept.has(StateByte::object(*colour)));
            assert_eq!(keeps.count(), 1 + usize::from(kept.tells_newborn()));
            assert!(!kept.has(StateByte::FREE_FRESH) && !kept.has(StateByte::QUARANTINED));
        }
        assert!(!Kept::alike(Colour::FIRST).tells_newborn());
    }
}
