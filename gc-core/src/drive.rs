//! The drivers: who advances the cycle, when, and how much of it a mutator pays for.
//!
//! Mutators call in from allocation slow paths and polls (inside `enter`, where nothing may wait for
//! a handshake and no destructor runs) and from both edges of `enter` (with empty hands, where it may
//! wait); handles call in to collect as a whole. All of it ends in steps of the one state machine.
//!
//! Back-pressure has three stages: over the goal, mutators mark along; over the soft limit, and over
//! twice the goal, they also wait for the cycle at the edges of `enter`, for as long as the builder says at most;
//! at the hard limit allocation is refused. Nothing waits without a bound, since a mutator may hold what another one needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_utils::Backoff;
use gc_hooks::{Check, Phase, Violation};
use gc_sweep::{CycleKind, ForkMark, SweepMode};

use crate::courier::Courier;
use crate::crew::Crew;
use crate::engine::{CollectError, Engine, StepProgress};
use crate::progress::{CycleReport, Reclaiming};
use crate::record::Record;
use crate::request::Handshake;
use crate::shared::Shared;
use crate::verify::{self, Expect, Verifier, VerifyReport};

mod shutdown;

pub use shutdown::ShutdownError;

/// Work units of one step of a collection that was asked for as a whole.
pub(crate) const COLLECT_UNITS: usize = 1 << 16;
/// Work units between two looks at the clock while an edge of `enter` waits for a cycle.
const WAIT_UNITS: usize = 1 << 12;
/// Work units that a mutator pays at a time beside collector threads, and for how long at most: a unit
/// takes ten times as long where every object is a cache miss. What that leaves undone shows in the size
/// of the heap, and over twice the goal at the edges.
const ASSIST_UNITS_MAX: usize = 512;
const ASSIST_TIME_MAX: Duration = Duration::from_micros(40);
/// Work units paid at each edge of `enter` while a cycle runs.
const EDGE_UNITS: usize = 256;
/// How long an edge of `enter` waits for a cycle when the heap is over its soft limit, unless it is told.
pub(crate) const EDGE_WAIT: Duration = Duration::from_millis(20);
/// How long an allocation that hit the limit waits for the cycle in progress.
const RELIEF_WAIT_MAX: Duration = Duration::from_millis(100);
/// Longest sleep between two looks at mutators that have to answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_millis(1);

/// Who advances the cycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Driver {
    /// Only calls of [`Heap::step`](crate::Heap::step) and [`Heap::collect`](crate::Heap::collect).
    Manual,
    /// Mutators, in allocation slow paths, polls and at the edges of `enter`, paced by the heap's
    /// growth.
    #[default]
    Incremental,
    /// So many collector threads of the heap's own, which mark and sweep while mutators run and sleep
    /// while there is nothing to do. Mutators help only when they outrun them.
    Background(usize),
}

/// From where on mutators wait at the edges of `enter`, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pressure {
    pub(crate) soft_limit_bytes: Option<u64>,
    pub(crate) edge_wait: Duration,
}

/// An engine and the driver that advances it. What handles, mutators and roots hold.
pub(crate) struct Drive {
    engine: Arc<Engine>,
    driver: Driver,
    crew: Crew,
    /// None: whoever passes by delivers.
    courier: Option<Courier>,
    /// Tells a child of `fork` from the process whose threads serve this heap.
    fork: Option<ForkMark>,
    pressure: Pressure,
    /// Bytes ever allocated, as of the last assist. Written by mutators.
    bytes_assisted: AtomicU64,
}

impl core::ops::Deref for Drive {
    type Target = Engine;

