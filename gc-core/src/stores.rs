//! The last store of each pointer word, for stores that are sampled: who put a bad pointer there.
//!
//! Mutators note stores here when the heap samples them, and reports look a pointer up that a scan
//! found long after its store. A note stands at a place that follows from the address of the word,
//! so that a busy word does not push the notes of others out; of two words of one place the later
//! store stays. Any thread may note and look up at any time. Neither waits: a place that another
//! thread is at is passed over.
//!
//! Invariants: a heap that samples nothing has no places. A note is a hint, since the word may have
//! died meanwhile, so nothing but a report follows from it. Deliberately absent: which stores
//! are sampled, which a mutator counts by itself (barrier.rs).

use core::ops::Range;
use core::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

/// Words remembered: 192 KiB. A power of two.
const PLACES: usize = 4096;

/// One sampled store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StoreNote {
    /// Address of the word that was stored into.
    pub(crate) word: usize,
    /// What was stored.
    pub(crate) value: usize,
    pub(crate) call_site: &'static Location<'static>,
    /// The cycle in progress, or the last one, at the store.
    pub(crate) cycle: u32,
}

/// A note with its place in the order of all notes.
type Place = Mutex<Option<(u64, StoreNote)>>;

/// See the module.
pub(crate) struct Stores {
    /// One store in so many is sampled; zero for none.
    one_in: u32,
    places: Box<[Place]>,
    noted: AtomicU64,
}

impl Stores {
    pub(crate) fn sampled(one_in: u32) -> Self {
        let places = if one_in == 0 { 0 } else { PLACES };
        Stores {
            one_in,
            places: (0..places).map(|_| Mutex::new(None)).collect(),
            noted: AtomicU64::new(0),
        }
    }

    /// One store in so many is sampled; zero for none.
    #[inline]
    pub(crate) fn one_in(&self) -> u32 {
        self.one_in
    }

    /// Remembers a store.
    pub(crate) fn note(&self, note: StoreNote) {
        let order = self.noted.fetch_add(1, Ordering::Relaxed);
        if let Some(mut place) = self.places.get(place_of(note.word)).and_then(enter) {
            *place = Some((order, note));
        }
    }

    /// The last store of `value` into a word of `holder`; if there is none, the last one anywhere:
    /// words of boxes and vectors lie outside the object that owns them.
    pub(crate) fn last_of(&self, value: usize, holder: Option<Range<usize>>) -> Option<StoreNote> {
        let notes = self.places.iter().filter_map(|place| *enter(place)?);
        let of_value = notes.filter(|(_, note)| note.value == value);
        let is_inside = |note: &StoreNote| {
            let holder = holder.as_ref();
            holder.is_some_and(|holder| holder.contains(&note.word))
        };
        of_value
            .max_by_key(|(order, note)| (is_inside(note), *order))
            .map(|(_, note)| note)
    }
}

/// A place, unless another thread is at it. What stands there is whole whatever became of that thread.
fn enter(place: &Place) -> Option<MutexGuard<'_, Option<(u64, StoreNote)>>> {
    match place.try_lock() {
        Ok(place) => Some(place),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Words lie eight bytes apart, objects often a power of two: the multiplication spreads them
/// (Fibonacci hashing).
fn place_of(word: usize) -> usize {
    let spread = (word as u64 >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (spread >> (u64::BITS - PLACES.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(word: usize, value: usize) -> StoreNote {
        StoreNote {
            word,
            value,
            call_site: Location::caller(),
            cycle: 1,
        }
    }

    #[test]
    fn a_store_into_the_holder_comes_before_a_later_one_elsewhere() {
        let stores = Stores::sampled(1);
        stores.note(note(0x1008, 0x70));
        stores.note(note(0x2008, 0x70));
        let last = |holder| stores.last_of(0x70, holder).map(|note| note.word);
        assert_eq!(last(Some(0x1000..0x1010)), Some(0x1008));
        assert_eq!(last(Some(0x3000..0x3010)), Some(0x2008));
        assert_eq!(last(None), Some(0x2008));
        assert_eq!(stores.last_of(0x80, None), None);
    }

    #[test]
    fn the_last_store_into_a_word_is_what_stays() {
        let stores = Stores::sampled(1);
        stores.note(note(0x1008, 0x70));
        for times in 0..PLACES {
            stores.note(note(0x2008, 0x70 + times * 16));
        }
        stores.note(note(0x2008, 0));
        assert_eq!(
            stores.last_of(0x70, None).map(|note| note.word),
            Some(0x1008)
        );
        assert_eq!(stores.last_of(0x80, None), None, "overwritten");
    }

    #[test]
    fn words_at_any_power_of_two_apart_are_spread() {
        for shift in 3..16 {
            let places: std::collections::BTreeSet<usize> = (0..256)
                .map(|at| place_of(0x7000_0000 + (at << shift)))
                .collect();
            assert!(
                places.len() > 200,
                "{} places at {shift} bits",
                places.len()
            );
        }
    }

    #[test]
    fn a_heap_that_samples_nothing_has_no_places() {
        let stores = Stores::sampled(0);
        stores.note(note(0x1008, 0x70));
        assert_eq!(stores.last_of(0x70, None), None);
    }
}
