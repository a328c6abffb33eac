//! One execution: a heap, its mutators and a collector, from first object to last.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use gc_core::fault::{Persistence, Site};
use gc_core::{Check, CheckLevel, Driver, Heap, Policy, StepProgress};
use gc_hooks::sync::yield_now;
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use crate::objects::{Guard, Handle};
use crate::oracle::Oracle;
use crate::program::{Thread, give_way};

/// What is played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) mutators: usize,
    pub(crate) driver: Driver,
    pub(crate) level: CheckLevel,
    /// Times each mutator enters.
    pub(crate) enters: usize,
    /// Operations inside, at most, but for two.
    pub(crate) operations: usize,
    /// The heap has generations, and of so many cycles all but one are asked for as young ones.
    pub(crate) young: Option<usize>,
    /// Leaves out every write barrier.
    pub(crate) skips_barriers: bool,
    /// No store of a newborn object is remembered.
    pub(crate) forgets_stores: bool,
    /// The model takes pointers to be held beyond `enter`.
    pub(crate) carries_pointers: bool,
    /// Now and then an object that somebody holds is made white again while marking runs.
    pub(crate) loses_marks: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            mutators: 2,
            driver: Driver::Manual,
            level: CheckLevel::Default,
            enters: 12,
            operations: 6,
            young: None,
            skips_barriers: false,
            forgets_stores: false,
            carries_pointers: false,
            loses_marks: false,
        }
    }
}

/// What all threads share.
pub(crate) struct Stage<G: Guard> {
    pub(crate) heap: Heap,
    pub(crate) oracle: Arc<Oracle>,
    pub(crate) plan: Plan,
    /// Roots on their way between threads. Never locked across a scheduling point.
    mailbox: Mutex<Vec<Handle<G>>>,
    running: AtomicUsize,
    /// Roots of a few objects, for all threads and for good.
    pub(crate) anchors: OnceLock<Vec<Handle<G>>>,
}

impl<G: Guard> Stage<G> {
    pub(crate) fn post(&self, handle: Handle<G>) {
        let mut mailbox = self.mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        mailbox.push(handle);
    }

    pub(crate) fn receive(&self) -> Option<Handle<G>> {
        let mut mailbox = self.mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        if mailbox.is_empty() {
            return None;
        }
        let at = thread_rng().gen_range(0..mailbox.len());
        Some(mailbox.swap_remove(at))
    }
}

/// How an execution went.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What the model found wrong.
    pub(crate) complaints: Vec<String>,
    /// What the heap found wrong.
    pub(crate) violations: Vec<Check>,
    /// In which phases operations were, by the phase's number.
    pub(crate) phases_met: BTreeSet<u8>,
    /// Weak references and ephemerons found empty.
    pub(crate) found_dead: u64,
    pub(crate) cycles: u64,
    pub(crate) cycles_young: u64,
    pub(crate) bytes_freed: u64,
}

impl Outcome {
    /// Adds what another execution came to.
    pub(crate) fn absorb(&mut self, other: Outcome) {
        self.complaints.extend(other.complaints);
        self.violations.extend(other.violations);
        self.phases_met.extend(other.phases_met);
        self.found_dead += other.found_dead;
        self.cycles += other.cycles;
        self.cycles_young += other.cycles_young;
        self.bytes_freed += other.bytes_freed;
    }
}

/// See the module.
pub(crate) struct Scene<G: Guard> {
    stage: Arc<Stage<G>>,
}

/// The smallest nursery; cycles are asked for long before it is full.
const NURSERY_BYTES: usize = 64 << 10;
/// Objects that exist before anybody runs.
const FIRST_OBJECTS: usize = 10;

