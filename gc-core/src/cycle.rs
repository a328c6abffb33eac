//! The cycle: a state machine that advances by explicit steps.
//!
//! `Idle → Arm → Settle → Snapshot → Mark → Terminate → Clear → Sweep → Idle` (DESIGN 4.2). Drivers
//! only decide when to call [`Cycle::step`] and how much work to allow; every stage lives here,
//! under one lock, and nothing bypasses it. A stage that needs mutators asks and returns
//! [`StepProgress::Waiting`] until they have answered.
//!
//! Invariants. Arm is entered only when every span is swept, so no byte holds the new colour.
//! Nothing is scanned before every mutator has settled. The flip happens only after termination
//! with every mutator black and every deque empty. Voiding frees nothing, and the next cycle's
//! colour differs from those of the last two (seven colours, at most [`VOIDS_IN_A_ROW_MAX`] voids
//! in a row). Deliberately absent: hooks and events, which the heap delivers after a step.

use gc_hooks::{CheckLevel, Origin, Phase};
use gc_sweep::{ClassId, Colour, Reaper, SweepMode};

use crate::handshake;
use crate::mark::{Drained, Marker};
use crate::pacer::Pacer;
use crate::shared::Shared;
use crate::verify::{Expect, Verifier};
use crate::weak;
use crate::world::Handshake;

/// Voided cycles in a row before the heap stops reclaiming. Seven colours carry five.
const VOIDS_IN_A_ROW_MAX: u32 = 3;
/// Times one cycle may go back to marking because work appeared after termination.
const LATE_RETURNS_MAX: u32 = 2;
/// Work units a swept span counts for: a span is swept in about the time of eight marks.
const SWEEP_UNITS: usize = 8;

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepProgress {
    /// No cycle is running and none is asked for.
    Idle,
    /// The budget was used up; there is more to do.
    Working,
    /// A mutator has to answer first: inside `enter` at a poll, or by leaving `enter`.
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

/// What a finished cycle did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycleReport {
    /// Number of the cycle, from 1.
    pub cycle: u32,
    /// Objects marked.
    pub objects_marked: u64,
    /// Bytes of their slots.
    pub bytes_marked: u64,
    /// Bytes of slots freed by the sweep.
    pub bytes_freed: u64,
    /// Bytes allocated and not freed at the end of the cycle.
    pub bytes_live: u64,
}

/// Whether the collector still gives memory back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reclaiming {
    /// Cycles run.
    On,
    /// Too many cycles in a row had to be voided: nothing is freed any more.
    Stopped,
}

/// Whether the state machine has more to do at once.
enum Advance {
    More,
    Budget,
    Waiting,
    Idle,
}

/// The state of the collector.
pub(crate) struct Cycle {
    number: u32,
    colour: Colour,
    marker: Marker,
    pub(crate) pacer: Pacer,
    pub(crate) reclaiming: Reclaiming,
    /// The next `Idle` step opens a cycle.
    requested: bool,
    voids_in_a_row: u32,
    late_returns: u32,
    bytes_freed: u64,
    pub(crate) cycles_finished: u64,
    pub(crate) cycles_voided: u64,
    pub(crate) objects_marked_total: u64,
    finished: Option<CycleReport>,
    weak_class: Option<ClassId>,
}

impl Cycle {
    pub(crate) fn new(colour: Colour, pacer: Pacer, weak_class: Option<ClassId>) -> Self {
        Cycle {
            number: 0,
            colour,
            marker: Marker::new(colour),
            pacer,
            reclaiming: Reclaiming::On,
            requested: false,
            voids_in_a_row: 0,
            late_returns: 0,
            bytes_freed: 0,
            cycles_finished: 0,
            cycles_voided: 0,
            objects_marked_total: 0,
            finished: None,
            weak_class,
        }
    }

    /// Asks for a cycle. Ignored once the heap has stopped reclaiming.
    pub(crate) fn request(&mut self) {
        self.requested = self.reclaiming == Reclaiming::On;
    }