    #[inline]
    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl Drive {
    /// Starts the driver of an engine.
    ///
    /// # Errors
    ///
    /// The system refuses a thread, or the page that tells a fork.
    pub(crate) fn start(
        engine: Engine,
        driver: Driver,
        pressure: Pressure,
        courier: Option<Courier>,
    ) -> std::io::Result<Self> {
        let engine = Arc::new(engine);
        let crew = match driver {
            Driver::Background(threads) => Crew::start(&engine, threads)?,
            Driver::Manual | Driver::Incremental => Crew::default(),
        };
        let has_threads = courier.is_some() || matches!(driver, Driver::Background(_));
        Ok(Drive {
            engine,
            driver,
            crew,
            courier,
            fork: has_threads.then(ForkMark::new),
            pressure,
            bytes_assisted: AtomicU64::new(0),
        })
    }

    pub(crate) fn driver(&self) -> Driver {
        self.driver
    }

    /// Refuses the use of a heap whose threads stayed in the parent process.
    #[inline]
    pub(crate) fn refuse_forked(&self) -> Result<(), CollectError> {
        match &self.fork {
            Some(fork) if fork.is_forked() => Err(self.report_forked()),
            _ => Ok(()),
        }
    }

    #[cold]
    fn report_forked(&self) -> CollectError {
        let violation = Violation::new(Check::Forked).with_cycle(self.shared.world.cycle());
        self.shared.hooks.report(violation);
        CollectError::Forked
    }

    /// Asks for a cycle; whoever drives the heap runs it.
    pub(crate) fn request(&self, kind: CycleKind) {
        if self.shared.progress.request(kind) {
            self.shared.signal.wake();
        }
    }

    /// Runs a whole cycle that begins after the call, after the one in progress.
    pub(crate) fn collect(&self, kind: CycleKind) -> Result<CycleReport, CollectError> {
        self.refuse_use()?;
        let report = self
            .run_cycle(kind, None, COLLECT_UNITS)
            .and_then(|report| {
                // Without a deadline the cycle ends, or the heap has stopped reclaiming.
                report.ok_or(CollectError::MutatorsInside)
            });
        self.deliver();
        report
    }

    /// Refuses callers that hold pointers, or are inside the collector.
    pub(crate) fn refuse_use(&self) -> Result<(), CollectError> {
        self.refuse_forked()?;
        self.refuse_callbacks()?;
        if self.shared.world.is_inside_here() {
            return Err(CollectError::WouldDeadlock);
        }
        Ok(())
    }

    /// Steps, by so many work units, until a cycle that was not yet open at the call has ended, a full one
    /// if that is asked for. `None` after the deadline.
    pub(crate) fn run_cycle(
        &self,
        kind: CycleKind,
        deadline: Option<Instant>,
        units: usize,
    ) -> Result<Option<CycleReport>, CollectError> {
        let shared = &self.shared;
        let first = shared.world.cycle() + 1;
        let backoff = Backoff::new();
        loop {
            if let Some(report) = shared.progress.finished_since(first, kind) {
                return Ok(Some(report));
            }
            if shared.progress.reclaiming() == Reclaiming::Stopped {
                return Err(CollectError::ReclaimingStopped);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            let opened = match kind {
                CycleKind::Full => shared.progress.full_opened(),
                CycleKind::Young => shared.world.cycle(),
            };
            if opened < first {
                self.request(kind);
            }
            let epoch = shared.signal.epoch();
            match self.step(units, SweepMode::Any)?.progress {
                StepProgress::Working | StepProgress::Idle => backoff.reset(),
                StepProgress::Waiting if backoff.is_completed() => {
                    shared.signal.await_answers();
                    shared.signal.wait_past(epoch, ANSWER_WAIT_MAX);
                }
                StepProgress::Waiting => backoff.snooze(),
            }
        }
    }

    /// Traces the heap a second time with its own books, and recomputes the accounts.
    pub(crate) fn verify(&self) -> Result<VerifyReport, CollectError> {
        self.refuse_use()?;
        let report = self.while_stopped(|held| {
            let mut words = Vec::new();
            for record in held {
                record
                    .local()
                    .for_each_run(|run| self.shared.space.sync(run));
                verify::words_of(record.local(), &mut words);
            }
            Verifier::new(&self.shared, Expect::Allocated).run(&words)
        });
        self.deliver();
        report
    }

    /// A mutator in an allocation slow path or a poll: starts a cycle when it is due, and pays for
    /// what was allocated since the last time. Destructors do not run here.
    pub(crate) fn assist(&self, record: &Record) {
        if self.driver == Driver::Manual || self.refuse_callbacks().is_err() {
            return;
        }
        let shared = &self.shared;
        let (totals, pacer) = (shared.totals(), shared.progress.pacer());
        let bytes_used = totals.bytes_used();
        if !self.is_active() {
            // A goal that cannot be is set right by the cycle that is asked for.
            let is_sound = pacer.is_sound(totals.bytes_in_spans());
            if is_sound && bytes_used < shared.progress.due_bytes(&pacer) {
                return;
            }
            self.request(CycleKind::Young);
        }
        if let Driver::Background(_) = self.driver
            && bytes_used < pacer.goal_bytes()
        {
            return;
        }
        if bytes_used / 2 >= pacer.goal_bytes() {
            shared.progress.press();
        }
        let begun = Instant::now();
        let total = shared.space.bytes_allocated_total();
        let owed = total.saturating_sub(self.bytes_assisted.swap(total, Ordering::Relaxed));
        let (mut units, mut until) = (pacer.assist_units(owed, bytes_used), None);
        if let Driver::Background(_) = self.driver {
            units = units.min(ASSIST_UNITS_MAX);
            until = Some(begun + ASSIST_TIME_MAX);
        }
        if !self.advance(units, SweepMode::WithoutDrop) {
            self.share_work(units, until);
        }
        record.paused_since(begun);
    }

    /// Advances the cycle as the incremental driver does. `false` when somebody else is at it.
    fn advance(&self, units: usize, mode: SweepMode) -> bool {
        self.driver == Driver::Incremental && self.try_step(units, mode).is_some()
    }

    /// Helps with what can be done beside the coordinator, until a moment if one is given.
    fn share_work(&self, units: usize, until: Option<Instant>) -> bool {
        match self.shared.world.phase() {
            Phase::Snapshot | Phase::Mark => self.assist_marking(units, until),
            Phase::Sweep => self.help_to_sweep(units, until),
            _ => false,
        }
    }

    fn soft_limit(&self) -> u64 {
        self.pressure.soft_limit_bytes.unwrap_or(u64::MAX)
    }

    /// Both edges of `enter`, with empty hands: hooks are delivered, and the incremental driver
    /// advances a running cycle, destructors included. Over the soft limit it waits for the cycle.
    #[inline]
    pub(crate) fn at_edge(&self, record: &Record) {
        if self.driver == Driver::Incremental && self.is_active() {
            let begun = Instant::now();
            if self.advance(EDGE_UNITS, SweepMode::Any) {
                record.paused_since(begun);
            }
        }
        if (self.pressure.soft_limit_bytes.is_some() || self.shared.progress.is_pressed())
            && self.driver != Driver::Manual
        {
            self.throttle(record);
        }
        if self.shared.events.has_news() || !self.shared.hooks.is_quiet() {
            self.deliver();
        }
    }

    #[cold]
    fn throttle(&self, record: &Record) {
        let progress = &self.shared.progress;
        let bytes_used = self.shared.totals().bytes_used();
        let is_over = bytes_used >= self.soft_limit();
        if !(progress.is_pressed() || is_over && progress.pacer().is_worth_waiting(bytes_used))
            || self.refuse_use().is_err()
        {
            return;
        }
        let begun = Instant::now();
        // A cycle that is refused, or not over by then, shows in the next allocation.
        let deadline = begun.checked_add(self.pressure.edge_wait);
        let _late_or_refused = self.run_cycle(CycleKind::Full, deadline, WAIT_UNITS);
        record.paused_since(begun);
    }

    /// An allocation hit the limit: marks and sweeps what can be done without the mutator leaving
    /// `enter`, and waits for others to do so. `true` when there is reason to try again.
    pub(crate) fn relieve(&self, record: &Record) -> bool {
        let shared = &self.shared;
        if shared.world.phase() == Phase::Idle {
            self.request(CycleKind::Full);
            shared.progress.press();
            return false;
        }
        let cycle = shared.world.cycle();
        let deadline = Instant::now() + RELIEF_WAIT_MAX;
        let backoff = Backoff::new();
        while is_ready_for_the_end(shared, record) {
            let step = self.try_step(COLLECT_UNITS, SweepMode::WithoutDrop);
            let is_alone = self.driver == Driver::Manual || self.driver == Driver::Incremental;
            match step.map(|step| step.progress) {
                Some(StepProgress::Working) => continue,
                Some(StepProgress::Idle) => break,
                Some(StepProgress::Waiting) if is_alone && shared.world.mutators_inside() < 2 => {
                    break;
                }
                _ if Instant::now() >= deadline => break,
                _ if self.share_work(COLLECT_UNITS, None) => {}
                _ => backoff.snooze(),
            }
        }
        if shared
            .progress
            .finished_since(cycle, CycleKind::Young)
            .is_some()
        {
            return true;
        }
        shared.progress.press();
        false
    }
}

/// Whether the cycle in progress can end while this mutator stays inside `enter`: it has handed over
/// its roots.
fn is_ready_for_the_end(shared: &Shared, record: &Record) -> bool {
    let asked = shared.world.request();
    asked.handshake() == Handshake::None && shared.world.phase() == Phase::Sweep
        || record.answered().cycle() == asked.cycle()
            && record.answered().handshake() == Handshake::Snapshot
}

impl Drop for Drive {
    fn drop(&mut self) {
        if self.fork.as_ref().is_some_and(ForkMark::is_forked) {
            self.crew.forget();
            self.courier.iter().for_each(Courier::forget);
        } else {
            self.stop_threads();
        }
    }
}
