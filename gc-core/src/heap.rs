//! [`Heap`] and its [`Builder`]: the handle through which a program owns a managed heap.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crossbeam_deque::Injector;
use gc_hooks::{CheckLevel, Delivery, Health, Hooks, Phase, Policy, PolicyError};
use gc_sweep::{AllocError, ClassId, Ledger, Space, SpaceConfig, SpaceError, SweepMode};

use crate::cycle::Cycle;
use crate::drive::{Drive, Driver, ShutdownError};
use crate::engine::{CollectError, Engine, StepReport};
use crate::ephemeron::EphemeronCell;
use crate::gate::Gate;
use crate::mutator::Mutator;
use crate::object::sealed::Described;
use crate::progress::{CycleReport, Progress};
use crate::roots::RootTable;
use crate::shared::Shared;
use crate::signal::Signal;
use crate::stats::HeapStats;
use crate::types::{Types, Wanted};
use crate::verify::VerifyReport;
use crate::weak::WeakCell;
use crate::world::World;

/// A heap could not be built.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A size is out of range, or the operating system refused the reservation.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// `GC_POLICY` could not be read as a policy.
    #[error("GC_POLICY: {0}")]
    Policy(#[from] PolicyError),
    /// The growth goal is out of range.
    #[error("growth of {percent} % is out of range: 1 to 10000")]
    Growth {
        /// The value given.
        percent: u32,
    },
    /// The number of collector threads is out of range.
    #[error("{threads} collector threads are out of range: 1 to {COLLECTOR_THREADS_MAX}")]
    CollectorThreads {
        /// The value given.
        threads: usize,
    },
    /// The soft limit lies above the limit.
    #[error("a soft limit of {soft_limit_bytes} bytes lies above the limit of {limit_bytes}")]
    SoftLimit {
        /// The soft limit given.
        soft_limit_bytes: usize,
        /// The limit given.
        limit_bytes: usize,
    },
    /// The operating system refused a collector thread.
    #[error("a collector thread could not be started: {0}")]
    Thread(io::ErrorKind),
    /// The heap's own objects could not be set up.
    #[error(transparent)]
    Alloc(#[from] AllocError),
}

/// Collector threads one heap can have.
const COLLECTOR_THREADS_MAX: usize = 64;

/// Settings of a heap; from [`Heap::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    driver: Driver,
    policy: Policy,
    level: CheckLevel,
    growth_percent: u32,
    name: &'static str,
    soft_limit_bytes: Option<usize>,
    stall_deadline: Duration,
    space: SpaceConfig,
}

impl Builder {
    /// Who advances the cycle. Default: [`Driver::Incremental`].
    pub fn driver(mut self, driver: Driver) -> Self {
        self.driver = driver;
        self
    }

    /// What follows from a violated check. Default: [`Policy::ABORT`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Takes the policy from the environment variable `GC_POLICY` when it is set; otherwise keeps
    /// the one given so far. A hook given so far stays.
    ///
    /// # Errors
    ///
    /// The text is not a policy; the error names the position and the choices.
    pub fn policy_from_env(mut self) -> Result<Self, Error> {
        if let Some(policy) = Policy::from_env()? {
            self.policy = policy.with_hook_of(&self.policy);
        }
        Ok(self)
    }

    /// How closely the collector looks. Default: [`CheckLevel::Default`].
    pub fn checks(mut self, level: CheckLevel) -> Self {
        self.level = level;
        self
    }

    /// Bytes of pages the heap may use; beyond it allocation answers [`AllocError::Limit`].
    /// Default: none but the reservation.
    pub fn limit_bytes(mut self, bytes: usize) -> Self {
        self.space.limit_bytes = Some(bytes);
        self
    }

    /// Bytes of live objects above which mutators help to collect, and wait a little for the collector
    /// at the edges of [`Mutator::enter`] before they go on. Not with [`Driver::Manual`]. Default: none.
    pub fn soft_limit_bytes(mut self, bytes: usize) -> Self {
        self.soft_limit_bytes = Some(bytes);
        self
    }

    /// How long a mutator may keep the collector waiting before it is named in a `safepoint-stalled`
    /// violation. Default: one second.
    pub fn stall_deadline(mut self, deadline: Duration) -> Self {
        self.stall_deadline = deadline;
        self
    }

    /// How far the heap may grow over what survived the last cycle, in percent. Default: 100.
    pub fn growth_percent(mut self, percent: u32) -> Self {
        self.growth_percent = percent;
        self
    }

    /// Bytes of address space to reserve. Default: 64 GiB; smaller when refused.
    pub fn reserve_bytes(mut self, bytes: usize) -> Self {
        self.space.reserve_bytes = bytes;
        self
    }

