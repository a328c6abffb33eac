//! The cycle: a state machine that advances by explicit steps.
//!
//! `Idle → Arm → Settle → Snapshot → Mark → Terminate → Clear → Sweep → Idle` (DESIGN 4.2). Drivers
//! only decide when to call [`Cycle::advance`] and how much work to allow; every stage lives here,
//! under one lock, and nothing bypasses it. A stage that needs mutators asks and answers
//! [`Advance::Waiting`] until they have answered. Helpers mark beside it behind the gate; the sweep
//! needs no lock and is left to the caller.
//!
//! Invariants. Arm is entered only when every span is swept, so no byte holds the new colours.
//! Nothing is scanned before every mutator has settled. The flip happens only after termination:
//! every mutator black, no helper behind the gate, no barrier and no weak upgrade under way, every
//! deque empty.
//! Voiding frees nothing, and the next cycle takes a colour that no byte holds (palette.rs: seven
//! colours, at most [`VOIDS_IN_A_ROW_MAX`] voids in a row). A young cycle is one that marks on in the
//! colour of the last one, from roots and what was remembered. Deliberately absent: hooks and events,
//! which the engine delivers after a step.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gc_hooks::patience::Patience;
use gc_hooks::{Check, Origin, Phase};
use gc_sweep::{CycleKind, Kept};

use crate::audit;
use crate::ephemeron::{self, Pending};
#[cfg(feature = "fault-inject")]
use crate::fault::Site;
use crate::gate::{Breach, Passage, Watch};
use crate::mark::{self, Drained, Marker};
use crate::palette::Palette;
use crate::progress::{CycleReport, Reclaiming};
use crate::request::{Colours, Handshake};
use crate::shared::Shared;
use crate::verify;
use crate::weak;

mod answers;
mod desk;
mod generations;
mod tally;

pub(crate) use desk::Desk;
use tally::Tally;

/// Voided cycles in a row before the heap stops reclaiming. Seven colours carry no more with generations.
const VOIDS_IN_A_ROW_MAX: u32 = 3;
/// Times one cycle may go back to marking because work appeared after termination.
const LATE_RETURNS_MAX: u32 = 2;

/// Whether the state machine has more to do at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Advance {
    /// Go on.
    More,
    /// The budget is used up.
    Budget,
    /// Others have to do something first: a mutator to answer, a helper to leave.
    Waiting,
    /// Spans are to be swept, for which the cycle's lock is not needed.
    Sweep,
    /// No cycle runs and none is asked for.
    Idle,
}

/// The state of the collector.
pub(crate) struct Cycle {
    number: u32,
    kind: CycleKind,
    colours: Colours,
    palette: Palette,
    marker: Marker,
    voids_in_a_row: u32,
    late_returns: u32,
    /// How far ephemerons are decided. While they have an index, nobody helps to mark.
    ephemerons: Pending,
    /// How long the answers to the handshake in progress are waited for.
    patience: Patience,
    is_stall_reported: bool,
    /// What is known of the gate of this cycle.
    pub(crate) gate: Watch,
    tally: Tally,
    pub(crate) desk: Desk,
    finished: Option<CycleReport>,
}

impl Cycle {
    pub(crate) fn new(stall_deadline: Duration, has_generations: bool) -> Self {
        let colours = Colours::FIRST;
        Cycle {
            number: 0,
            kind: CycleKind::Full,
            colours,
            palette: Palette::new(has_generations),
            marker: Marker::new(colours.kept.marked()),
            voids_in_a_row: 0,
            late_returns: 0,
            ephemerons: Pending::default(),
            patience: Patience::new(stall_deadline, Instant::now()),
            is_stall_reported: false,
            gate: Watch::new(Instant::now()),
            tally: Tally::new(),
            desk: Desk::default(),
            finished: None,
        }
    }

    /// The cycle that ended since the last call, if one did.
    pub(crate) fn take_finished(&mut self) -> Option<CycleReport> {
        self.finished.take()
    }

    /// One line a stage; each stage explains itself below. `budget` is in work units: an object
    /// visited.
    pub(crate) fn advance(&mut self, shared: &Shared, budget: &mut usize) -> Advance {
        match shared.world.phase() {
            Phase::Idle => self.open(shared),
            Phase::Arm => self.settle(shared),
            Phase::Settle => self.begin_snapshot(shared),
            Phase::Snapshot => self.snapshot(shared, budget),
            Phase::Mark | Phase::Terminate => self.mark(shared, budget),
            Phase::Clear => self.clear_and_flip(shared),
            Phase::Sweep => self.sweep(shared),
        }
    }

    fn kept(&self) -> Kept {
        self.colours.kept
    }

