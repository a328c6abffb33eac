//! The engine: the shared parts of a heap together with its cycle, and who may advance it.
//!
//! Handles, mutators, roots and collector threads hold it by `Arc`; it ends with the last of them.
//! Every advance of the cycle goes through [`Engine::run`], which holds the cycle's lock for the
//! stages of the state machine and no lock while it sweeps, since sweeping runs destructors. What
//! happened is posted meanwhile, and told by a delivery, which holds nothing.
//!
//! Invariant: a thread that runs a destructor of this heap, or is told of a violation of it, does not
//! come in here again. Deliberately absent: when to collect and how much of it who pays for
//! (drive.rs), collector threads (crew.rs).

use std::sync::{PoisonError, TryLockError};
use std::time::{Duration, Instant};

use gc_hooks::sync::{Mutex, MutexGuard};
use gc_hooks::{Delivery, Phase, Turn};
use gc_sweep::SweepMode;

use crate::audit;
use crate::cycle::{Advance, Cycle, Desk};
use crate::gate::SWEEPERS;
use crate::mark::{Drained, Marker};
use crate::progress::CycleReport;
use crate::reap::{self, DropReaper};
use crate::record::HeldRecord;
use crate::shared::Shared;

/// Work units a swept span counts for: a span is swept in about the time of eight marks.
const SWEEP_UNITS: usize = 8;
/// Work units between two looks at the clock where help ends at a moment.
const UNITS_A_CLOCK: usize = 64;
/// How long a recount of the books waits for mutators to come out of `enter`.
const HOLD_PATIENCE: Duration = Duration::from_secs(1);

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepProgress {
    /// No cycle is running and none is asked for.
    Idle,
    /// The budget was used up; there is more to do.
    Working,
    /// Others have to do something first: a mutator to answer, inside `enter` at a poll or by leaving
    /// `enter`; a thread that helps to mark or sweep to finish its share; one that takes a
    /// [snapshot](crate::Heap::snapshot) to take it.
    Waiting,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// Phase after the step.
    pub phase: Phase,
    /// How it ended.
    pub progress: StepProgress,
    /// The cycle that ended within this step, if one did.
    pub finished: Option<CycleReport>,
}

/// Why a collection, a step or a verification was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// A mutator of this heap is inside `enter` on the calling thread; a cycle cannot end before it
    /// leaves.
    #[error("a mutator is inside `enter`: leave it first, or use `request_collect`")]
    WouldDeadlock,
    /// A destructor called back into the heap.
    #[error("the collector is running: a destructor called back into its heap")]
    Busy,
    /// The call came from inside a violation hook.
    #[error("called from inside a violation hook, where the heap may not be used")]
    InsideHook,
    /// Too many cycles in a row had to be voided; the heap keeps everything.
    #[error("the heap has stopped reclaiming after too many voided cycles")]
    ReclaimingStopped,
    /// Mutators of other threads stayed inside `enter` for longer than the call waits.
    #[error("mutators of other threads stayed inside `enter`")]
    MutatorsInside,
    /// The process is a child of the one that built the heap, whose threads stayed there.
    #[error("the heap was built before a fork and belongs to the parent process")]
    Forked,
}

/// See the module.
pub(crate) struct Engine {
    pub(crate) shared: Shared,
    cycle: Mutex<Cycle>,
    /// Markers of mutators that assist, between two assists.
    spare_markers: Mutex<Vec<Marker>>,
    /// Held by a thread that takes a snapshot: one at a time.
    pub(crate) snapshots: Mutex<()>,
    pub(crate) name: &'static str,
}

impl Engine {
    pub(crate) fn new(shared: Shared, cycle: Cycle, name: &'static str) -> Self {
        shared.sweeping.open();
        Engine {
            shared,
            cycle: Mutex::new(cycle),
            spare_markers: Mutex::new(Vec::new()),
            snapshots: Mutex::new(()),
            name,
        }
    }

