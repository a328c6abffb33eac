//! The cycle: a state machine that advances by explicit steps.
//!
//! `Idle → Arm → Settle → Snapshot → Mark → Terminate → Clear → Sweep → Idle` (DESIGN 4.2). Drivers
//! only decide when to call [`Cycle::advance`] and how much work to allow; every stage lives here,
//! under one lock, and nothing bypasses it. A stage that needs mutators asks and answers
//! [`Advance::Waiting`] until they have answered. Helpers mark beside it behind the gate; the sweep
//! needs no lock and is left to the caller.
//!
//! Invariants. Arm is entered only when every span is swept, so no byte holds the new colour.
//! Nothing is scanned before every mutator has settled. The flip happens only after termination:
//! every mutator black, no helper behind the gate, no weak upgrade under way, every deque empty.
//! Voiding frees nothing, and the next cycle's colour differs from those of the last two (seven
//! colours, at most [`VOIDS_IN_A_ROW_MAX`] voids in a row). Deliberately absent: hooks and events,
//! which the engine delivers after a step.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gc_hooks::sync::yield_now;
use gc_hooks::{Check, CheckLevel, Origin, Phase, Violation};
use gc_sweep::Colour;

use crate::ephemeron::{self, Pending};
use crate::handshake;
use crate::mark::{self, Drained, Marker};
use crate::progress::{CycleReport, Reclaiming};
use crate::request::{Handshake, Request, colour_of};
use crate::shared::Shared;
use crate::verify::{self, Expect, Verifier};
use crate::weak;

/// Voided cycles in a row before the heap stops reclaiming. Seven colours carry five.
const VOIDS_IN_A_ROW_MAX: u32 = 3;
/// Times one cycle may go back to marking because work appeared after termination.
const LATE_RETURNS_MAX: u32 = 2;
/// Looks at the mutators' upgrades before a termination is put off. An upgrade is a few instructions.
const UPGRADE_LOOKS_MAX: u32 = 64;

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
    colour: Colour,
    marker: Marker,
    voids_in_a_row: u32,
    late_returns: u32,
    /// How far ephemerons are decided. While they have an index, nobody helps to mark.
    ephemerons: Pending,
    /// When the handshake in progress was asked for.
    asked_at: Instant,
    /// How long a mutator may take to answer.
    stall_deadline: Duration,
    is_stall_reported: bool,
    /// Bytes freed since the heap was built, at the flip.
    bytes_freed_before: u64,
    finished: Option<CycleReport>,
}