    /// Bytes that containment may withdraw before `quarantine-limit` is reported.
    pub fn quarantine_limit_bytes(mut self, bytes: usize) -> Self {
        self.space.quarantine_limit_bytes = bytes;
        self
    }

    /// Name for events and statistics. Default: `"heap"`.
    pub fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Builds the heap.
    ///
    /// # Errors
    ///
    /// A setting is out of range, or the operating system refuses address space or a thread.
    pub fn build(self) -> Result<Heap, Error> {
        self.check()?;
        let goal_limit_bytes = self.goal_limit_bytes();
        let hooks = Arc::new(Hooks::new(self.policy));
        let space = Space::new(self.space, Arc::clone(&hooks))?;
        let types = Types::new();
        let shared = Shared {
            weak_class: class_of::<WeakCell>(&types, &space)?,
            ephemeron_class: class_of::<EphemeronCell>(&types, &space)?,
            space,
            hooks,
            types,
            world: World::new(),
            roots: RootTable::default(),
            injector: Injector::new(),
            packets: Injector::new(),
            hungry: AtomicU32::new(0),
            marking: Gate::closed(),
            sweeping: Gate::closed(),
            progress: Progress::new(u64::from(self.growth_percent), goal_limit_bytes),
            signal: Signal::default(),
            level: self.level,
            #[cfg(feature = "fault-inject")]
            faults: crate::fault::Faults::default(),
        };
        let engine = Engine::new(shared, Cycle::new(self.stall_deadline), self.name);
        let soft_limit_bytes = self.soft_limit_bytes.map(|bytes| bytes as u64);
        let drive = Drive::start(engine, self.driver, soft_limit_bytes)
            .map_err(|error| Error::Thread(error.kind()))?;
        Ok(Heap {
            drive: Arc::new(drive),
        })
    }

    /// Bytes of live objects that the pacer's goal stays below: the soft limit, and an eighth less than
    /// the limit, which counts the pages of spans, full or not.
    fn goal_limit_bytes(&self) -> u64 {
        let soft = self.soft_limit_bytes.unwrap_or(usize::MAX);
        let hard = self.space.limit_bytes.unwrap_or(usize::MAX);
        soft.min(hard - hard / 8) as u64
    }

    fn check(&self) -> Result<(), Error> {
        if !(1..=10_000).contains(&self.growth_percent) {
            return Err(Error::Growth {
                percent: self.growth_percent,
            });
        }
        if let Driver::Background(threads) = self.driver
            && !(1..=COLLECTOR_THREADS_MAX).contains(&threads)
        {
            return Err(Error::CollectorThreads { threads });
        }
        match (self.soft_limit_bytes, self.space.limit_bytes) {
            (Some(soft_limit_bytes), Some(limit_bytes)) if soft_limit_bytes > limit_bytes => {
                Err(Error::SoftLimit {
                    soft_limit_bytes,
                    limit_bytes,
                })
            }
            _ => Ok(()),
        }
    }
}

/// The class of a type of the heap's own.
fn class_of<T: Described>(types: &Types, space: &Space) -> Result<ClassId, AllocError> {
    let info = T::INFO;
    let index = types.index_of(info)?;
    match types.class(space, index, info.bytes) {
        Some(Wanted::Class(class) | Wanted::Large(class)) => Ok(class),
        None => Err(AllocError::UnknownClass { class: index }),
    }
}

/// A managed heap. Clones are handles to the same heap, which ends with the last handle, mutator
/// or root; its collector threads are then ended and destructors of what is left run. Handles may be
/// used by any thread.
#[derive(Clone)]
pub struct Heap {
    drive: Arc<Drive>,
}