    fn lock_cycle(&self) -> MutexGuard<'_, Cycle> {
        self.cycle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` where graphs of the heap are asked for.
    pub(crate) fn at_desk<R>(&self, f: impl FnOnce(&mut Desk) -> R) -> R {
        f(&mut self.lock_cycle().desk)
    }

    fn try_lock_cycle(&self) -> Option<MutexGuard<'_, Cycle>> {
        match self.cycle.try_lock() {
            Ok(cycle) => Some(cycle),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Refuses callers that are inside the collector already.
    pub(crate) fn refuse_callbacks(&self) -> Result<(), CollectError> {
        if self.shared.hooks.is_delivering() {
            self.shared.hooks.note_reentry();
            return Err(CollectError::InsideHook);
        }
        if self.shared.events.is_telling_here() {
            return Err(CollectError::InsideHook);
        }
        if reap::is_reaping(&self.shared) {
            return Err(CollectError::Busy);
        }
        Ok(())
    }

    /// Whether a cycle runs or is about to.
    pub(crate) fn is_active(&self) -> bool {
        self.shared.progress.is_requested() || self.shared.world.phase() != Phase::Idle
    }

    /// Advances the cycle by at most `budget` work units, an object visited or an eighth of a span
    /// swept; waits for whoever advances it at the moment.
    pub(crate) fn step(&self, budget: usize, mode: SweepMode) -> Result<StepReport, CollectError> {
        self.refuse_callbacks()?;
        Ok(self.run(self.lock_cycle(), budget, mode, || Some(self.lock_cycle())))
    }

    /// As [`Engine::step`], for a caller inside `enter`, which waits for nobody: when somebody else is
    /// at it, there is something to wait for.
    pub(crate) fn step_inside(
        &self,
        budget: usize,
        mode: SweepMode,
    ) -> Result<StepReport, CollectError> {
        self.refuse_callbacks()?;
        Ok(self.try_step(budget, mode).unwrap_or_else(|| StepReport {
            phase: self.shared.world.phase(),
            progress: StepProgress::Waiting,
            finished: None,
        }))
    }

    /// As [`Engine::step`]; `None` when somebody else is at it, or the call is refused.
    pub(crate) fn try_step(&self, budget: usize, mode: SweepMode) -> Option<StepReport> {
        self.refuse_callbacks().ok()?;
        let cycle = self.try_lock_cycle()?;
        Some(self.run(cycle, budget, mode, || self.try_lock_cycle()))
    }

    /// Advances the cycle. `relock` takes its lock again after a stretch of sweeping; one who may not
    /// wait gives up when somebody else has it.
    fn run<'a>(
        &'a self,
        cycle: MutexGuard<'a, Cycle>,
        mut budget: usize,
        mode: SweepMode,
        relock: impl Fn() -> Option<MutexGuard<'a, Cycle>>,
    ) -> StepReport {
        let mut held = Some(cycle);
        let progress = loop {
            let Some(cycle) = &mut held else {
                break StepProgress::Waiting;
            };
            if budget == 0 {
                break StepProgress::Working;
            }
            match cycle.advance(&self.shared, &mut budget) {
                Advance::More => budget = budget.saturating_sub(1),
                Advance::Budget => break StepProgress::Working,
                Advance::Waiting => break StepProgress::Waiting,
                Advance::Idle => break StepProgress::Idle,
                Advance::Sweep => {
                    self.mend_sweeping_gate();
                    drop(held.take());
                    let has_swept = self.sweep(&mut budget, mode);
                    held = relock();
                    let is_stuck = !has_swept && !self.shared.space.is_swept();
                    if is_stuck && !(held.is_some() && audit::find_lost_spans(&self.shared)) {
                        break StepProgress::Waiting;
                    }
                }
            }
        };
        let report = StepReport {
            phase: self.shared.world.phase(),
            progress,
            finished: held.as_mut().and_then(|cycle| cycle.take_finished()),
        };
        drop(held);
        report
    }

    /// Sees to it that the sweep's gate lets sweepers in, which whoever holds the cycle's lock can tell:
    /// nobody else closes it.
    fn mend_sweeping_gate(&self) {
        if let Some(breach) = self.shared.sweeping.mend() {
            let violation = self.shared.breach_of(breach, SWEEPERS);
            self.shared.hooks.report(violation);
        }
    }

    /// Sweeps what the budget allows, holding nothing. `false` when nothing could be swept: others are
    /// at what is left, or it needs destructors, which this caller may not run.
    pub(crate) fn sweep(&self, budget: &mut usize, mode: SweepMode) -> bool {
        let Some(_helping) = self.shared.sweeping.join() else {
            return false;
        };
        let spans_max = budget.div_ceil(SWEEP_UNITS);
        let mut reaper = DropReaper::new(&self.shared);
        let progress = self.shared.space.sweep_step(spans_max, mode, &mut reaper);
        *budget = budget.saturating_sub(progress.spans_swept * SWEEP_UNITS);
        progress.spans_swept > 0
    }

    /// Sweeps what needs no destructor beside others, until a moment if one is given. `false` when nothing
    /// could be swept.
    pub(crate) fn help_to_sweep(&self, units: usize, until: Option<Instant>) -> bool {
        let (mut left, mut has_swept) = (units, false);
        while left > 0 && until.is_none_or(|until| Instant::now() < until) {
            let part = until.map_or(left, |_| left.min(UNITS_A_CLOCK));
            let mut unused = part;
            if !self.sweep(&mut unused, SweepMode::WithoutDrop) {
                break;
            }
            has_swept = true;
            left -= part - unused;
        }
        has_swept
    }

    /// Marks beside the coordinator, until a moment if one is given. `false` when there was nothing to do.
    pub(crate) fn help_to_mark(
        &self,
        marker: &mut Marker,
        budget: usize,
        until: Option<Instant>,
    ) -> bool {
        let Some(_helping) = self.shared.marking.join() else {
            return false;
        };
        // The colour stays while anybody is behind the gate.
        marker.reset(self.shared.world.kept().marked());
        let mut left = budget;
        while left > 0 && until.is_none_or(|until| Instant::now() < until) {
            let part = until.map_or(left, |_| left.min(UNITS_A_CLOCK));
            let mut unused = part;
            let drained = marker.drain(&self.shared, &mut unused, None);
            left -= part - unused;
            if drained == Drained::Dry {
                break;
            }
        }
        marker.give_all(&self.shared);
        // One unit goes to finding out that there is nothing.
        left + 1 < budget
    }

    /// As [`Engine::help_to_mark`], for a mutator.
    pub(crate) fn assist_marking(&self, budget: usize, until: Option<Instant>) -> bool {
        if !self.shared.marking.is_open() {
            return false;
        }
        let spare = || {
            let spares = self.spare_markers.lock();
            spares.unwrap_or_else(PoisonError::into_inner)
        };
        let taken = spare().pop();
        let mut marker = taken.unwrap_or_else(|| Marker::new(self.shared.world.kept().marked()));
        let has_marked = self.help_to_mark(&mut marker, budget, until);
        spare().push(marker);
        has_marked
    }

    /// Runs `f` while nothing advances the cycle, nothing sweeps and every mutator is held, but those
    /// that are inside `enter` on the calling thread.
    pub(crate) fn while_stopped<R>(
        &self,
        f: impl FnOnce(&[HeldRecord]) -> R,
    ) -> Result<R, CollectError> {
        self.refuse_callbacks()?;
        let is_inside_here = self.shared.world.is_inside_here();
        let patience = if is_inside_here {
            Duration::ZERO
        } else {
            HOLD_PATIENCE
        };
        // Inside `enter`, waiting for a lock whose holder may wait for this mutator is not an option.
        let mut cycle = if is_inside_here {
            self.try_lock_cycle().ok_or(CollectError::MutatorsInside)?
        } else {
            self.lock_cycle()
        };
        let was_marking = self.shared.marking.is_open();
        let shared = &self.shared;
        let doubt = &mut |breach| cycle.doubt(shared, breach);
        let are_closed = shared.marking.empty(HOLD_PATIENCE, doubt)
            && shared.sweeping.empty(HOLD_PATIENCE, &mut |breach| {
                shared.hooks.report(shared.breach_of(breach, SWEEPERS));
            });
        let result = are_closed
            .then(|| self.shared.world.with_all_held(patience, f))
            .flatten();
        self.shared.sweeping.open();
        if was_marking && !cycle.gate.is_doubtful() {
            self.shared.marking.open();
        }
        result.ok_or(CollectError::MutatorsInside)
    }

    /// Tells subscribers what cycles did, then delivers what the checks recorded. Holds nothing.
    pub(crate) fn deliver(&self) -> Delivery {
        if self.shared.events.is_telling_here() {
            let mut nested = Delivery::default();
            nested.turn = Turn::Nested;
            return nested;
        }
        self.shared.events.tell(self.name, &self.shared.hooks);
        if let Some(timeline) = &self.shared.timeline {
            timeline.bring_in();
        }
        self.shared.hooks.deliver_or_leave()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        reap::drop_all(&self.shared);
        if let Some(timeline) = &self.shared.timeline {
            timeline.close();
        }
    }
}
