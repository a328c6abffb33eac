//! [`Builder`]: the settings of a heap, and how its parts are put together.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use crossbeam_deque::Injector;
use gc_hooks::{CheckLevel, Hooks, Policy, PolicyError};
use gc_sweep::{AllocError, ClassId, Space, SpaceConfig, SpaceError};

use crate::cycle::Cycle;
use crate::drive::{Drive, Driver};
use crate::engine::Engine;
use crate::ephemeron::EphemeronCell;
use crate::gate::Gate;
use crate::object::sealed::Described;
use crate::progress::Progress;
use crate::roots::RootTable;
use crate::shared::Shared;
use crate::signal::Signal;
use crate::types::{Types, Wanted};
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

/// Settings of a heap; from [`Heap::builder`](crate::Heap::builder).
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

impl Default for Builder {
    fn default() -> Self {
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
    /// at the edges of [`enter`](crate::Mutator::enter) before they go on. Not with [`Driver::Manual`].
    /// Default: none.
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

    /// Everything a heap is made of, with its driver at work.
    pub(crate) fn start(self) -> Result<Drive, Error> {
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
            late_greys: AtomicU32::new(0),
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
        Drive::start(engine, self.driver, soft_limit_bytes)
            .map_err(|error| Error::Thread(error.kind()))
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
