//! A grey object on its way to the marker: its address, and who asked for it.
//!
//! Barriers and roots make one where they shade; whoever pops it may find that no object starts there
//! any more, and then the report names the origin. Objects stand at multiples of a granule, so the low
//! bits of an address carry the origin for nothing. Invariant: it fits a word, since deques hold millions.
//! Deliberately absent: the place of the store, for which there is no room.

use gc_hooks::Origin;
use gc_sweep::GRANULE_BYTES;

/// The bits of a word that no address of an object has.
const ORIGIN_BITS: usize = GRANULE_BYTES - 1;
/// The origins of a shade.
const ORIGINS: [Origin; 6] = [
    Origin::Root,
    Origin::Stack,
    Origin::BarrierOld,
    Origin::BarrierNew,
    Origin::Resurrection,
    Origin::Remembered,
];

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Grey(usize);

impl Grey {
    /// The object at `address`, which is a multiple of a granule.
    #[inline]
    pub(crate) fn new(address: usize, origin: Origin) -> Grey {
        Grey(address | origin as usize & ORIGIN_BITS)
    }

    #[inline]
    pub(crate) fn address(self) -> usize {
        self.0 & !ORIGIN_BITS
    }

    /// Who shaded it.
    #[cold]
    pub(crate) fn origin(self) -> Origin {
        let mut origins = ORIGINS.into_iter();
        let is_its = |origin: &Origin| *origin as usize == self.0 & ORIGIN_BITS;
        origins.find(is_its).unwrap_or(Origin::Unknown)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn address_and_origin_come_out_as_they_went_in() {
        for origin in ORIGINS.into_iter().chain([Origin::Unknown]) {
            let grey = Grey::new(0x7f00_0000_1230, origin);
            assert_eq!((grey.address(), grey.origin()), (0x7f00_0000_1230, origin));
        }
        assert_eq!(
            Grey::new(GRANULE_BYTES, Origin::Root).address(),
            GRANULE_BYTES
        );
    }
}
