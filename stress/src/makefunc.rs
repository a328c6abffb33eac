//! Scenario `makefunc`: Go bug 30041.
//!
//! Threads serve, each with a service of its own; with any driver but the manual one, parked
//! mutators sit beside each of them. The calling thread shows progress meanwhile, and when all have
//! served enough it collects, verifies and recounts, before each thread compares what its oracle
//! remembers with what is left.
//!
//! With the manual driver one thread serves and drives the heap, and the result follows from the
//! options alone, elapsed times aside. Otherwise the seed decides what is asked for and the machine
//! decides when the collector comes by, so two runs differ in what they find first and how often.
//!
//! Invariant: a thread that ends early, by an error or a panic, keeps nobody waiting: what is waited
//! for is the end of channels, which such a thread lets go of.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use gc_core::{Check, Health, Heap, VerifyReport};

use crate::audit::Audit;
use crate::error::Error;
use crate::ops::{Expected, Op, Program};
use crate::options::Options;
use crate::outcome::{First, Outcome};
use crate::parked;
use crate::recorder;
use crate::rng::Rng;
use crate::service::{self, Service};

/// Connections of each thread, each with a fiber of its own.
pub const CONNECTIONS: usize = service::CONNECTIONS;
/// Address space of the heap: some hundred times what the workload keeps alive.
pub(crate) const RESERVE_BYTES: usize = 4 << 30;
/// Time between two calls of the progress function.
const PROGRESS_EVERY: Duration = Duration::from_millis(50);
/// A thread that the machine does not run for a second is no news about the collector.
const STALL_DEADLINE: Duration = Duration::from_secs(120);

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// No violation yet after so many operations.
    Searching(u64),
    /// So many operations served since the first violation.
    ServingOn(u64),
}