impl Heap {
    /// Settings with their defaults.
    pub fn builder() -> Builder {
        Builder {
            driver: Driver::default(),
            policy: Policy::ABORT,
            level: CheckLevel::Default,
            growth_percent: 100,
            name: "heap",
            soft_limit_bytes: None,
            stall_deadline: Duration::from_secs(1),
            space: SpaceConfig::default(),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.drive.shared
    }

    /// A new member of the heap, for one thread.
    pub fn mutator(&self) -> Mutator {
        Mutator::new(Arc::clone(&self.drive))
    }

    /// The heap's health: a handle that any thread may poll.
    pub fn health(&self) -> Health {
        self.shared().hooks.health()
    }

    /// Finishes the cycle in progress, then runs a whole one: what was unreachable at the call is
    /// reclaimed when it returns.
    ///
    /// # Errors
    ///
    /// A mutator is inside `enter` on this thread, a destructor or a hook calls back, or the heap has
    /// stopped reclaiming. Mutators of other threads that are inside `enter` are waited for.
    pub fn collect(&self) -> Result<CycleReport, CollectError> {
        self.drive.collect()
    }

    /// Asks for a cycle and returns at once; the driver runs it. With [`Driver::Manual`] the next
    /// [`Heap::step`] begins it.
    pub fn request_collect(&self) {
        self.drive.request();
    }

    /// Advances a cycle that was asked for by at most `budget` work units: an object visited, or
    /// an eighth of a span swept. May be called inside `enter`; stages that need this mutator's
    /// answer then report [`StepProgress::Waiting`](crate::StepProgress::Waiting).
    ///
    /// # Errors
    ///
    /// A destructor or a hook calls back.
    pub fn step(&self, budget: usize) -> Result<StepReport, CollectError> {
        self.drive.refuse_forked()?;
        let report = self.drive.step(budget, SweepMode::Any);
        if !self.shared().world.is_inside_here() {
            self.drive.deliver();
        }
        report
    }

    /// The phase of the cycle in progress.
    pub fn phase(&self) -> Phase {
        self.shared().world.phase()
    }

    /// The number of the cycle in progress, or of the last one.
    pub fn cycle(&self) -> u32 {
        self.shared().world.cycle()
    }

    /// Traces everything reachable with separate books and recomputes the accounts. Violations
    /// found are reported through the policy.
    ///
    /// # Errors
    ///
    /// As for [`Heap::collect`].
    pub fn verify(&self) -> Result<VerifyReport, CollectError> {
        self.drive.verify()
    }

    /// The accounts, recomputed from spans and state bytes, beside the running books. Books that
    /// disagree are reported as `ledger` and rebuilt. Mutators of other threads are kept out of
    /// `enter` meanwhile.
    ///
    /// # Errors
    ///
    /// A destructor or a hook calls back, or mutators of other threads do not come out of `enter`: for
    /// a second, or at once when this thread is inside `enter` itself.
    pub fn ledger(&self) -> Result<Ledger, CollectError> {
        self.drive.refuse_forked()?;
        self.drive.while_stopped(|held| {
            let space = &self.shared().space;
            for record in held {
                record.local().for_each_run(|run| space.sync(run));
            }
            space.ledger()
        })
    }

    /// Ends background collection: runs one last cycle, ends the collector threads and delivers what
    /// the checks recorded. The heap stays usable, as with [`Driver::Manual`]; destructors of what is
    /// still reachable run when the last handle goes.
    ///
    /// # Errors
    ///
    /// Mutators stayed inside `enter` until the deadline, or the call is refused as
    /// [`Heap::collect`] would be. The heap then goes on as before, and nothing is lost.
    pub fn shutdown(&self, deadline: Duration) -> Result<CycleReport, ShutdownError> {
        self.drive.shutdown(Instant::now() + deadline)
    }

    /// Delivers recorded violations to the hook and as `tracing` events. The heap does this by
    /// itself at the edges of `enter` and after steps; call it when a heap is idle.
    pub fn deliver(&self) -> Delivery {
        self.drive.deliver()
    }

    /// Who advances the cycle.
    pub fn driver(&self) -> Driver {
        self.drive.driver()
    }

    /// A snapshot of what the heap holds and has done. What a mutator that is inside `enter` has
    /// allocated since its last slow path is missing from it.
    pub fn stats(&self) -> HeapStats {
        let shared = self.shared();
        shared.sync_parked();
        let (usage, progress) = (shared.space.usage(), &shared.progress);
        let health = shared.hooks.health();
        HeapStats {
            name: self.drive.name,
            phase: shared.world.phase(),
            cycle: shared.world.cycle(),
            cycles_finished: progress.cycles_finished.load(Ordering::Relaxed),
            cycles_voided: progress.cycles_voided.load(Ordering::Relaxed),
            reclaiming: progress.reclaiming(),
            objects_marked_total: progress.objects_marked_total.load(Ordering::Relaxed),
            bytes_live: usage.bytes_live,
            bytes_in_spans: usage.bytes_in_spans,
            bytes_quarantined: usage.bytes_quarantined,
            spans_quarantined: usage.spans_quarantined,
            slots_quarantined: usage.slots_quarantined,
            bytes_committed: usage.bytes_committed,
            bytes_released: usage.bytes_released,
            bytes_allocated_total: usage.bytes_allocated_total,
            bytes_freed_total: usage.bytes_freed_total,
            bytes_goal: progress.pacer().goal_bytes(),
            mutators: shared.world.mutators(),
            pauses: shared.world.pauses(),
            roots: shared.roots.len(),
            violations: health.total(),
            is_healthy: health.is_healthy(),
        }
    }
}

impl core::fmt::Debug for Heap {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Heap")
            .field("stats", &self.stats())
            .finish()
    }
}
