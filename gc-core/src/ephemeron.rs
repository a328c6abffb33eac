//! [`Ephemeron`]: a key and a value, of which the value is kept alive by the key and not by whoever
//! holds the pair.
//!
//! An ephemeron is a pointer to a cell, an ordinary small object that holds two addresses without
//! tracing them. What follows from a cell is decided by the collector when marking has run dry:
//! [`advance`] marks the values of live cells whose keys are marked, until no pass finds one;
//! [`clear_dead`] then nulls the cells whose keys are white, before any slot can be reused. Reading a
//! pair is a barrier as a weak upgrade is one (scope.rs): no mutator reads while it is decided.
//!
//! The first pass leaves its values to all markers. Values whose keys are values of other cells may
//! need a pass for each link of the chain, so when a later pass finds work, an index from keys to
//! values is made, and the marker asks it about each object it marks ([`Pending::on_marked`]). A
//! cycle then costs a bounded number of walks over the cells and one look-up an object marked.
//! Whatever the index misses, because another marker marked it, is found by the next pass: only a
//! whole pass without work ends marking.
//!
//! Invariants: a cell changes once at most, key first, then value, to zero, and the collector alone
//! changes it. A cell made while marking runs needs no decision: the mutator that makes it holds key
//! and value, so both are marked by the time marking is dry.
#![allow(unsafe_code)]

use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::HashMap;

use gc_hooks::Origin;
use gc_hooks::sync::point;
use gc_sweep::{ClassId, Kept};

use crate::gc::Gc;
use crate::object::{Object, slot_pointer};
use crate::shared::Shared;
use crate::trace::{Trace, Tracer};
use crate::weak;

/// Passes that leave what they find to the ordinary markers, before an index is worth its making.
const PASSES_WITHOUT_INDEX: u32 = 1;

/// The object behind an ephemeron.
pub(crate) struct EphemeronCell {
    /// Address of the key, or zero once it is dead. Written at birth and by `clear_dead`.
    key: AtomicUsize,
    /// Address of the value, or zero some time after the key is.
    value: AtomicUsize,
}

impl EphemeronCell {
    pub(crate) fn new(key: usize, value: usize) -> Self {
        EphemeronCell {
            key: AtomicUsize::new(key),
            value: AtomicUsize::new(value),
        }
    }

    /// Addresses of key and value, or `None` once the key is dead. Never one without the other.
    ///
    /// Whoever reads a pair while a cycle marks shades what it gives out. In `Clear` it gives out
    /// only what is marked, key and value both, and whose cell still answers the same afterwards.
    pub(crate) fn entry(&self) -> Option<(usize, usize)> {
        point();
        // Acquire pairs with the Release in `clear`: a value that reads as zero shows a key that is
        // zero already. A value that does not was read before it was nulled.
        let value = self.value.load(Ordering::Acquire);
        point();
        // Acquire pairs with the Release in `clear`, and keeps this load before those that follow.
        let key = self.key.load(Ordering::Acquire);
        (key != 0).then_some((key, value))
    }

    /// The pair is dead.
    fn clear(&self) {
        // Both Releases pair with the Acquires of `entry`, which reads in the opposite order.
        point();
        self.key.store(0, Ordering::Release);
        point();
        self.value.store(0, Ordering::Release);
    }
}

// SAFETY: the type has no brand; neither key nor value is to be traced.
unsafe impl Trace for EphemeronCell {
    type At<'a> = EphemeronCell;
    const MAY_HOLD_GC: bool = false;

