//! What the threads of a soak share: the heap, places where graphs wait for whoever comes by, the
//! books, and the end.
//!
//! Every thread of the soak holds it. A locker holds a graph that one thread at a time may take,
//! change or leave; an exhibit is a graph that any number of threads look at together and nobody
//! changes. A lock is taken outside `enter` and held into it; whoever holds one waits for nothing
//! but the heap. A lock that a panic has poisoned still guards what is whole: graph and oracle are
//! changed together or not at all.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gc_core::{Heap, Mutator, Root, Scope};

use super::SoakOptions;
use super::board::Board;
use crate::audit::Audit;
use crate::error::Error;
use crate::graph::{Graph, Hub};
use crate::rng::Rng;

/// Lockers, and exhibits.
const PLACES: usize = 16;
/// Losses that are told in words.
const LOSSES_MAX: usize = 10;

/// A graph on its way from one thread to another.
pub(super) struct Parcel {
    pub(super) root: Root<Hub<'static>>,
    pub(super) graph: Graph,
}

impl Parcel {
    /// Compares the graph with its oracle.
    pub(super) fn audit(&self, scope: Scope<'_>) -> Result<Audit, Error> {
        Ok(self.graph.audit(scope, scope.get(&self.root)?))
    }
}

/// What a keeper is told.
pub(super) enum Order {
    /// Keep this one, and give away what was kept.
    Keep(Box<Parcel>),
    /// End.
    End,
}

/// See the module.
pub(super) struct Shared {
    pub(super) heap: Heap,
    pub(super) options: SoakOptions,
    pub(super) board: Board,
    pub(super) keepers: Vec<SyncSender<Order>>,
    lockers: [Mutex<Option<Parcel>>; PLACES],
    exhibits: [Mutex<Option<Arc<Parcel>>>; PLACES],
    is_over: AtomicBool,
    ops: AtomicU64,
    limit_hits: AtomicU64,
    audit: Mutex<Audit>,
    losses: Mutex<Vec<String>>,
}

impl Shared {
    pub(super) fn new(
        options: &SoakOptions,
        heap: &Heap,
        keepers: Vec<SyncSender<Order>>,
    ) -> Result<Self, Error> {
        Ok(Shared {
            heap: heap.clone(),
            options: options.clone(),
            board: Board::new(&mut heap.mutator())?,
            keepers,
            lockers: [const { Mutex::new(None) }; PLACES],
            exhibits: [const { Mutex::new(None) }; PLACES],
            is_over: AtomicBool::new(false),
            ops: AtomicU64::new(0),
            limit_hits: AtomicU64::new(0),
            audit: Mutex::default(),
            losses: Mutex::default(),
        })
    }

    /// Begins an operation, unless it is time to end.
    pub(super) fn claim(&self) -> bool {
        let ops = self.ops.fetch_add(1, Ordering::Relaxed);
        if self.options.ops.is_some_and(|most| ops >= most) {
            self.ops.fetch_sub(1, Ordering::Relaxed);
            self.stop();
        }
        !self.is_over()
    }

    pub(super) fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Operations begun.
    pub(super) fn ops(&self) -> u64 {
        self.ops.load(Ordering::Relaxed)
    }

    pub(super) fn note_limit(&self) {
        self.limit_hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn limit_hits(&self) -> u64 {
        self.limit_hits.load(Ordering::Relaxed)
    }

    /// Adds what the oracle saw; `place` tells where, should anything be wrong.
    pub(super) fn book(&self, seen: Audit, place: impl FnOnce() -> String) {
        *lock(&self.audit) += seen;
        if seen.damaged > 0 {
            let mut losses = lock(&self.losses);
            if losses.len() < LOSSES_MAX {
                losses.push(format!(
                    "{} of {} looks wrong: {}",
                    seen.damaged,
                    seen.checked,
                    place()
                ));
            }
        }
    }

    pub(super) fn audit(&self) -> Audit {
        *lock(&self.audit)
    }

    pub(super) fn losses(&self) -> Vec<String> {
        lock(&self.losses).clone()
    }

    /// Some locker, for this thread alone as long as it holds the guard.
    pub(super) fn locker(&self, rng: &mut Rng) -> MutexGuard<'_, Option<Parcel>> {
        lock(&self.lockers[rng.index(PLACES)])
    }

    /// Puts a graph into some locker, in place of what is there.
    pub(super) fn leave(&self, parcel: Parcel, rng: &mut Rng) {
        let before = self.locker(rng).replace(parcel);
        drop(before);
    }

    /// What some exhibit shows.
    pub(super) fn exhibit(&self, rng: &mut Rng) -> Option<Arc<Parcel>> {
        lock(&self.exhibits[rng.index(PLACES)]).clone()
    }

    /// Shows something else, or nothing, in some exhibit. Who looks at the one before goes on.
    pub(super) fn show(&self, parcel: Option<Parcel>, rng: &mut Rng) {
        let parcel = parcel.map(Arc::new);
        let before = core::mem::replace(&mut *lock(&self.exhibits[rng.index(PLACES)]), parcel);
        drop(before);
    }

    /// When everyone has ended: compares what lockers, exhibits and the board still hold.
    pub(super) fn audit_what_is_left(&self) -> Result<(), Error> {
        let mut mutator = self.heap.mutator();
        for locker in &self.lockers {
            if let Some(parcel) = &*lock(locker) {
                self.audit_parcel(&mut mutator, parcel, "in a locker")?;
            }
        }
        for exhibit in &self.exhibits {
            if let Some(parcel) = lock(exhibit).clone() {
                self.audit_parcel(&mut mutator, &parcel, "in an exhibit")?;
            }
        }
        let seen = mutator.enter(|scope| self.board.audit(scope))?;
        self.book(seen, || "on the board, at the end".to_string());
        Ok(())
    }

    fn audit_parcel(
        &self,
        mutator: &mut Mutator,
        parcel: &Parcel,
        place: &str,
    ) -> Result<(), Error> {
        let seen = mutator.enter(|scope| parcel.audit(scope))?;
        self.book(seen, || {
            format!("{} {place}, at the end", parcel.graph.name())
        });
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