    /// Whether a cycle runs or is about to.
    pub(crate) fn is_active(&self, shared: &Shared) -> bool {
        self.requested || shared.world.phase() != Phase::Idle
    }

    /// Advances by at most `budget` work units: an object visited or an eighth of a span swept.
    pub(crate) fn step(
        &mut self,
        shared: &Shared,
        mut budget: usize,
        mode: SweepMode,
        reaper: &mut dyn Reaper,
    ) -> StepReport {
        let progress = loop {
            if budget == 0 {
                break StepProgress::Working;
            }
            match self.advance(shared, &mut budget, mode, reaper) {
                Advance::More => budget = budget.saturating_sub(1),
                Advance::Budget => break StepProgress::Working,
                Advance::Waiting => break StepProgress::Waiting,
                Advance::Idle => break StepProgress::Idle,
            }
        };
        StepReport {
            phase: shared.world.phase(),
            progress,
            finished: self.finished.take(),
        }
    }

    /// One line a stage; each stage explains itself below.
    fn advance(
        &mut self,
        shared: &Shared,
        budget: &mut usize,
        mode: SweepMode,
        reaper: &mut dyn Reaper,
    ) -> Advance {
        match shared.world.phase() {
            Phase::Idle => self.open(shared),
            Phase::Arm => {
                self.after_round(shared, Handshake::Arm, Phase::Settle, Handshake::Settle)
            }
            Phase::Settle => self.begin_snapshot(shared),
            Phase::Snapshot => self.snapshot(shared, budget),
            Phase::Mark => self.mark(shared, budget),
            Phase::Terminate => self.terminate(shared),
            Phase::Clear => self.clear_and_flip(shared),
            Phase::Sweep => self.sweep(shared, budget, mode, reaper),
        }
    }

    /// Opens a cycle in a colour that no byte holds, and asks every mutator to arm.
    fn open(&mut self, shared: &Shared) -> Advance {
        if !self.requested {
            return Advance::Idle;
        }
        debug_assert!(shared.space.is_swept());
        self.requested = false;
        self.number += 1;
        self.colour = self.colour.next();
        self.marker.reset(self.colour);
        self.late_returns = 0;
        self.bytes_freed = 0;
        shared.world.open_cycle(self.number, self.colour);
        self.enter_phase(shared, Phase::Arm);
        shared.world.ask(Handshake::Arm);
        Advance::More
    }

    fn enter_phase(&self, shared: &Shared, phase: Phase) {
        shared.world.set_phase(phase);
        shared.space.set_context(self.number, phase);
    }

    /// Once everyone has given the awaited answer, goes to the next phase and asks for the next.
    fn after_round(
        &self,
        shared: &Shared,
        awaited: Handshake,
        next: Phase,
        ask: Handshake,
    ) -> Advance {
        if !handshake::round(shared, awaited) {
            return Advance::Waiting;
        }
        self.enter_phase(shared, next);
        shared.world.ask(ask);
        Advance::More
    }

    /// Every barrier that began unarmed has ended: roots may be read, and marking may begin.
    fn begin_snapshot(&self, shared: &Shared) -> Advance {
        let (awaited, asked) = (Handshake::Settle, Handshake::Snapshot);
        let Advance::More = self.after_round(shared, awaited, Phase::Snapshot, asked) else {
            return Advance::Waiting;
        };
        let mut roots = Vec::new();
        shared.roots.addresses_into(&mut roots);
        roots
            .into_iter()
            .for_each(|address| shared.shade_root(address, Origin::Root));
        Advance::More
    }

    /// Mutators turn black one by one while marking already runs.
    fn snapshot(&mut self, shared: &Shared, budget: &mut usize) -> Advance {
        if handshake::round(shared, Handshake::Snapshot) {
            self.enter_phase(shared, Phase::Mark);
            return Advance::More;
        }
        match self.marker.drain(shared, budget) {
            Drained::Dry => Advance::Waiting,
            Drained::Budget => Advance::Budget,
        }
    }

