//! The engine: the shared parts of a heap together with its cycle, and the drivers' entry points.
//!
//! Handles, mutators and roots hold it by `Arc`; it ends with the last of them. Every advance of
//! the cycle goes through [`Engine::step`], which takes the cycle's lock without waiting: a
//! destructor that comes back here while a step runs is told so. Events and hooks are emitted
//! after the lock is released.
//!
//! Deliberately absent: threads. The incremental driver is a set of calls at the edges of `enter`
//! and in allocation slow paths.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use gc_hooks::Phase;
use gc_sweep::SweepMode;

use crate::cycle::{Cycle, CycleReport, StepProgress, StepReport};
use crate::reap::{self, DropReaper};
use crate::shared::Shared;
use crate::verify::{Expect, Verifier, VerifyReport};

/// Work units of one step of a collection that was asked for as a whole.
const COLLECT_UNITS: usize = 1 << 16;
/// Work units paid at each edge of `enter` while a cycle runs.
const EDGE_UNITS: usize = 256;

/// Who advances the cycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Driver {
    /// Only calls of [`Heap::step`](crate::Heap::step) and [`Heap::collect`](crate::Heap::collect).
    Manual,
    /// Mutators, in allocation slow paths, polls and at the edges of `enter`, paced by the heap's
    /// growth.
    #[default]
    Incremental,
}

/// Why a collection, a step or a verification was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CollectError {
    /// A mutator of this heap is inside `enter`; a cycle cannot end before it leaves.
    #[error("a mutator is inside `enter`: leave it first, or use `request_collect`")]
    WouldDeadlock,
    /// A step is running: a destructor called back into the heap.
    #[error("the collector is running: a destructor called back into its heap")]
    Busy,
    /// The call came from inside a violation hook.
    #[error("called from inside a violation hook, where the heap may not be used")]
    InsideHook,
    /// Too many cycles in a row had to be voided; the heap keeps everything.
    #[error("the heap has stopped reclaiming after too many voided cycles")]
    ReclaimingStopped,
}

/// See the module.
pub(crate) struct Engine {
    pub(crate) shared: Shared,
    cycle: Mutex<Cycle>,
    pub(crate) driver: Driver,
    pub(crate) name: &'static str,
    /// Bytes ever allocated, as of the last assist. Written by mutators.
    bytes_assisted: AtomicU64,
}

impl Engine {
    pub(crate) fn new(shared: Shared, cycle: Cycle, driver: Driver, name: &'static str) -> Self {
        Engine {
            shared,
            cycle: Mutex::new(cycle),
            driver,
            name,
            bytes_assisted: AtomicU64::new(0),
        }
    }

