//! The mutators of a heap, and what is asked of them.
//!
//! The registry is locked by mutators that come and go and by the collector's rounds; request and
//! phase are words of their own, written by the collector under the cycle's lock and read by anyone.
//!
//! Handshakes (DESIGN 4.2): `Arm` and `Settle` are answered at any poll, `Snapshot` only with empty
//! hands. The collector answers for mutators that are out.
//!
//! Invariants: a mutator joins and leaves under the registry lock, so a look at all deques under that
//! lock misses none. Deliberately absent: what shading does (barrier.rs) and when handshakes are asked
//! for (cycle.rs).

use std::sync::Arc;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crossbeam_utils::{Backoff, CachePadded};
use gc_hooks::Phase;
use gc_hooks::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use gc_hooks::sync::{Mutex, MutexGuard, point, yield_now};
use gc_sweep::Kept;

use crate::pauses::PauseHistogram;
use crate::record::{HeldRecord, Record};
use crate::request::Request;

/// Looks at what mutators shade before a termination is put off. A shade is a few instructions.
const SHADE_LOOKS_MAX: u32 = 64;

/// The registered mutators and what is asked of them.
pub(crate) struct World {
    registry: Mutex<Registry>,
    /// Counts attaches and exits, so that a copy of the list knows when it is out of date.
    version: AtomicU64,
    /// The handshake asked for, as bits of a [`Request`]. Written by the collector, read at every
    /// poll: on a cache line of its own, so that attaching and phase changes do not take it from the
    /// mutators.
    request: CachePadded<AtomicU64>,
    phase: AtomicU8,
}

#[derive(Default)]
struct Registry {
    /// In order of registration.
    records: Vec<Arc<Record>>,
    /// The pauses of mutators that are gone.
    pauses: PauseHistogram,
}

/// A copy of the list of mutators that is renewed when it is out of date.
#[derive(Default)]
pub(crate) struct KnownRecords {
    version: Option<u64>,
    pub(crate) records: Vec<Arc<Record>>,
}

impl World {
    pub(crate) fn new() -> Self {
        World {
            registry: Mutex::new(Registry::default()),
            version: AtomicU64::new(0),
            request: CachePadded::new(AtomicU64::new(Request::FIRST.bits())),
            phase: AtomicU8::new(Phase::Idle as u8),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mutators, in order of registration.
    pub(crate) fn records(&self) -> Vec<Arc<Record>> {
        self.lock().records.clone()
    }

    /// Renews a copy of the list of mutators. One that joins meanwhile is seen the next time.
    pub(crate) fn renew(&self, known: &mut KnownRecords) {
        let version = self.version.load(Ordering::Relaxed);
        if known.version != Some(version) {
            known.records.clone_from(&self.lock().records);
            known.version = Some(version);
        }
    }

    /// Runs `f` on the mutators while none joins and none leaves.
    pub(crate) fn with_records<R>(&self, f: impl FnOnce(&[Arc<Record>]) -> R) -> R {
        f(&self.lock().records)
    }

    /// Whether no mutator is between having read the phase and having shaded. A barrier or an upgrade
    /// that begins later sees the phase that the caller has set.
    pub(crate) fn shades_have_ended(&self) -> bool {
        (0..SHADE_LOOKS_MAX).any(|look| {
            if look > 0 {
                yield_now();
            }
            self.with_records(|records| records.iter().all(|record| !record.is_shading()))
        })
    }

    /// Adds a record, running `prepare` under the registry lock so that no round misses it.
    pub(crate) fn attach(&self, prepare: impl FnOnce(Request) -> Arc<Record>) -> Arc<Record> {
        let mut registry = self.lock();
        let record = prepare(self.request());
        registry.records.push(Arc::clone(&record));
        self.version.fetch_add(1, Ordering::Relaxed);
        record
    }

    /// Removes a record, running `hand_over` under the registry lock before, so that nothing it holds
    /// is out of sight of a termination.
    pub(crate) fn detach(&self, record: &Arc<Record>, hand_over: impl FnOnce()) {
        let mut registry = self.lock();
        hand_over();
        record.pauses.add_into(&mut registry.pauses);
        registry.records.retain(|known| !Arc::ptr_eq(known, record));
        self.version.fetch_add(1, Ordering::Relaxed);
    }

    /// The pauses of all mutators, past ones included.
    pub(crate) fn pauses(&self) -> PauseHistogram {
        let registry = self.lock();
        let mut pauses = registry.pauses.clone();
        for record in &registry.records {
            record.pauses.add_into(&mut pauses);
        }
        pauses
    }

    /// Whether a mutator is inside `enter` on the calling thread.
    pub(crate) fn is_inside_here(&self) -> bool {
        self.lock().records.iter().any(|record| record.is_in_here())
    }

    /// Mutators inside `enter` right now.
    pub(crate) fn mutators_inside(&self) -> usize {
        self.lock()
            .records
            .iter()
            .filter(|record| record.is_in())
            .count()
    }

    /// Mutators of the heap.
    pub(crate) fn mutators(&self) -> usize {
        self.lock().records.len()
    }

    /// Keeps every mutator out of `enter` while `f` runs, but those that are inside on the calling
    /// thread. Waits for the others to come out, for `patience` at most; `None` when they did not.
    pub(crate) fn with_all_held<R>(
        &self,
        patience: Duration,
        f: impl FnOnce(&[HeldRecord]) -> R,
    ) -> Option<R> {
        let begun = Instant::now();
        let backoff = Backoff::new();
        let mut held: Vec<HeldRecord> = Vec::new();
        loop {
            // Those caught stay held while the others are waited for; those that joined meanwhile
            // are caught by the next look, and the last look is under the lock, so none is missed.
            let registry = self.lock();
            let mut missing = false;
            for record in &registry.records {
                if held.iter().any(|held| held.is(record)) || record.is_in_here() {
                    continue;
                }
                match record.hold() {
                    Some(guard) => held.push(guard),
                    None => missing = true,
                }
            }
            if !missing {
                return Some(f(&held));
            }
            drop(registry);
            if begun.elapsed() >= patience {
                return None;
            }
            backoff.snooze();
        }
    }

    /// What is asked of mutators.
    #[inline]
    pub(crate) fn request(&self) -> Request {
        point();
        // Acquire pairs with the Release of `ask`: what the collector did before it is visible.
        Request::from_bits(self.request.load(Ordering::Acquire))
    }

    /// Asks every mutator for a handshake.
    pub(crate) fn ask(&self, request: Request) {
        point();
        // Release pairs with the Acquire of `request`.
        self.request.store(request.bits(), Ordering::Release);
    }

    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        point();
        // SeqCst pairs with the SeqCst of `set_phase` and with that of `Record::set_shading`; it
        // also acquires what the collector did before it changed the phase.
        phase_from_word(self.phase.load(Ordering::SeqCst))
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        point();
        // SeqCst pairs with the SeqCst of `phase` and of `Record::is_shading`.
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    /// The number of the cycle in progress, or of the last one.
    pub(crate) fn cycle(&self) -> u32 {
        self.request().cycle()
    }

    /// The colours of the cycle in progress, or of the last one.
    pub(crate) fn kept(&self) -> Kept {
        self.request().kept()
    }
}

/// Only phases are ever stored, so the fallback is never taken.
fn phase_from_word(word: u8) -> Phase {
    let phase = Phase::ALL.get(usize::from(word));
    phase.copied().unwrap_or_default()
}

#[cfg(all(test, loom))]
mod tests;