    /// Opens a cycle in colours that no byte holds, and asks every mutator to arm.
    fn open(&mut self, shared: &Shared) -> Advance {
        let Some(asked) = shared.progress.take_request() else {
            return Advance::Idle;
        };
        if shared.progress.reclaiming() == Reclaiming::Stopped {
            return Advance::Idle;
        }
        debug_assert!(shared.space.is_swept());
        audit::check_goals(shared);
        self.number += 1;
        self.take_colours(shared, asked);
        self.marker.reset(self.kept().marked());
        self.late_returns = 0;
        self.gate = Watch::new(Instant::now());
        self.ephemerons.reset();
        shared.begin_marking();
        self.tally.open(shared, self.number, self.kind);
        shared.roots.arm(self.kept());
        self.enter_phase(shared, Phase::Arm);
        self.ask(shared, Handshake::Arm);
        Advance::More
    }

    fn enter_phase(&mut self, shared: &Shared, phase: Phase) {
        self.tally.leave(shared, shared.world.phase());
        shared.world.set_phase(phase);
        shared.space.set_context(self.number, phase);
    }

    /// Every barrier is on: those begun before that are waited for.
    fn settle(&mut self, shared: &Shared) -> Advance {
        if !self.is_answered(shared) {
            return Advance::Waiting;
        }
        self.enter_phase(shared, Phase::Settle);
        self.ask(shared, Handshake::Settle);
        Advance::More
    }

    /// Every barrier that began unarmed has ended: roots may be read, and marking may begin. The root
    /// table is read before anybody turns black.
    fn begin_snapshot(&mut self, shared: &Shared) -> Advance {
        if !self.is_answered(shared) {
            return Advance::Waiting;
        }
        // Nobody is in a barrier any more that was told of the flip before.
        shared.late_greys.open();
        let mut roots = Vec::new();
        shared.roots.addresses_into(&mut roots);
        for address in roots {
            #[cfg(feature = "fault-inject")]
            if shared.hooks.strikes(Site::RootUnscanned) {
                continue;
            }
            shared.shade_root(address, self.kept(), Origin::Root);
        }
        self.take_remembered(shared);
        self.enter_phase(shared, Phase::Snapshot);
        self.ask(shared, Handshake::Snapshot);
        shared.marking.open();
        shared.signal.wake();
        Advance::More
    }

    /// Mutators turn black one by one while marking already runs.
    fn snapshot(&mut self, shared: &Shared, budget: &mut usize) -> Advance {
        if self.is_answered(shared) {
            self.enter_phase(shared, Phase::Mark);
            return Advance::More;
        }
        match self.drain(shared, budget) {
            Drained::Dry => Advance::Waiting,
            Drained::Budget => Advance::Budget,
        }
    }

    fn drain(&mut self, shared: &Shared, budget: &mut usize) -> Drained {
        let ephemerons = self.ephemerons.is_indexed().then_some(&mut self.ephemerons);
        self.marker.drain(shared, budget, ephemerons)
    }

    fn mark(&mut self, shared: &Shared, budget: &mut usize) -> Advance {
        match self.drain(shared, budget) {
            #[cfg(feature = "fault-inject")]
            Drained::Budget if shared.hooks.strikes(Site::TerminationEarly) => {
                self.terminate(shared)
            }
            Drained::Budget => Advance::Budget,
            Drained::Dry => self.terminate(shared),
        }
    }

    /// Everyone is black and this marker is idle: with no helper left and nobody about to shade, one
    /// look at every deque decides. The phase is `Terminate` within this function only.
    fn terminate(&mut self, shared: &Shared) -> Advance {
        if let Some(advance) = self.close_gate(shared) {
            return advance;
        }
        self.enter_phase(shared, Phase::Terminate);
        if !shared.world.shades_have_ended() {
            self.mark_on(shared);
            return Advance::Waiting;
        }
        if !mark::is_dry(shared) {
            self.mark_on(shared);
            return Advance::More;
        }
        let class = shared.ephemeron_class;
        if ephemeron::advance(shared, class, self.kept(), &mut self.ephemerons) {
            self.mark_on(shared);
            return Advance::More;
        }
        if !shared.late_greys.decide() {
            self.mark_on(shared);
            return Advance::More;
        }
        self.enter_phase(shared, Phase::Clear);
        Advance::More
    }

    /// Reports a breach of the gate: a helper may have been missed, so this cycle frees nothing. It
    /// ends once everybody is out whom the books know.
    pub(crate) fn doubt(&mut self, shared: &Shared, breach: Breach) {
        let is_taken_for_sound = shared.hooks.holds(Check::GateCount, false, || {
            shared.breach_of(breach, "helpers who mark")
        });
        if !is_taken_for_sound {
            self.gate.doubt();
        }
    }