/// Runs the scenario.
///
/// # Errors
///
/// The machine refuses memory, or the scenario contradicts itself.
pub fn run(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Outcome, Error> {
    let begun = Instant::now();
    let hook_deliveries = Arc::new(AtomicU64::new(0));
    let heap = build(options, &hook_deliveries)?;
    let search = Search::new(options.ops, heap.health(), begun);
    let served = serve(options, &heap, &search, progress)?;
    outcome(options, &heap, search, served, &hook_deliveries)
}

/// What a run came to, when everything is at rest.
fn outcome(
    options: &Options,
    heap: &Heap,
    search: Search,
    served: Served,
    hook_deliveries: &AtomicU64,
) -> Result<Outcome, Error> {
    let (Served { verification, sum }, begun) = (served, search.begun);
    let stats = heap.stats();
    let is_ledger_balanced = heap.ledger()?.is_balanced();
    heap.deliver();
    let health = heap.health();
    // What only shows when everything comes to rest is found by the last operation.
    search.look(sum.ops);
    let first = search.first.into_inner();
    Ok(Outcome {
        options: options.clone(),
        ops_after_first: first.as_ref().map_or(0, |first| sum.ops - first.at_op),
        first,
        violations: Check::ALL
            .iter()
            .map(|check| (*check, health.count(*check)))
            .filter(|(_, count)| *count > 0)
            .collect(),
        hook_deliveries: hook_deliveries.load(Ordering::Relaxed),
        is_healthy: health.is_healthy(),
        ops: sum.ops,
        cycles: stats.cycle,
        at_rest: sum.at_rest,
        under_way: sum.under_way,
        verification,
        is_ledger_balanced,
        quarantined_bytes: stats.bytes_quarantined,
        quarantined_spans: stats.spans_quarantined,
        elapsed_ms: elapsed_ms(begun),
    })
}

fn elapsed_ms(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn build(options: &Options, hook_deliveries: &Arc<AtomicU64>) -> Result<Heap, Error> {
    let deliveries = Arc::clone(hook_deliveries);
    let policy = options.policy.clone().with_hook(move |_| {
        deliveries.fetch_add(1, Ordering::Relaxed);
    });
    let mut builder = Heap::builder();
    if let Some(path) = &options.health_record {
        builder = builder.record(path);
    }
    if let Some(bytes) = options.nursery_bytes {
        builder = builder.generational(bytes);
    }
    Ok(builder
        .name("makefunc")
        .driver(options.driver.0)
        .policy(policy)
        .checks(options.checks)
        .reserve_bytes(RESERVE_BYTES)
        .stall_deadline(STALL_DEADLINE)
        .build()?)
}

/// Runs the scenario on the calling thread with the manual driver, and records what it does to its heap.
/// Of several threads each becomes a logical mutator; whose turn it is, operation by operation, is drawn
/// from the seed.
///
/// # Errors
///
/// As for [`run`].
pub fn record(
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Outcome, Recording), Error> {
    let begun = Instant::now();
    let hook_deliveries = Arc::new(AtomicU64::new(0));
    let heap = build(options, &hook_deliveries)?;
    recorder::start(heap.health());
    let search = Search::new(options.ops, heap.health(), begun);
    let mut turns = Rng::for_purpose(options.seed, "turns");
    let mut services = (0..options.threads as u64)
        .map(|thread| Service::open(&heap, options, thread))
        .collect::<Result<Vec<_>, _>>()?;
    search.look(0);
    while let Some(op) = search.claim() {
        recorder::tell(|_| Op::Mark { number: op });
        let turn = turns.index(services.len());
        services[turn].serve()?;
        search.look(op);
        progress(search.progress());
    }
    heap.collect()?;
    recorder::tell(|_| Op::Collect);
    let verification = heap.verify()?;
    recorder::tell(|_| Op::Verify);
    let recording = Recording(recorder::finish().unwrap_or_default());
    let mut sum = Tally::default();
    for service in &mut services {
        sum.ops += service.ops();
        sum.at_rest += service.audit()?;
        sum.under_way += service.under_way();
    }
    let served = Served { verification, sum };
    let outcome = outcome(options, &heap, search, served, &hook_deliveries)?;
    Ok((outcome, recording))
}

/// What was done to the heap of a run, and what was reported of it.
pub struct Recording(pub(crate) (Program, Vec<Expected>));

impl Recording {
    /// What was done.
    pub(crate) fn into_program(self) -> Program {
        self.0.0
    }
}

/// What the threads share: the operations that are left, and the first violation.
struct Search {
    health: Health,
    begun: Instant,
    /// Operations in search of the first violation, and operations after it.
    ops: u64,
    /// Operations given out.
    claimed: AtomicU64,
    /// The last operation to give out.
    last: AtomicU64,
    first: OnceLock<First>,
}

impl Search {
    fn new(ops: u64, health: Health, begun: Instant) -> Self {
        Search {
            health,
            begun,
            ops,
            claimed: AtomicU64::new(0),
            last: AtomicU64::new(ops),
            first: OnceLock::new(),
        }
    }

    /// The number of the next operation, from 1, while there is one.
    fn claim(&self) -> Option<u64> {
        let is_left = |claimed| (claimed < self.last.load(Ordering::Relaxed)).then(|| claimed + 1);
        let claimed = self
            .claimed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_left);
        claimed.ok().map(|before| before + 1)
    }

    /// After an operation: has anything been found? The first time, it adds as many operations.
    fn look(&self, op: u64) {
        if self.health.total() == 0 || self.first.get().is_some() {
            return;
        }
        if let Some(violation) = self.health.first() {
            self.first.get_or_init(|| {
                self.last.store(op + self.ops, Ordering::Relaxed);
                First {
                    violation,
                    at_op: op,
                    elapsed_ms: elapsed_ms(self.begun),
                }
            });
        }
    }

    fn progress(&self) -> Progress {
        let claimed = self.claimed.load(Ordering::Relaxed);
        match self.first.get() {
            None => Progress::Searching(claimed),
            Some(first) => Progress::ServingOn(claimed.saturating_sub(first.at_op)),
        }
    }
}

/// What one thread did, or all of them.
#[derive(Default)]
struct Tally {
    ops: u64,
    at_rest: Audit,
    under_way: Audit,
}

/// What the threads did together, and the second opinion in between.
struct Served {
    verification: VerifyReport,
    sum: Tally,
}

/// Lets the threads serve, looks at the heap when all have, and lets them compare.
fn serve(
    options: &Options,
    heap: &Heap,
    search: &Search,
    progress: &mut dyn FnMut(Progress),
) -> Result<Served, Error> {
    thread::scope(|scope| {
        let (still_serving, all_served) = mpsc::channel();
        let (mut at_rest, mut workers) = (Vec::new(), Vec::new());
        for thread in 0..options.threads as u64 {
            let (not_at_rest, is_at_rest) = mpsc::channel();
            at_rest.push(not_at_rest);
            let still_serving = still_serving.clone();
            workers.push(scope.spawn(move || {
                let turn = Turn {
                    still_serving,
                    is_at_rest,
                };
                work(options, heap, search, thread, turn)
            }));
        }
        drop(still_serving);
        while all_served.recv_timeout(PROGRESS_EVERY) == Err(RecvTimeoutError::Timeout) {
            progress(search.progress());
        }
        heap.collect()?;
        let verification = heap.verify()?;
        drop(at_rest);
        let mut sum = Tally::default();
        for worker in workers {
            let tally = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            sum.ops += tally.ops;
            sum.at_rest += tally.at_rest;
            sum.under_way += tally.under_way;
        }
        Ok(Served { verification, sum })
    })
}

/// How a thread and the calling one take turns: each end of a channel is a sign. Nothing is sent.
struct Turn {
    still_serving: Sender<Infallible>,
    is_at_rest: Receiver<Infallible>,
}

/// The life of a thread that serves.
fn work(
    options: &Options,
    heap: &Heap,
    search: &Search,
    thread: u64,
    turn: Turn,
) -> Result<Tally, Error> {
    let mut service = Service::open(heap, options, thread)?;
    let (mut resting, mut dozing) = parked::open(heap, options, thread)?;
    let served = resting.while_parked(|| {
        search.look(0);
        while let Some(op) = search.claim() {
            service.serve()?;
            dozing.wake_now_and_then()?;
            search.look(op);
        }
        drop(turn.still_serving);
        let _at_rest = turn.is_at_rest.recv();
        Ok::<_, Error>(())
    });
    served.transpose()?;
    let (mut at_rest, mut under_way) = (service.audit()?, service.under_way());
    at_rest += resting.audit()?;
    at_rest += dozing.audit()?;
    under_way += dozing.under_way();
    Ok(Tally {
        ops: service.ops(),
        at_rest,
        under_way,
    })
}