impl Cycle {
    pub(crate) fn new(stall_deadline: Duration) -> Self {
        let colour = colour_of(0);
        Cycle {
            number: 0,
            colour,
            marker: Marker::new(colour),
            voids_in_a_row: 0,
            late_returns: 0,
            ephemerons: Pending::default(),
            asked_at: Instant::now(),
            stall_deadline,
            is_stall_reported: false,
            bytes_freed_before: 0,
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

    /// Opens a cycle in a colour that no byte holds, and asks every mutator to arm.
    fn open(&mut self, shared: &Shared) -> Advance {
        if !shared.progress.is_requested() {
            return Advance::Idle;
        }
        shared.progress.take_request();
        if shared.progress.reclaiming() == Reclaiming::Stopped {
            return Advance::Idle;
        }
        debug_assert!(shared.space.is_swept());
        self.number += 1;
        self.colour = colour_of(self.number);
        self.marker.reset(self.colour);
        self.late_returns = 0;
        self.ephemerons.reset();
        shared.late_greys.store(0, Ordering::Relaxed);
        shared.progress.take_marked();
        shared.roots.arm(self.colour);
        self.enter_phase(shared, Phase::Arm);
        self.ask(shared, Handshake::Arm);
        Advance::More
    }

    fn enter_phase(&self, shared: &Shared, phase: Phase) {
        shared.world.set_phase(phase);
        shared.space.set_context(self.number, phase);
    }

    fn ask(&mut self, shared: &Shared, handshake: Handshake) {
        self.asked_at = Instant::now();
        self.is_stall_reported = false;
        shared.world.ask(Request::new(self.number, handshake));
    }

    /// Whether everyone has answered what was asked last.
    fn is_answered(&mut self, shared: &Shared) -> bool {
        let all = handshake::round(shared);
        if !all && !self.is_stall_reported && self.asked_at.elapsed() >= self.stall_deadline {
            self.report_stall(shared);
        }
        all
    }

    /// Names the mutator that keeps the collector waiting. The damage is contained by waiting: nothing
    /// is freed meanwhile, and what the others allocate is bounded by the limit.
    fn report_stall(&mut self, shared: &Shared) {
        let asked = shared.world.request();
        let stalled = shared
            .world
            .records()
            .into_iter()
            .find(|record| !record.answered().covers(asked) && record.is_in());
        let Some(record) = stalled else {
            return;
        };
        self.is_stall_reported = true;
        let waited_ms = self.asked_at.elapsed().as_millis();
        shared.hooks.report(
            Violation::new(Check::SafepointStalled)
                .with_cycle(self.number)
                .with_phase(shared.world.phase())
                .with_origin(Origin::Unknown)
                .with_call_site(record.call_site())
                .with_number("waited ms", u64::try_from(waited_ms).unwrap_or(u64::MAX))
                .with_number("handshake", asked.handshake() as u64),
        );
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
        let mut roots = Vec::new();
        shared.roots.addresses_into(&mut roots);
        for address in roots {
            shared.shade_root(address, self.colour, Origin::Root);
        }
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
            Drained::Budget => Advance::Budget,
            Drained::Dry => self.terminate(shared),
        }
    }

    /// Everyone is black and this marker is idle: with no helper left and no upgrade under way, one
    /// look at every deque decides. The phase is `Terminate` within this function only.
    fn terminate(&mut self, shared: &Shared) -> Advance {
        if !shared.marking.close() {
            self.mark_on(shared);
            return Advance::Waiting;
        }
        self.enter_phase(shared, Phase::Terminate);
        if !upgrades_have_ended(shared) {
            self.mark_on(shared);
            return Advance::Waiting;
        }
        if !mark::is_dry(shared) {
            self.mark_on(shared);
            return Advance::More;
        }
        let class = shared.ephemeron_class;
        if ephemeron::advance(shared, class, self.colour, &mut self.ephemerons) {
            self.mark_on(shared);
            return Advance::More;
        }
        self.enter_phase(shared, Phase::Clear);
        Advance::More
    }

    /// Goes back to marking. Helpers are welcome, unless this marker alone is told which objects
    /// ephemerons wait for.
    fn mark_on(&self, shared: &Shared) {
        self.enter_phase(shared, Phase::Mark);
        if !self.ephemerons.is_indexed() {
            shared.marking.open();
        }
    }

    /// Nulls weak cells and flips, unless work appeared since termination: then marks on, and
    /// voids the cycle when that repeats.
    fn clear_and_flip(&mut self, shared: &Shared) -> Advance {
        if shared.level == CheckLevel::Paranoid && !self.verify(shared) {
            self.void(shared);
            return Advance::More;
        }
        // What innocent barriers pushed late is marked already, and is popped by the next marking.
        if shared.late_greys.swap(0, Ordering::Relaxed) > 0 {
            self.late_returns += 1;
            if self.late_returns > LATE_RETURNS_MAX {
                self.void(shared);
            } else {
                self.mark_on(shared);
            }
            return Advance::More;
        }
        weak::clear_dead(shared, shared.weak_class, self.colour);
        ephemeron::clear_dead(shared, shared.ephemeron_class, self.colour);
        self.ephemerons.reset();
        self.voids_in_a_row = 0;
        self.bytes_freed_before = shared.space.usage().bytes_freed_total;
        shared.space.flip(self.number, self.colour);
        shared.roots.disarm();
        self.enter_phase(shared, Phase::Sweep);
        self.ask(shared, Handshake::None);
        shared.signal.wake();
        Advance::More
    }

    /// Asks the second opinion. `false` when it found a reachable object that is not marked.
    fn verify(&mut self, shared: &Shared) -> bool {
        let words = verify::stack_words(shared);
        let report = Verifier::new(shared, Expect::Marked(self.colour)).run(&words);
        report.objects_unmarked == 0
    }

    fn sweep(&mut self, shared: &Shared) -> Advance {
        if !shared.space.is_swept() {
            return Advance::Sweep;
        }
        let usage = shared.space.usage();
        let (objects_marked, bytes_marked) = shared.progress.take_marked();
        let report = CycleReport {
            cycle: self.number,
            objects_marked,
            bytes_marked,
            bytes_freed: usage.bytes_freed_total - self.bytes_freed_before,
            bytes_live: usage.bytes_live,
        };
        self.finished = Some(report.clone());
        shared.progress.finish(report);
        self.enter_phase(shared, Phase::Idle);
        shared.signal.wake();
        Advance::More
    }

    /// Ends the cycle without freeing anything, and starts again, a bounded number of times. The gate
    /// is closed, and nobody is behind it.
    ///
    /// Bytes are then a mix of two colours, both possibly live; the next cycle takes a third. What is
    /// left in deques is an object like any other: the next marking pops it.
    pub(crate) fn void(&mut self, shared: &Shared) {
        self.marker.reset(self.colour);
        self.ephemerons.reset();
        shared
            .progress
            .cycles_voided
            .fetch_add(1, Ordering::Relaxed);
        self.voids_in_a_row += 1;
        shared.roots.disarm();
        self.enter_phase(shared, Phase::Idle);
        self.ask(shared, Handshake::None);
        if self.voids_in_a_row < VOIDS_IN_A_ROW_MAX {
            shared.progress.request();
        } else {
            shared.progress.stop_reclaiming();
        }
        shared.signal.wake();
    }
}

/// Whether no mutator is between reading a weak reference and having shaded its target. An upgrade
/// that begins later sees the phase and waits for the decision.
fn upgrades_have_ended(shared: &Shared) -> bool {
    (0..UPGRADE_LOOKS_MAX).any(|look| {
        if look > 0 {
            yield_now();
        }
        shared
            .world
            .with_records(|records| records.iter().all(|record| !record.is_upgrading()))
    })
}
