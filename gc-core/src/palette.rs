//! Which colours a cycle takes, and whether it may be young.
//!
//! The coordinator asks under the cycle's lock: as a cycle opens, is voided, and has been swept. A heap with generations
//! gives each full cycle two colours that no byte holds, one for what it marks and one for what is born meanwhile; a young
//! cycle goes on marking in the colour of the one before and takes a colour for births alone. What has that one's birth
//! colour is then white.
//!
//! Invariants. A colour that is taken is held by no byte of the heap. A young cycle follows a swept one that could tell
//! newborn from marked: never a voided one, after which bytes of up to four colours are alive, nor one that had to do with
//! one colour. After a void one colour is taken, so that seven last for three cycles: two in use, two taken by the cycle
//! that was voided, one more by each that follows. Values only.

use gc_sweep::{Colour, CycleKind, Kept, StateByte};

/// See the module.
pub(crate) struct Palette {
    has_generations: bool,
    /// The colours of the cycle in progress, or of the last one.
    kept: Kept,
    /// By number: bytes may hold the colour.
    are_held: [bool; Colour::COUNT],
    /// Colours are taken in turn, from the one after this.
    latest: Colour,
    /// The cycle before was voided.
    is_void: bool,
}

impl Palette {
    pub(crate) fn new(has_generations: bool) -> Self {
        let mut palette = Palette {
            has_generations,
            kept: Kept::alike(Colour::FIRST),
            are_held: [false; Colour::COUNT],
            latest: Colour::FIRST,
            is_void: false,
        };
        palette.hold(Colour::FIRST);
        palette
    }

    #[cfg(test)]
    fn kept(&self) -> Kept {
        self.kept
    }

    /// Whether the next cycle may be young.
    pub(crate) fn may_be_young(&self) -> bool {
        self.has_generations && !self.is_void && self.kept.tells_newborn()
    }

    /// A cycle opens, a young one only where it may.
    pub(crate) fn open(&mut self, kind: CycleKind) -> Kept {
        let first = self.take();
        self.kept = match kind {
            CycleKind::Young => Kept::new(self.kept.marked(), first),
            CycleKind::Full if self.has_generations && !self.is_void => {
                Kept::new(first, self.take())
            }
            CycleKind::Full => Kept::alike(first),
        };
        self.kept
    }

    /// The cycle in progress frees nothing: bytes keep the colours they had, and its own.
    pub(crate) fn void(&mut self) {
        self.is_void = true;
    }

    /// The cycle has been swept: bytes hold what it keeps.
    pub(crate) fn finish(&mut self) {
        self.are_held = [false; Colour::COUNT];
        self.hold(self.kept.marked());
        self.hold(self.kept.born());
        self.is_void = false;
    }

    fn hold(&mut self, colour: Colour) {
        if let Some(is_held) = self.are_held.get_mut(usize::from(colour.number()) - 1) {
            *is_held = true;
        }
    }

    fn is_held(&self, colour: Colour) -> bool {
        let index = usize::from(colour.number()) - 1;
        self.are_held.get(index).copied().unwrap_or(true)
    }

    /// The next colour in turn that no byte holds.
    fn take(&mut self) -> Colour {
        let mut colour = self.latest.next();
        for _ in 0..Colour::COUNT {
            if !self.is_held(colour) {
                break;
            }
            colour = colour.next();
        }
        debug_assert!(!self.is_held(colour), "every colour is held");
        self.hold(colour);
        self.latest = colour;
        colour
    }
}

/// Whether an object of this state is newborn to a mutator that allocates and marks in these colours.
#[inline]
pub(crate) fn is_newborn(kept: Kept, state: StateByte) -> bool {
    state.has_colour(kept.born()) && kept.tells_newborn()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(palette: &mut Palette, wants_young: bool) -> CycleKind {
        let kind = if wants_young && palette.may_be_young() {
            CycleKind::Young
        } else {
            CycleKind::Full
        };
        palette.open(kind);
        kind
    }

    #[test]
    fn without_generations_cycles_take_the_colours_in_turn() {
        let mut palette = Palette::new(false);
        let mut colour = Colour::FIRST;
        for cycle in 0..100 {
            assert_eq!(open(&mut palette, true), CycleKind::Full);
            colour = colour.next();
            assert_eq!(palette.kept(), Kept::alike(colour));
            if cycle % 3 == 0 {
                palette.finish();
            } else {
                palette.void();
            }
        }
    }

    #[test]
    fn a_young_cycle_marks_on_in_the_colour_of_the_one_before() {
        let mut palette = Palette::new(true);
        assert!(!palette.may_be_young(), "nothing is old yet");
        assert_eq!(open(&mut palette, true), CycleKind::Full);
        palette.finish();
        let old = palette.kept();
        assert!(old.tells_newborn());
        for _ in 0..20 {
            let before = palette.kept();
            assert_eq!(open(&mut palette, true), CycleKind::Young);
            let kept = palette.kept();
            assert_eq!(kept.marked(), old.marked());
            assert!(kept.tells_newborn() && kept.born() != before.born());
            palette.finish();
        }
        let before = palette.kept();
        assert_eq!(open(&mut palette, false), CycleKind::Full);
        let kept = palette.kept();
        assert!(![before.marked(), before.born()].contains(&kept.marked()));
        assert!(![before.marked(), before.born()].contains(&kept.born()));
    }

    /// Cycles of any kind that end in any way, three voids in a row at most.
    #[test]
    fn a_colour_that_is_taken_is_held_by_no_byte() {
        fn walk(palette: &Palette, alive: &[Colour], voids: u32, depth: u32) {
            if depth == 0 {
                return;
            }
            for wants_young in [false, true] {
                for ends_well in [false, true] {
                    let mut next = Palette {
                        are_held: palette.are_held,
                        ..*palette
                    };
                    let kind = open(&mut next, wants_young);
                    let kept = next.kept();
                    assert!(!alive.contains(&kept.born()));
                    assert_eq!(alive.contains(&kept.marked()), kind == CycleKind::Young);
                    assert!(voids == 0 || kept == Kept::alike(kept.born()));
                    if ends_well {
                        next.finish();
                        walk(&next, &[kept.marked(), kept.born()], 0, depth - 1);
                    } else if voids < 2 {
                        next.void();
                        let alive = [alive, &[kept.marked(), kept.born()]].concat();
                        walk(&next, &alive, voids + 1, depth - 1);
                    }
                }
            }
        }
        walk(&Palette::new(true), &[Colour::FIRST], 0, 7);
    }
}
