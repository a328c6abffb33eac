//! The soak: threads build, change, share and drop random graphs for as long as one likes, and an
//! oracle outside the heap knows what every object must be.
//!
//! Nothing is broken on purpose, so a violation is a false alarm of a check or a fault of the
//! collector, and an object that is not what the oracle knows is a fault of the collector. Busy
//! threads live for some hundred operations and are replaced; keepers stay parked until they are
//! given a graph; the heap's limit is so low that it is reached now and then.
//!
//! The calling thread replaces threads, lets the heap be verified and its books be recounted every
//! second, and looks at what is left when all have ended: first everything that somebody still
//! shares, then, with nothing rooted any more, that the heap is empty.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use gc_core::{Check, Checks, CollectError, Heap, Policy};

use crate::driver::DriverChoice;
use crate::error::Error;
use shared::{Order, Shared};

mod board;
mod keeper;
pub mod report;
mod shared;
mod worker;

/// Time between two verifications, and at most between two calls of the progress function.
const VERIFY_EVERY: Duration = Duration::from_secs(1);
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// A thread that the machine does not run for a second is no news about the collector.
const STALL_DEADLINE: Duration = Duration::from_secs(120);
/// The soft limit, of the hard one.
const SOFT_LIMIT_PERCENT: usize = 75;
/// Keepers beside each busy thread.
const KEEPERS_PER_THREAD: usize = 4;

/// What a soak is told.
#[derive(Clone, Debug)]
pub struct SoakOptions {
    /// Where the decisions of all threads come from.
    pub seed: u64,
    /// Most minutes of work.
    pub minutes: Option<f64>,
    /// Most operations.
    pub ops: Option<u64>,
    /// Busy threads.
    pub threads: usize,
    /// Who advances the collector; not [`gc_core::Driver::Manual`].
    pub driver: DriverChoice,
    /// How hard the heap looks.
    pub checks: Checks,
    /// The heap's hard limit in MiB.
    pub limit_mib: usize,
    /// Bytes of its nursery; without it every cycle is full.
    pub nursery_bytes: Option<usize>,
}

/// What a soak came to.
#[derive(Clone, Debug)]
pub struct SoakOutcome {
    /// What it was told.
    pub options: SoakOptions,
    /// Time that it took.
    pub elapsed: Duration,
    /// Operations done.
    pub ops: u64,
    /// Cycles that ran to their end.
    pub cycles: u64,
    /// Young ones among them.
    pub cycles_young: u64,
    /// Cycles that ended without freeing anything.
    pub cycles_voided: u64,
    /// Objects marked by all cycles.
    pub objects_marked: u64,
    /// Looks of the oracle.
    pub objects_checked: u64,
    /// Looks that found something else than the oracle knows.
    pub lost: u64,
    /// The first of those, in words.
    pub losses: Vec<String>,
    /// Violations by check, those that never happened left out.
    pub violations: Vec<(Check, u64)>,
    /// The first one.
    pub first: Option<gc_core::Violation>,
    /// Busy threads that ended.
    pub threads_churned: u64,
    /// Operations that the heap's limit refused.
    pub limit_hits: u64,
    /// Verifications, each with a recount of the books; and those that found something.
    pub verifications: u64,
    /// Verifications that found something, or books that did not agree.
    pub verifications_failed: u64,
    /// Bytes that were left when nothing was rooted any more.
    pub bytes_left: u64,
    /// Longest time that a mutator was kept from its work.
    pub pause_max: Duration,
}

impl SoakOutcome {
    /// Violations of all checks.
    pub fn violations_total(&self) -> u64 {
        self.violations.iter().map(|(_, count)| count).sum()
    }

    /// The rate of false alarms, each object marked, that is exceeded with a probability of 5 % at
    /// most when none was seen: the rule of three.
    pub fn false_positives_below(&self) -> f64 {
        3.0 / self.objects_marked.max(1) as f64
    }

    /// Whether an object was lost or the heap's books are wrong.
    pub fn is_damaged(&self) -> bool {
        self.lost > 0 || self.verifications_failed > 0 || self.bytes_left > 0
    }

    /// The exit code that says what the soak means.
    pub fn exit_code(&self) -> u8 {
        match (self.is_damaged(), self.violations_total()) {
            (true, _) => 70,
            (false, 0) => 0,
            (false, _) => 10,
        }
    }
}

/// Says that a thread has ended, however it did.
struct Farewell {
    thread: u64,
    ended: Sender<u64>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        // Nobody listens any more only when the soak itself has failed.
        let _listener = self.ended.send(self.thread);
    }
}

/// Books of the verifications.
#[derive(Default)]
struct Verified {
    times: u64,
    failed: u64,
}