    /// Closes the gate for helpers. What follows, unless nobody is behind it and that is beyond doubt.
    fn close_gate(&mut self, shared: &Shared) -> Option<Advance> {
        match self.gate.close(&shared.marking, Instant::now()) {
            Passage::Empty if !self.gate.is_doubtful() => return None,
            Passage::Empty => {}
            // Who may still be at it does no harm where nothing is freed any more.
            Passage::Hopeless => shared.progress.stop_reclaiming(),
            Passage::Breached(breach) => {
                self.doubt(shared, breach);
                self.mark_on(shared);
                return Some(Advance::Waiting);
            }
            Passage::Occupied => {
                self.mark_on(shared);
                return Some(Advance::Waiting);
            }
        }
        self.void(shared, Check::GateCount);
        Some(Advance::More)
    }

    /// Goes back to marking, whatever was decided. Helpers are welcome, unless their number is in doubt, or this marker alone
    /// is told which objects ephemerons wait for.
    fn mark_on(&mut self, shared: &Shared) {
        self.enter_phase(shared, Phase::Mark);
        shared.late_greys.open();
        if !self.ephemerons.is_indexed() && !self.gate.is_doubtful() {
            shared.marking.open();
        }
    }

    /// Nulls weak cells and flips, unless work appeared since termination: then marks on, and
    /// voids the cycle when that repeats.
    fn clear_and_flip(&mut self, shared: &Shared) -> Advance {
        let is_full = self.kind == CycleKind::Full;
        if is_full && self.desk.is_for_another() {
            return Advance::Waiting;
        }
        if let Some(reason) = verify::second_opinion(shared, self.kept()) {
            self.void(shared, reason);
            return Advance::More;
        }
        // Before the last look at late work, since it takes its time.
        if is_full {
            self.desk.serve(shared, self.kept());
        }
        // A helper who came out since termination, and was not counted in, may have had work with it.
        if let Some(advance) = self.close_gate(shared) {
            return advance;
        }
        if let Some(reason) = shared.doubt_of_marking() {
            self.void(shared, reason);
            return Advance::More;
        }
        // The last thing before what cannot be taken back: from here on no barrier marks anything.
        if !shared.late_greys.close() {
            self.late_returns += 1;
            if self.late_returns > LATE_RETURNS_MAX {
                self.void(shared, Check::LateGrey);
            } else {
                self.mark_on(shared);
            }
            return Advance::More;
        }
        weak::clear_dead(shared, shared.weak_class, self.kept());
        ephemeron::clear_dead(shared, shared.ephemeron_class, self.kept());
        self.ephemerons.reset();
        self.tally
            .flip(shared, self.late_returns, self.voids_in_a_row);
        self.voids_in_a_row = 0;
        if let Some(profile) = &shared.profile {
            profile.forget_dead(self.number, self.kept(), |address| shared.state(address));
        }
        shared.space.flip(self.number, self.kept(), self.kind);
        shared.roots.disarm();
        self.enter_phase(shared, Phase::Sweep);
        self.ask(shared, Handshake::None);
        shared.signal.wake();
        Advance::More
    }

    fn sweep(&mut self, shared: &Shared) -> Advance {
        if !shared.space.is_swept() {
            return Advance::Sweep;
        }
        audit::check_totals(shared);
        self.palette.finish();
        let report = self.tally.finish(shared);
        self.finished = Some(report.clone());
        shared.progress.finish(report);
        self.enter_phase(shared, Phase::Idle);
        shared.signal.wake();
        Advance::More
    }

    /// Ends the cycle without freeing anything, and starts again, a bounded number of times. The gate
    /// is closed, and nobody is behind it.
    ///
    /// Bytes are then a mix of two colours, of four with generations, all possibly live; the next cycle takes another. What is
    /// left in deques is an object like any other: the next marking pops it.
    pub(crate) fn void(&mut self, shared: &Shared, reason: Check) {
        self.marker.reset(self.kept().marked());
        self.ephemerons.reset();
        self.palette.void();
        shared
            .progress
            .cycles_voided
            .fetch_add(1, Ordering::Relaxed);
        self.voids_in_a_row += 1;
        shared.roots.disarm();
        self.enter_phase(shared, Phase::Idle);
        self.ask(shared, Handshake::None);
        if self.voids_in_a_row < VOIDS_IN_A_ROW_MAX {
            shared.progress.request(CycleKind::Full);
        } else {
            shared.progress.stop_reclaiming();
        }
        self.tally.void(shared, reason.id(), self.voids_in_a_row);
        shared.signal.wake();
    }
}
