//! The write barrier: what a pointer store does while a cycle marks.
//!
//! Mutator threads run it inside `enter`, and handles run its root half. Order inside one store:
//! poll if asked, load the old value, shade it, shade the new value while grey, store. No poll
//! stands between the load and the store: `Settle` promises that such a store has ended.
//!
//! A heap that samples stores never turns the barrier off: between cycles it is `Noting`, so a plain
//! store still tests for one value of one byte. One store in so many is then noted (stores.rs), and
//! while a cycle marks its two words are looked at whatever the level and whatever is shaded.
//!
//! In a heap with generations it never turns off either: between cycles it is `Remembering`, and a newborn object that is
//! stored is made old and noted (remembered.rs).
//!
//! A shade pushes, then marks: marking first would hide the object from the termination test. Before
//! it reads the phase it says that it is at it, so no termination is decided between the two; what
//! comes later is either sent on to marking or left to the sweep, never marked and not scanned.
//! The store of a virgin slot must not come here at all; see [`crate::raw`].

use core::panic::Location;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gc_hooks::sync::point;
use gc_hooks::{Check, Origin, Phase};
use gc_sweep::StateByte;

#[cfg(feature = "fault-inject")]
use crate::fault::Site;
use crate::grey::Grey;
use crate::handshake;
use crate::late::Admission;
#[cfg(feature = "fault-inject")]
use crate::local::Unbarriered;
use crate::local::{Barrier, Local};
use crate::palette::is_newborn;
use crate::progress::Reclaiming;
use crate::record::Record;
use crate::shared::{Shared, Source};
use crate::stores::StoreNote;

/// Who stores, and where.
#[derive(Clone, Copy)]
pub(crate) struct Store<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) record: &'a Record,
    pub(crate) local: &'a Local,
    pub(crate) call_site: &'static Location<'static>,
}

/// Stores `new` into a pointer word that is initialised: one test and a plain store, unless the barrier of `local` is on.
/// Then `watched` does it.
#[inline]
pub(crate) fn set(local: &Local, word: &AtomicUsize, new: usize, watched: impl FnOnce() -> usize) {
    if local.barrier.get() == Barrier::Off {
        // Release pairs with the Acquire loads of edges and of the marker: whoever finds the new
        // object finds it constructed.
        word.store(new, Ordering::Release);
    } else {
        watched();
    }
}

/// As [`set`]. Answers the old word.
#[inline]
pub(crate) fn replace(
    local: &Local,
    word: &AtomicUsize,
    new: usize,
    watched: impl FnOnce() -> usize,
) -> usize {
    if local.barrier.get() != Barrier::Off {
        return watched();
    }
    replace_plainly(word, new)
}

/// Stores without a barrier. Answers the old word.
#[inline]
pub(crate) fn replace_plainly(word: &AtomicUsize, new: usize) -> usize {
    // Acquire pairs with the Release of the store that put the value there.
    let old = word.load(Ordering::Acquire);
    // Release as in `set`.
    word.store(new, Ordering::Release);
    old
}

/// What became of a shade.
enum Shaded {
    /// It was made in time, or there was nothing to do.
    InTime,
    /// No object starts there.
    Refused,
    /// It came after marking had ended.
    Late,
}