impl Verified {
    /// Verifies and recounts. Threads that the machine does not run may stay inside `enter` for
    /// longer than a recount waits; then it is left out.
    fn look(&mut self, heap: &Heap) -> Result<(), Error> {
        let seen = heap
            .verify()
            .and_then(|report| Ok(report.is_clean() && heap.ledger()?.is_balanced()));
        match seen {
            Ok(is_clean) => {
                self.times += 1;
                self.failed += u64::from(!is_clean);
                Ok(())
            }
            Err(CollectError::MutatorsInside) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Runs the soak. `progress` gets operations and seconds so far.
///
/// # Errors
///
/// The machine refuses threads or memory other than by the heap's limit.
pub fn run(
    options: &SoakOptions,
    progress: &mut dyn FnMut(u64, Duration),
) -> Result<SoakOutcome, Error> {
    let begun = Instant::now();
    let heap = build(options)?;
    let keepers = options.threads * KEEPERS_PER_THREAD;
    let (orders, inboxes): (Vec<_>, Vec<_>) = (0..keepers).map(|_| mpsc::sync_channel(2)).unzip();
    let shared = Arc::new(Shared::new(options, &heap, orders)?);
    let mut verified = Verified::default();
    let threads_churned = thread::scope(|scope| {
        let keepers: Vec<_> = inboxes
            .into_iter()
            .map(|inbox| {
                let shared = Arc::clone(&shared);
                scope.spawn(move || keeper::keep(&shared, &inbox))
            })
            .collect();
        let churned = Crew::new(scope, &shared).run(begun, &mut verified, progress);
        shared.stop();
        for keeper in &shared.keepers {
            // One that has ended by an error says so when it is joined.
            let _ended_already = keeper.send(Order::End);
        }
        keepers.into_iter().try_for_each(join)?;
        churned
    })?;
    heap.collect()?;
    verified.look(&heap)?;
    shared.audit_what_is_left()?;
    let mut outcome = outcome(options, &shared, &heap, begun.elapsed());
    outcome.threads_churned = threads_churned;
    drop(shared);
    // Twice: an object that was dropped while a cycle marked is found dead by the next one.
    heap.collect()?;
    heap.collect()?;
    verified.look(&heap)?;
    outcome.bytes_left = heap.stats().bytes_live;
    outcome.verifications = verified.times;
    outcome.verifications_failed = verified.failed;
    Ok(outcome)
}

fn build(options: &SoakOptions) -> Result<Heap, Error> {
    let limit = options.limit_mib << 20;
    let mut builder = Heap::builder()
        .name("soak")
        .driver(options.driver.0)
        .policy(Policy::MARK_UNHEALTHY)
        .checks(options.checks)
        .limit_bytes(limit)
        .soft_limit_bytes(limit / 100 * SOFT_LIMIT_PERCENT)
        .stall_deadline(STALL_DEADLINE);
    if let Some(bytes) = options.nursery_bytes {
        builder = builder.generational(bytes);
    }
    Ok(builder.build()?)
}

fn join(handle: ScopedJoinHandle<'_, Result<(), Error>>) -> Result<(), Error> {
    handle
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The busy threads.
struct Crew<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    shared: Arc<Shared>,
    running: HashMap<u64, ScopedJoinHandle<'scope, Result<(), Error>>>,
    ended: (Sender<u64>, Receiver<u64>),
    started: u64,
}

impl<'scope, 'env> Crew<'scope, 'env> {
    fn new(scope: &'scope Scope<'scope, 'env>, shared: &Arc<Shared>) -> Self {
        Crew {
            scope,
            shared: Arc::clone(shared),
            running: HashMap::new(),
            ended: mpsc::channel(),
            started: 0,
        }
    }

    fn start(&mut self) {
        self.started += 1;
        let thread = self.started;
        let farewell = Farewell {
            thread,
            ended: self.ended.0.clone(),
        };
        let shared = Arc::clone(&self.shared);
        let handle = self.scope.spawn(move || {
            let _farewell = farewell;
            worker::work(&shared, thread)
        });
        self.running.insert(thread, handle);
    }

    /// Keeps as many threads busy as were asked for until it is time to end, and answers how many
    /// have ended by then.
    fn run(
        mut self,
        begun: Instant,
        verified: &mut Verified,
        progress: &mut dyn FnMut(u64, Duration),
    ) -> Result<u64, Error> {
        let minutes = self.shared.options.minutes;
        let deadline = minutes.map(|minutes| begun + Duration::from_secs_f64(minutes * 60.0));
        (0..self.shared.options.threads).for_each(|_| self.start());
        let (mut verified_at, mut result) = (Instant::now(), Ok(()));
        while !self.running.is_empty() {
            match self.ended.1.recv_timeout(PROGRESS_EVERY) {
                Ok(thread) => {
                    let handle = self.running.remove(&thread);
                    let ended = handle.map_or(Ok(()), join);
                    if ended.is_err() {
                        self.shared.stop();
                        result = result.and(ended);
                    }
                    if !self.shared.is_over() {
                        self.start();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            progress(self.shared.ops(), begun.elapsed());
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.shared.stop();
            }
            if verified_at.elapsed() >= VERIFY_EVERY {
                verified.look(&self.shared.heap)?;
                verified_at = Instant::now();
            }
        }
        result.map(|()| self.started)
    }
}

fn outcome(options: &SoakOptions, shared: &Shared, heap: &Heap, elapsed: Duration) -> SoakOutcome {
    let (stats, health) = (heap.stats(), heap.health());
    let audit = shared.audit();
    SoakOutcome {
        options: options.clone(),
        elapsed,
        ops: shared.ops(),
        cycles: stats.cycles_finished,
        cycles_young: stats.cycles_young,
        cycles_voided: stats.cycles_voided,
        objects_marked: stats.objects_marked_total,
        objects_checked: audit.checked,
        lost: audit.damaged,
        losses: shared.losses(),
        violations: Check::ALL
            .iter()
            .map(|check| (*check, health.count(*check)))
            .filter(|(_, count)| *count > 0)
            .collect(),
        first: health.first(),
        threads_churned: 0,
        limit_hits: shared.limit_hits(),
        verifications: 0,
        verifications_failed: 0,
        bytes_left: 0,
        pause_max: Duration::from_nanos(stats.pauses.max_ns()),
    }
}