    /// The cycle, unless a step is running.
    pub(crate) fn try_cycle(&self) -> Option<MutexGuard<'_, Cycle>> {
        match self.cycle.try_lock() {
            Ok(cycle) => Some(cycle),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn refuse_inside_hook(&self) -> Result<(), CollectError> {
        if self.shared.hooks.is_delivering() {
            self.shared.hooks.note_reentry();
            return Err(CollectError::InsideHook);
        }
        Ok(())
    }

    /// Advances the cycle by at most `budget` work units.
    pub(crate) fn step(&self, budget: usize, mode: SweepMode) -> Result<StepReport, CollectError> {
        self.refuse_inside_hook()?;
        let report = {
            let mut cycle = self.try_cycle().ok_or(CollectError::Busy)?;
            cycle.step(
                &self.shared,
                budget,
                mode,
                &mut DropReaper::new(&self.shared),
            )
        };
        if let Some(finished) = &report.finished {
            self.emit(finished);
        }
        Ok(report)
    }

    /// Tells subscribers of a finished cycle; no lock is held.
    fn emit(&self, report: &CycleReport) {
        tracing::info!(
            target: "gc::sweep",
            heap = self.name,
            cycle = report.cycle,
            bytes_freed = report.bytes_freed,
            bytes_quarantined = self.shared.space.usage().bytes_quarantined,
            "sweep finished"
        );
        tracing::info!(
            target: "gc::cycle",
            heap = self.name,
            cycle = report.cycle,
            objects_marked = report.objects_marked,
            bytes_marked = report.bytes_marked,
            bytes_live = report.bytes_live,
            "cycle finished"
        );
    }

    /// Asks for a cycle; whoever drives the heap runs it.
    pub(crate) fn request(&self) {
        if let Some(mut cycle) = self.try_cycle() {
            cycle.request();
        }
    }

    /// Finishes the cycle in progress, then runs a whole one.
    pub(crate) fn collect(&self) -> Result<CycleReport, CollectError> {
        self.refuse_inside_hook()?;
        if self.shared.world.is_anyone_in() {
            return Err(CollectError::WouldDeadlock);
        }
        self.run_to_idle()?;
        self.request();
        let report = self.run_to_idle()?.ok_or(CollectError::ReclaimingStopped);
        self.deliver();
        report
    }

    fn run_to_idle(&self) -> Result<Option<CycleReport>, CollectError> {
        let mut finished = None;
        loop {
            let step = self.step(COLLECT_UNITS, SweepMode::Any)?;
            finished = step.finished.or(finished);
            match step.progress {
                StepProgress::Idle => return Ok(finished),
                StepProgress::Working => {}
                StepProgress::Waiting => return Err(CollectError::WouldDeadlock),
            }
        }
    }

    /// Traces the heap a second time with its own books, and recomputes the accounts.
    pub(crate) fn verify(&self) -> Result<VerifyReport, CollectError> {
        self.refuse_inside_hook()?;
        if self.shared.world.is_anyone_in() {
            return Err(CollectError::WouldDeadlock);
        }
        let report = {
            let _no_step_meanwhile = self.try_cycle().ok_or(CollectError::Busy)?;
            Verifier::new(&self.shared, Expect::Allocated).run()
        };
        self.deliver();
        Ok(report)
    }

    /// The incremental driver in an allocation slow path or a poll: starts a cycle when it is due,
    /// and pays for what was allocated since the last time. Destructors do not run here.
    pub(crate) fn assist(&self) {
        if self.driver != Driver::Incremental || self.shared.hooks.is_delivering() {
            return;
        }
        if let Some(units) = self.due_units() {
            let _refused_when_a_step_is_running = self.step(units, SweepMode::WithoutDrop);
        }
    }

    /// The work units that are due, or `None` when no cycle runs and none need start.
    fn due_units(&self) -> Option<usize> {
        let mut cycle = self.try_cycle()?;
        let usage = self.shared.space.usage();
        let bytes_used = usage.bytes_live;
        if !cycle.is_active(&self.shared) {
            if bytes_used < cycle.pacer.trigger_bytes() {
                return None;
            }
            cycle.request();
        }
        let total = usage.bytes_allocated_total;
        let owed = total.saturating_sub(self.bytes_assisted.swap(total, Ordering::Relaxed));
        Some(cycle.pacer.assist_units(owed, bytes_used))
    }

    /// Both edges of `enter`, with empty hands: hooks are delivered, and the incremental driver
    /// advances a running cycle, destructors included.
    pub(crate) fn at_edge(&self) {
        if self.driver == Driver::Incremental && !self.shared.hooks.is_delivering() {
            let is_active = self
                .try_cycle()
                .is_some_and(|cycle| cycle.is_active(&self.shared));
            if is_active {
                let _refused_when_a_step_is_running = self.step(EDGE_UNITS, SweepMode::Any);
            }
        }
        self.deliver();
    }

    /// Delivers what the checks recorded. Holds nothing.
    pub(crate) fn deliver(&self) -> gc_hooks::Delivery {
        self.shared.hooks.deliver()
    }

    /// An allocation hit the limit: sweeps and marks what can be done without any mutator leaving
    /// `enter`. `true` when there is reason to try again.
    pub(crate) fn relieve(&self) -> bool {
        if self.shared.world.phase() == Phase::Idle {
            self.request();
            return false;
        }
        loop {
            match self.step(COLLECT_UNITS, SweepMode::WithoutDrop) {
                Ok(step) if step.finished.is_some() => return true,
                Ok(step) if step.progress == StepProgress::Working => {}
                _ => return false,
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        reap::drop_all(&self.shared);
    }
}