    fn trace(&self, _tracer: &mut Tracer<'_>) {}
}

/// The cell at an address, if one of the class stands there and is published. The collector calls it
/// when nothing is being swept.
fn cell_at(shared: &Shared, class: ClassId, address: usize) -> Option<&EphemeronCell> {
    // The state byte first: its Acquire pairs with the Release of the publication, which shows the
    // span's class and the fields.
    let is_cell = shared.state(address).is_object()
        && shared
            .space
            .span_of(address)
            .is_some_and(|span| span.class_index() as usize == class.index());
    // SAFETY: an object of the class stands there, the class holds ephemeron cells only, and
    // nothing is freed meanwhile.
    is_cell.then(|| unsafe { slot_pointer(address).cast().as_ref() })
}

/// Addresses of key and value of the ephemeron cell at `address`. `None` when no ephemeron cell
/// stands there, or it is dead. For the marker and the verifier.
pub(crate) fn entry_at(shared: &Shared, address: usize) -> Option<(usize, usize)> {
    cell_at(shared, shared.ephemeron_class, address)?.entry()
}

/// Values that wait for their keys to be marked: an index over the undecided cells.
#[derive(Default)]
pub(crate) struct Waiting {
    /// The last value of each key, as an index into `values`.
    last: HashMap<usize, u32>,
    /// Values, each with the index of the one before it of the same key.
    values: Vec<(usize, Option<u32>)>,
}

impl Waiting {
    /// A value that lives if `key` does.
    pub(crate) fn add(&mut self, key: usize, value: usize) {
        // More cells than this would fill 128 GiB: what is left out, the next pass finds.
        let Ok(at) = u32::try_from(self.values.len()) else {
            return;
        };
        let before = self.last.insert(key, at);
        self.values.push((value, before));
    }

    /// Appends the values of `key` to `found` and forgets them.
    pub(crate) fn take(&mut self, key: usize, found: &mut Vec<usize>) {
        let mut next = self.last.remove(&key);
        while let Some((value, before)) = next.and_then(|at| self.values.get(at as usize)) {
            found.push(*value);
            next = *before;
        }
    }
}

/// How far the ephemerons of a cycle are decided. Belongs to the coordinator.
#[derive(Default)]
pub(crate) struct Pending {
    passes: u32,
    index: Option<Index>,
}

struct Index {
    kept: Kept,
    waiting: Waiting,
}

impl Pending {
    /// Forgets everything, as a new or a voided cycle does.
    pub(crate) fn reset(&mut self) {
        *self = Pending::default();
    }

    /// Whether marked objects have to be shown to [`Pending::on_marked`]. The coordinator then marks
    /// alone: it keeps the gate for helpers closed.
    pub(crate) fn is_indexed(&self) -> bool {
        self.index.is_some()
    }