    fn mark(&mut self, shared: &Shared, budget: &mut usize) -> Advance {
        match self.marker.drain(shared, budget) {
            Drained::Budget => Advance::Budget,
            Drained::Dry => {
                self.enter_phase(shared, Phase::Terminate);
                Advance::More
            }
        }
    }

    /// Everyone is black and the marker is idle: one look at every deque decides.
    fn terminate(&mut self, shared: &Shared) -> Advance {
        if !self.marker.is_dry(shared) {
            self.enter_phase(shared, Phase::Mark);
            return Advance::More;
        }
        if shared.level == CheckLevel::Paranoid && !self.verify(shared) {
            self.void(shared);
            return Advance::More;
        }
        self.enter_phase(shared, Phase::Clear);
        Advance::More
    }

    /// Asks the second opinion. `false` when it found a reachable object that is not marked.
    fn verify(&mut self, shared: &Shared) -> bool {
        Verifier::new(shared, Expect::Marked(self.colour))
            .run()
            .objects_unmarked
            == 0
    }

    /// Nulls weak cells and flips, unless work appeared since termination: then marks on, and
    /// voids the cycle when that repeats.
    fn clear_and_flip(&mut self, shared: &Shared) -> Advance {
        if !self.marker.is_dry(shared) {
            self.late_returns += 1;
            if self.late_returns > LATE_RETURNS_MAX {
                self.void(shared);
            } else {
                self.enter_phase(shared, Phase::Mark);
            }
            return Advance::More;
        }
        if let Some(class) = self.weak_class {
            weak::clear_dead(shared, class, self.colour);
        }
        self.voids_in_a_row = 0;
        shared.world.settle_colour(self.colour);
        shared.space.flip(self.number, self.colour);
        self.enter_phase(shared, Phase::Sweep);
        shared.world.ask(Handshake::None);
        Advance::More
    }

    fn sweep(
        &mut self,
        shared: &Shared,
        budget: &mut usize,
        mode: SweepMode,
        reaper: &mut dyn Reaper,
    ) -> Advance {
        let spans_max = budget.div_ceil(SWEEP_UNITS);
        let progress = shared.space.sweep_step(spans_max, mode, reaper);
        self.bytes_freed += progress.bytes_freed as u64;
        *budget = budget.saturating_sub(progress.spans_swept * SWEEP_UNITS);
        if shared.space.is_swept() {
            self.finish(shared);
            return Advance::More;
        }
        // What is left needs destructors, which this caller may not run.
        if progress.spans_swept == 0 {
            Advance::Waiting
        } else {
            Advance::Budget
        }
    }

    fn finish(&mut self, shared: &Shared) {
        let usage = shared.space.usage();
        self.pacer
            .finish_cycle(usage.bytes_live, self.marker.objects_marked);
        self.cycles_finished += 1;
        self.objects_marked_total += self.marker.objects_marked;
        self.finished = Some(CycleReport {
            cycle: self.number,
            objects_marked: self.marker.objects_marked,
            bytes_marked: self.marker.bytes_marked,
            bytes_freed: self.bytes_freed,
            bytes_live: usage.bytes_live,
        });
        self.enter_phase(shared, Phase::Idle);
    }

    /// Ends the cycle without freeing anything, and starts again, a bounded number of times.
    ///
    /// Bytes are then a mix of two colours, both possibly live; the next cycle takes a third.
    pub(crate) fn void(&mut self, shared: &Shared) {
        self.marker.reset(self.colour);
        self.cycles_voided += 1;
        self.voids_in_a_row += 1;
        shared.world.ask(Handshake::None);
        self.enter_phase(shared, Phase::Idle);
        if self.voids_in_a_row < VOIDS_IN_A_ROW_MAX {
            self.requested = true;
        } else {
            self.reclaiming = Reclaiming::Stopped;
        }
    }
}
