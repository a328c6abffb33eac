//! [`Heap`] and its [`Builder`]: the handle through which a program owns a managed heap.

use core::marker::PhantomData;
use std::sync::Arc;

use crossbeam_deque::Injector;
use gc_hooks::{CheckLevel, Delivery, Health, Hooks, Phase, Policy, PolicyError};
use gc_sweep::{AllocError, Colour, Ledger, SizeClass, Space, SpaceConfig, SpaceError, SweepMode};

use crate::cycle::{Cycle, CycleReport, StepReport};
use crate::engine::{CollectError, Driver, Engine};
use crate::mutator::Mutator;
use crate::object::sealed::Described;
use crate::pacer::Pacer;
use crate::roots::RootTable;
use crate::shared::Shared;
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
    /// The heap's own objects could not be set up.
    #[error(transparent)]
    Alloc(#[from] AllocError),
}

/// Settings of a heap; from [`Heap::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    driver: Driver,
    policy: Policy,
    level: CheckLevel,
    growth_percent: u32,
    name: &'static str,
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
    /// A setting is out of range, or the operating system refuses address space.
    pub fn build(self) -> Result<Heap, Error> {
        if !(1..=10_000).contains(&self.growth_percent) {
            return Err(Error::Growth {
                percent: self.growth_percent,
            });
        }
        let hooks = Arc::new(Hooks::new(self.policy));
        let space = Space::new(self.space, Arc::clone(&hooks))?;
        let shared = Shared {
            space,
            hooks,
            types: Types::new(),
            world: World::new(Colour::FIRST),
            roots: RootTable::default(),
            injector: Injector::new(),
            level: self.level,
            #[cfg(feature = "fault-inject")]
            faults: crate::fault::Faults::default(),
        };
        let info = <WeakCell as Described>::INFO;
        let weak_index = shared.types.index_of(info)?;
        let weak_class = match shared.types.class(&shared.space, weak_index, info.bytes) {
            Some(Wanted::Class(class) | Wanted::Large(class)) => Some(class),
            None => None,
        };
        const { assert!(size_of::<WeakCell>() <= SizeClass::SLOT_BYTES_MAX) };
        let cycle = Cycle::new(
            Colour::FIRST,
            Pacer::new(u64::from(self.growth_percent)),
            weak_class,
        );
        let engine = Arc::new(Engine::new(shared, cycle, self.driver, self.name));
        Ok(Heap {
            engine,
            thread: PhantomData,
        })
    }
}

/// A managed heap. Clones are handles to the same heap, which ends with the last handle, mutator
/// or root; destructors of what is left run then.
#[derive(Clone)]
pub struct Heap {
    engine: Arc<Engine>,
    /// Not `Send` and not `Sync`: a heap and its mutators stay on one thread.
    thread: PhantomData<*const ()>,
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
            space: SpaceConfig::default(),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A new member of the heap.
    pub fn mutator(&self) -> Mutator {
        Mutator::new(Arc::clone(&self.engine))
    }

    /// The heap's health: a handle that any thread may poll.
    pub fn health(&self) -> Health {
        self.engine.shared.hooks.health()
    }

    /// Finishes the cycle in progress, then runs a whole one: what was unreachable at the call is
    /// reclaimed when it returns.
    ///
    /// # Errors
    ///
    /// A mutator is inside `enter`, a destructor or a hook calls back, or the heap has stopped
    /// reclaiming.
    pub fn collect(&self) -> Result<CycleReport, CollectError> {
        self.engine.collect()
    }

    /// Asks for a cycle and returns at once; the driver runs it. With [`Driver::Manual`] the next
    /// [`Heap::step`] begins it.
    pub fn request_collect(&self) {
        self.engine.request();
    }

    /// Advances a cycle that was asked for by at most `budget` work units: an object visited, or
    /// an eighth of a span swept. May be called inside `enter`; stages that need this mutator's
    /// answer then report [`StepProgress::Waiting`](crate::StepProgress::Waiting).
    ///
    /// # Errors
    ///
    /// A destructor or a hook calls back.
    pub fn step(&self, budget: usize) -> Result<StepReport, CollectError> {
        let report = self.engine.step(budget, SweepMode::Any);
        if !self.engine.shared.world.is_anyone_in() {
            self.engine.deliver();
        }
        report
    }

    /// The phase of the cycle in progress.
    pub fn phase(&self) -> Phase {
        self.engine.shared.world.phase()
    }

    /// The number of the cycle in progress, or of the last one.
    pub fn cycle(&self) -> u32 {
        self.engine.shared.world.cycle()
    }

    /// Traces everything reachable with separate books and recomputes the accounts. Violations
    /// found are reported through the policy.
    ///
    /// # Errors
    ///
    /// As for [`Heap::collect`].
    pub fn verify(&self) -> Result<VerifyReport, CollectError> {
        self.engine.verify()
    }

    /// The accounts, recomputed from spans and state bytes, beside the running books. Books that
    /// disagree are reported as `ledger` and rebuilt.
    pub fn ledger(&self) -> Ledger {
        self.engine.shared.sync_parked();
        self.engine.shared.space.ledger()
    }

    /// Delivers recorded violations to the hook and as `tracing` events. The heap does this by
    /// itself at the edges of `enter` and after steps; call it when a heap is idle.
    pub fn deliver(&self) -> Delivery {
        self.engine.deliver()
    }

    /// A snapshot of what the heap holds and has done. What a mutator that is inside `enter` has
    /// allocated since its last slow path is missing from it.
    pub fn stats(&self) -> HeapStats {
        let shared = &self.engine.shared;
        shared.sync_parked();
        let usage = shared.space.usage();
        let health = shared.hooks.health();
        let cycle = self.engine.try_cycle();
        HeapStats {
            name: self.engine.name,
            phase: shared.world.phase(),
            cycle: shared.world.cycle(),
            cycles_finished: cycle.as_ref().map_or(0, |cycle| cycle.cycles_finished),
            cycles_voided: cycle.as_ref().map_or(0, |cycle| cycle.cycles_voided),
            reclaiming: cycle
                .as_ref()
                .map_or(crate::cycle::Reclaiming::On, |cycle| cycle.reclaiming),
            objects_marked_total: cycle.as_ref().map_or(0, |cycle| cycle.objects_marked_total),
            bytes_live: usage.bytes_live,
            bytes_in_spans: usage.bytes_in_spans,
            bytes_quarantined: usage.bytes_quarantined,
            spans_quarantined: usage.spans_quarantined,
            slots_quarantined: usage.slots_quarantined,
            bytes_committed: usage.bytes_committed,
            bytes_released: usage.bytes_released,
            bytes_allocated_total: usage.bytes_allocated_total,
            bytes_freed_total: usage.bytes_freed_total,
            bytes_goal: cycle.as_ref().map_or(0, |cycle| cycle.pacer.goal_bytes()),
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