    /// The coordinator's marker shows each object that it scans from its beginning, once its mark is
    /// set, whether a scan, a root or a barrier led there. Answers the values that become reachable
    /// by it, for the mark stack. Does nothing without an index.
    ///
    /// An object that a barrier marks comes by here as well, since it is pushed before it is marked
    /// and the coordinator alone pops. Objects born in the cycle's colour do not, and need not: only
    /// cells that are younger still can have them for keys.
    pub(crate) fn on_marked(&mut self, shared: &Shared, address: usize) -> Vec<usize> {
        let mut found = Vec::new();
        if let Some(index) = &mut self.index {
            index.waiting.take(address, &mut found);
            if let Some((key, value)) = entry_at(shared, address) {
                if index.kept.has(shared.state(key)) {
                    found.push(value);
                } else {
                    index.waiting.add(key, value);
                }
            }
        }
        found
    }
}

/// One pass over the live cells: shades each value that is white and whose key is marked. `false`
/// when there was none, which decides all ephemerons, provided that marking was dry before.
///
/// The coordinator calls it in `Terminate`, dry, with no helper active and no upgrade in progress.
pub(crate) fn advance(shared: &Shared, class: ClassId, kept: Kept, pending: &mut Pending) -> bool {
    pending.passes += 1;
    pending.index = None;
    let mut shaded = false;
    weak::for_each_live(shared, class, kept, &mut |address| {
        let Some((key, value)) = cell_at(shared, class, address).and_then(EphemeronCell::entry)
        else {
            return;
        };
        let (key, state) = (shared.state(key), shared.state(value));
        if kept.has(key) && !kept.has(state) {
            // A value that is no object is reported and not followed; it must not keep the cycle
            // from ending.
            shaded |= state.is_object();
            shared.shade_root(value, kept, Origin::Resurrection);
        }
    });
    if shaded && pending.passes > PASSES_WITHOUT_INDEX {
        pending.index = Some(index_of(shared, class, kept));
    }
    shaded
}

/// An index over the live cells whose values are white. A key that the pass before has marked, as
/// the value of another cell, is among them: it is grey, so the marker shows it yet.
fn index_of(shared: &Shared, class: ClassId, kept: Kept) -> Index {
    let mut waiting = Waiting::default();
    weak::for_each_live(shared, class, kept, &mut |address| {
        if let Some((key, value)) = cell_at(shared, class, address).and_then(EphemeronCell::entry)
            && !kept.has(shared.state(value))
        {
            waiting.add(key, value);
        }
    });
    Index { kept, waiting }
}

/// Nulls every live cell whose key is about to be swept. Called between termination and flip, by the
/// collector.
///
/// A cell whose value alone is white is nulled too. There is none unless it was refused above: a
/// pointer to what is no object is not handed to a mutator.
pub(crate) fn clear_dead(shared: &Shared, class: ClassId, kept: Kept) {
    let is_marked = |address| kept.has(shared.state(address));
    weak::for_each_live(shared, class, kept, &mut |address| {
        let Some(cell) = cell_at(shared, class, address) else {
            return;
        };
        if let Some((key, value)) = cell.entry()
            && !(is_marked(key) && is_marked(value))
        {
            cell.clear();
        }
    });
}

/// A key and a value, of which the value lives as long as the key does: holding the ephemeron keeps
/// neither alive, and the value does not keep its own key alive. Once the key is unreachable both
/// are gone.
///
/// Made by [`Scope::ephemeron`](crate::Scope::ephemeron), read by
/// [`Scope::ephemeron_entry`](crate::Scope::ephemeron_entry); `Copy`, one word, may stand in objects.
/// A table of ephemerons attaches data to objects without leaking them.
pub struct Ephemeron<'gc, K: ?Sized, V: ?Sized> {
    cell: Gc<'gc, EphemeronCell>,
    objects: PhantomData<(*const K, *const V)>,
}

// SAFETY: an ephemeron turns into `Gc`s of key and value, so its bounds are those of both; the cell
// is made of atomics, and reading it takes a scope.
unsafe impl<K: ?Sized + Send + Sync, V: ?Sized + Send + Sync> Send for Ephemeron<'_, K, V> {}
// SAFETY: as above.
unsafe impl<K: ?Sized + Send + Sync, V: ?Sized + Send + Sync> Sync for Ephemeron<'_, K, V> {}

impl<K: ?Sized, V: ?Sized> Copy for Ephemeron<'_, K, V> {}

impl<K: ?Sized, V: ?Sized> Clone for Ephemeron<'_, K, V> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<'gc, K: ?Sized, V: ?Sized> Ephemeron<'gc, K, V> {
    pub(crate) fn new(cell: Gc<'gc, EphemeronCell>) -> Self {
        Ephemeron {
            cell,
            objects: PhantomData,
        }
    }

    pub(crate) fn cell(self) -> Gc<'gc, EphemeronCell> {
        self.cell
    }
}

impl<K: ?Sized, V: ?Sized> fmt::Debug for Ephemeron<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.cell.entry() {
            None => "Ephemeron(dead)",
            Some(_) => "Ephemeron(..)",
        })
    }
}

// SAFETY: `At<'a>` replaces the brand and those of key and value; the cell is kept alive, key and
// value are not, which is the meaning of the type.
unsafe impl<K: Object + ?Sized, V: Object + ?Sized> Trace for Ephemeron<'_, K, V> {
    type At<'a> = Ephemeron<'a, <K as Object>::At<'a>, <V as Object>::At<'a>>;
    const MAY_HOLD_GC: bool = true;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.cell.trace(tracer);
    }
}

#[cfg(test)]
mod tests;