impl<G: Guard> Scene<G> {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut builder = Heap::builder()
            .driver(plan.driver)
            .policy(Policy::COUNT)
            .checks(plan.level)
            .reserve_bytes(8 << 20)
            // Time stands for nothing here.
            .stall_deadline(Duration::MAX);
        if plan.young.is_some() {
            builder = builder.generational(NURSERY_BYTES);
        }
        let heap = builder.build().unwrap();
        let stage = Arc::new(Stage {
            heap,
            oracle: Arc::default(),
            plan,
            mailbox: Mutex::default(),
            running: AtomicUsize::new(plan.mutators),
            anchors: OnceLock::new(),
        });
        Scene { stage }
    }

    /// Runs everybody to the end, and judges what is left.
    pub(crate) fn play(self) -> Outcome {
        let stage = self.stage;
        let mut mutator = stage.heap.mutator();
        let anchors = Thread::new(Arc::clone(&stage), 0).set_up(&mut mutator, FIRST_OBJECTS);
        assert!(stage.anchors.set(anchors).is_ok());
        drop(mutator);
        if stage.plan.young.is_some() {
            // What was made so far is old to all cycles that follow.
            stage.heap.collect().unwrap();
        }
        if stage.plan.skips_barriers {
            let fault = stage.heap.fault();
            fault.arm(Site::BarrierSkipped, 0, Persistence::Persistent);
        }
        if stage.plan.forgets_stores {
            let fault = stage.heap.fault();
            fault.arm(Site::StoreUnremembered, 0, Persistence::Persistent);
        }
        let mutators: Vec<_> = (1..=stage.plan.mutators)
            .map(|number| {
                let stage = Arc::clone(&stage);
                thread::spawn(move || {
                    let roots = Thread::new(Arc::clone(&stage), number).run();
                    stage.running.fetch_sub(1, Ordering::Relaxed);
                    roots
                })
            })
            .collect();
        let collector = {
            let stage = Arc::clone(&stage);
            thread::spawn(move || collect(&stage))
        };
        let mut roots = Vec::new();
        for mutator in mutators {
            roots.extend(mutator.join().unwrap());
        }
        collector.join().unwrap();
        judge(&stage);
        let outcome = outcome(&stage);
        stage.oracle.close();
        outcome
    }
}

fn outcome<G: Guard>(stage: &Stage<G>) -> Outcome {
    let (stats, found) = (stage.heap.stats(), stage.heap.health().recent());
    Outcome {
        complaints: stage.oracle.take_complaints(),
        violations: found.iter().map(|violation| violation.check).collect(),
        phases_met: stage.oracle.phases_met(),
        found_dead: stage.oracle.dead_found(),
        cycles: stats.cycles_finished,
        cycles_young: stats.cycles_young,
        bytes_freed: stats.bytes_freed_total,
    }
}

/// Collects while mutators run.
fn collect<G: Guard>(stage: &Stage<G>) {
    let is_over = || stage.running.load(Ordering::Relaxed) == 0 || stage.oracle.has_complaints();
    let request = || match stage.plan.young {
        Some(cycles) if thread_rng().gen_range(0..cycles) > 0 => stage.heap.request_collect_young(),
        _ => stage.heap.request_collect(),
    };
    step_until(&stage.heap, request, is_over);
}

/// Cycle after cycle in small steps, as asked for, until somebody says that it is over.
pub(crate) fn step_until(heap: &Heap, request: impl Fn(), is_over: impl Fn() -> bool) {
    request();
    while !is_over() {
        let budget = thread_rng().gen_range(1..8);
        let step = heap.step(budget).unwrap();
        if step.finished.is_some() || step.progress == StepProgress::Idle {
            request();
            yield_now();
        } else if step.progress == StepProgress::Waiting {
            yield_now();
        } else {
            give_way(6);
        }
    }
}

/// With nobody inside, two collections leave exactly what the model can reach.
fn judge<G: Guard>(stage: &Stage<G>) {
    let (heap, oracle) = (&stage.heap, &stage.oracle);
    if oracle.has_complaints() {
        return;
    }
    for _ in 0..2 {
        if let Err(error) = heap.collect() {
            return oracle.complain(error.to_string());
        }
    }
    let (verdict, report) = (oracle.judge(), heap.verify().unwrap());
    let ledger = heap.ledger().unwrap();
    let health = heap.health();
    let checks = [
        (
            health.total() == 0,
            format!("the heap reports {:?}", health.recent()),
        ),
        (report.is_clean(), format!("the verifier finds {report:?}")),
        (ledger.is_balanced(), format!("the books say {ledger:?}")),
        (
            report.objects_reachable == verdict.objects_and_cells,
            format!(
                "{} are reachable, and not {}",
                report.objects_reachable, verdict.objects_and_cells
            ),
        ),
        (
            ledger.objects == verdict.objects_and_cells,
            format!(
                "{} exist, and not {}",
                ledger.objects, verdict.objects_and_cells
            ),
        ),
        (
            !G::TELLS || verdict.leaked.is_empty(),
            format!("{:?} are left over", verdict.leaked),
        ),
    ];
    for (holds, complaint) in checks {
        if !holds {
            oracle.complain(complaint);
        }
    }
}