impl Store<'_> {
    /// A store with the barrier on. Answers the old word.
    #[cold]
    #[inline(never)]
    pub(crate) fn replace_shaded(self, word: &AtomicUsize, new: usize) -> usize {
        if self.local.barrier.get() == Barrier::Remembering {
            self.remember(new);
            return replace_plainly(word, new);
        }
        handshake::poll(self.shared, self.record, self.local);
        let is_sampled = self.is_sampled();
        if is_sampled {
            self.note(word, new);
        }
        #[cfg(feature = "fault-inject")]
        if self.local.barrier.get().shades() && self.skips(word) {
            return word.swap(new, Ordering::AcqRel);
        }
        point();
        // Acquire pairs with the Release of the store that put the value there.
        let old = word.load(Ordering::Acquire);
        if !is_sampled || self.is_sound(old, Origin::BarrierOld) {
            self.shade(old, Origin::BarrierOld);
        }
        let new_is_sound = !is_sampled || self.is_sound(new, Origin::BarrierNew);
        if new_is_sound {
            self.shade_new(new);
        }
        #[cfg(feature = "fault-inject")]
        if self.local.barrier.get().shades() && self.shared.hooks.strikes(Site::BarrierPanics) {
            crate::fault::die();
        }
        point();
        // Release pairs with the Acquire loads of edges and of the marker.
        word.store(new, Ordering::Release);
        old
    }

    /// What is done about a value before it is stored: a grey mutator shades it, another one remembers it if it
    /// is newborn.
    pub(crate) fn shade_new(self, new: usize) {
        if self.local.barrier.get() == Barrier::Grey {
            self.shade(new, Origin::BarrierNew);
        } else if self.shared.progress.has_generations() {
            self.remember(new);
        }
    }

    /// Makes a newborn object old and keeps a note of it, so that the next young cycle looks into it. For a
    /// mutator that has taken its snapshot; the object is not scanned before the next cycle, which is why no
    /// termination waits for it.
    #[inline]
    fn remember(self, address: usize) {
        let kept = self.local.kept();
        let byte = self.shared.state(address);
        if !is_newborn(kept, byte) {
            return;
        }
        #[cfg(feature = "fault-inject")]
        if self.shared.hooks.strikes(Site::StoreUnremembered) {
            return;
        }
        self.note_newborn(address);
        // Noted first: who finds the object marked relies on the note.
        self.shared
            .space
            .states()
            .mark(address, byte, kept.marked());
    }

    fn note_newborn(self, address: usize) {
        let notes = &self.local.notes;
        if !notes.are_full() {
            return notes.add(address);
        }
        let begun = Instant::now();
        if self.shared.progress.reclaiming() == Reclaiming::Stopped {
            // No cycle will ask for them.
            notes.clear();
        }
        notes.add(address);
        self.record.paused_since(begun);
    }

    /// Whether a state says that an object was born in the cycle that this mutator has taken its snapshot of:
    /// such a one is black, whatever leads to it.
    #[inline]
    fn is_born_black(self, byte: StateByte) -> bool {
        self.local.barrier.get() == Barrier::Black && is_newborn(self.local.kept(), byte)
    }

    /// Counts a store; `true` for one in so many.
    fn is_sampled(&self) -> bool {
        let (one_in, left) = (self.shared.stores.one_in(), &self.local.stores_to_sample);
        let is_due = one_in > 0 && left.get() == 0;
        left.set(if is_due {
            one_in - 1
        } else {
            left.get().saturating_sub(1)
        });
        is_due
    }

    /// Looks at a word of a sampled store while a cycle marks, and reports one that leads to no
    /// object. It is then not shaded, at level `lax` either.
    fn is_sound(&self, address: usize, origin: Origin) -> bool {
        let is_sound = address == 0
            || !self.local.barrier.get().shades()
            || self.shared.state(address).is_object();
        #[cfg(feature = "fault-inject")]
        let is_sound = is_sound || self.shared.hooks.is_blind(Check::FreePointer);
        if !is_sound {
            self.shared.report_bad(address, self.source(origin));
        }
        is_sound
    }

    fn note(&self, word: &AtomicUsize, value: usize) {
        self.shared.stores.note(StoreNote {
            word: core::ptr::from_ref(word).addr(),
            value,
            call_site: self.call_site,
            cycle: self.shared.world.cycle(),
        });
    }

    fn source(&self, origin: Origin) -> Source {
        Source {
            origin,
            holder: None,
            call_site: Some(self.call_site),
        }
    }

    /// Makes an object grey on behalf of the mutator. Zero is the null edge.
    pub(crate) fn shade(self, address: usize, origin: Origin) {
        if address == 0 || !self.local.barrier.get().shades() {
            return;
        }
        let (byte, colour) = (self.shared.state(address), self.local.barrier_colour.get());
        if byte.has_colour(colour) || self.is_born_black(byte) {
            return;
        }
        #[cfg(feature = "fault-inject")]
        if self.misses(origin) {
            return;
        }
        let source = self.source(origin);
        if !byte.is_object() {
            return self.shared.refuse(address, source);
        }
        let is_outermost = !self.record.is_shading_here();
        if is_outermost {
            self.record.set_shading(true);
        }
        let shaded = self.shade_announced(address, origin);
        if is_outermost {
            self.record.set_shading(false);
        }
        match shaded {
            Shaded::InTime => {}
            Shaded::Refused => self.shared.refuse(address, source),
            Shaded::Late => {
                self.shared
                    .hooks
                    .report(self.shared.violation_at(Check::LateGrey, address, source))
            }
        }
    }

    /// Makes an object grey, unless the flip is decided. The collector knows that somebody is at it,
    /// so a termination that begins now waits.
    fn shade_announced(self, address: usize, origin: Origin) -> Shaded {
        let phase = self.shared.world.phase();
        // The slot may have been swept, or the object marked, since it was looked at first.
        let (byte, colour) = (self.shared.state(address), self.local.barrier_colour.get());
        let is_kept = byte.has_colour(colour) || self.is_born_black(byte);
        if is_kept || matches!(phase, Phase::Idle | Phase::Sweep) {
            return Shaded::InTime;
        }
        if !byte.is_object() {
            return Shaded::Refused;
        }
        let admission = match phase {
            Phase::Terminate | Phase::Clear => {
                let is_marked = || self.shared.state(address).has_colour(colour);
                self.shared.late_greys.admit(is_marked)
            }
            _ => Admission::InTime,
        };
        match admission {
            Admission::Needless => return Shaded::InTime,
            Admission::Closed => return Shaded::Late,
            Admission::InTime | Admission::Doubtful => {}
        }
        self.push_grey(Grey::new(address, origin));
        let is_marked = self.shared.space.states().mark(address, byte, colour);
        // Once a termination is decided nothing white can be reached any more, so an object that is
        // marked here then is doubtful. One that somebody else marked meanwhile is innocent.
        if is_marked && admission == Admission::Doubtful {
            return Shaded::Late;
        }
        Shaded::InTime
    }

    /// Whether the barrier of a store is left out.
    #[cfg(feature = "fault-inject")]
    fn skips(self, word: &AtomicUsize) -> bool {
        let is_off = match self.local.unbarriered.get() {
            Unbarriered::Nobody => false,
            Unbarriered::Everybody => true,
            Unbarriered::Type(index) => {
                let span = self.shared.space.span_of(core::ptr::from_ref(word).addr());
                span.is_some_and(|span| span.type_index() == index)
            }
        };
        is_off || self.shared.hooks.strikes(Site::BarrierSkipped)
    }

    /// Whether a shade that is due is left out.
    #[cfg(feature = "fault-inject")]
    fn misses(self, origin: Origin) -> bool {
        match origin {
            Origin::BarrierOld => self.shared.hooks.strikes(Site::BarrierOldSkipped),
            Origin::BarrierNew => self.shared.hooks.strikes(Site::BarrierNewSkipped),
            _ => false,
        }
    }

    /// Hands an object to the collector. Only a push that makes the deque grow can take long, so only
    /// that one is timed.
    fn push_grey(self, object: Grey) {
        point();
        #[cfg(feature = "fault-inject")]
        if self.shared.hooks.strikes(Site::ShadeUnpushed) {
            return;
        }
        let grey = &self.local.grey;
        if !grey.len().is_power_of_two() {
            return grey.push(object);
        }
        let begun = Instant::now();
        grey.push(object);
        self.record.paused_since(begun);
    }
}
