//! [`Builder`]: the settings of a heap, and how its parts are put together.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Duration;

use crossbeam_deque::Injector;
use gc_hooks::{CheckLevel, Checks, HealthRecord, Hooks, Policy, RecordError};
use gc_sweep::{AllocError, ClassId, Space, SpaceConfig};

use crate::courier::Courier;
use crate::cycle::Cycle;
use crate::drive::{Drive, Driver, EDGE_WAIT, Pressure};
use crate::engine::Engine;
use crate::ephemeron::EphemeronCell;
use crate::events::Events;
use crate::gate::Gate;
use crate::late::LateGreys;
use crate::object::sealed::Described;
use crate::pacer::Payer;
use crate::profile::Profile;
use crate::remembered::Remembered;
use crate::roots::RootTable;
use crate::shared::Shared;
use crate::signal::Signal;
use crate::stores::Stores;
use crate::timeline::Wanted as WantedTrace;
use crate::types::{Types, Wanted};
use crate::weak::WeakCell;
use crate::world::World;

mod error;
mod generations;
mod pacing;
mod trace;

pub use error::Error;
use pacing::Pacing;

/// Collector threads one heap can have.
const COLLECTOR_THREADS_MAX: usize = 64;

/// Where violations are written down, and whether the heap can do without.
#[derive(Clone, Debug)]
enum Recording {
    Off,
    Required(PathBuf),
    Wished(PathBuf),
}

/// Settings of a heap; from [`Heap::builder`](crate::Heap::builder).
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    driver: Driver,
    policy: Policy,
    has_courier: bool,
    checks: Checks,
    growth_percent: u32,
    name: &'static str,
    record: Recording,
    soft_limit_bytes: Option<usize>,
    nursery_bytes: Option<usize>,
    edge_wait: Duration,
    stall_deadline: Duration,
    stores_one_in: u32,
    has_cycle_lines: bool,
    trace: WantedTrace,
    profile_one_in_bytes: usize,
    space: SpaceConfig,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            driver: Driver::default(),
            policy: Policy::ABORT,
            has_courier: false,
            checks: Checks::default(),
            growth_percent: 100,
            name: "heap",
            record: Recording::Off,
            soft_limit_bytes: None,
            nursery_bytes: None,
            edge_wait: EDGE_WAIT,
            stall_deadline: Duration::from_secs(1),
            stores_one_in: 0,
            has_cycle_lines: false,
            trace: WantedTrace::default(),
            profile_one_in_bytes: 0,
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

    /// Gives the heap a thread of its own that tells hooks and subscribers to trace events of
    /// violations, as soon as there is one. Mutators and collector threads then never run a hook;
    /// only [`Heap::deliver`](crate::Heap::deliver) does, on whoever calls it. With any driver.
    ///
    /// The thread ends with the heap or with [`Heap::shutdown`](crate::Heap::shutdown), which wait
    /// for it as long as hooks come back within the policy's hook deadline. It stays in the process
    /// that built the heap: as with [`Driver::Background`], the heap is refused in a child of
    /// `fork`. Default: none, whoever passes by delivers.
    pub fn deliver_on_own_thread(mut self) -> Self {
        self.has_courier = true;
        self
    }

    /// How closely the collector looks: a [`CheckLevel`](crate::CheckLevel), or [`Checks`] with
    /// single ones switched. Default: [`CheckLevel::Default`](crate::CheckLevel::Default).
    pub fn checks(mut self, checks: impl Into<Checks>) -> Self {
        self.checks = checks.into();
        self
    }

    /// Takes the checks from the environment variable `GC_CHECKS` when it is set; otherwise keeps
    /// those given so far.
    ///
    /// # Errors
    ///
    /// The text names no choice of checks; the error names the position and the choices.
    pub fn checks_from_env(mut self) -> Result<Self, Error> {
        if let Some(checks) = Checks::from_env()? {
            self.checks = checks;
        }
        Ok(self)
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

    /// How long a mutator waits for the collector at an edge of [`enter`](crate::Mutator::enter) when the heap is
    /// over its soft limit or far over its goal. Default: 20 milliseconds.
    pub fn edge_wait(mut self, longest: Duration) -> Self {
        self.edge_wait = longest;
        self
    }

    /// How long a mutator may keep the collector waiting before it is named in a `safepoint-stalled`
    /// violation. Time during which nobody looks, as when the whole process is stopped by a signal,
    /// hardly counts. Default: one second.
    pub fn stall_deadline(mut self, deadline: Duration) -> Self {
        self.stall_deadline = deadline;
        self
    }

    /// Looks closely at one store in so many: [`Edge::set`](crate::Edge::set) and its like, and those
    /// of [`raw`](crate::raw). While a cycle marks, the old word and the new one are looked at in
    /// the store itself, and a report names its place in the source. The store is remembered as
    /// well, so that a report about a pointer that is found later can name who stored it.
    ///
    /// Meant for production: a heap that samples pays a call and a countdown for each store, and
    /// the whole look for one in `one_in`; 192 KiB hold the last store of 4096 words. Zero samples
    /// none and costs nothing. At level `paranoid` every store is sampled. Default: zero.
    pub fn sample_stores(mut self, one_in: u32) -> Self {
        self.stores_one_in = one_in;
        self
    }

    /// How far the heap may grow over what survived the last cycle, in percent. Default: 100.
    pub fn growth_percent(mut self, percent: u32) -> Self {
        self.growth_percent = percent;
        self
    }

    /// Bytes of address space to reserve. The heap is collected so as to fit, as below a limit. Default: 64 GiB; smaller
    /// when refused.
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

    /// Writes violations down in a file that outlives the process, whichever way it ends;
    /// [`previous_record`](crate::previous_record) reads it at the next start. What is found at the path
    /// is kept as `path.previous`; `path.lock` keeps other heaps out. The file has 136 KiB, set aside
    /// now. Default: no record.
    ///
    /// [`Builder::build`] fails when the record cannot be created.
    pub fn record(mut self, path: impl Into<PathBuf>) -> Self {
        self.record = Recording::Required(path.into());
        self
    }

    /// As [`Builder::record`], for a heap that is built even if its record cannot be created. That is
    /// then its first violation, a `record-failed`, and a line on standard error.
    pub fn record_or_continue(mut self, path: impl Into<PathBuf>) -> Self {
        self.record = Recording::Wished(path.into());
        self
    }

    /// Samples an allocation about every `bytes` bytes with its place in the source, for
    /// [`Heap::write_profile`](crate::Heap::write_profile). 512 KiB is a good measure; with 1 every
    /// allocation is looked at. Zero samples none and costs nothing. Default: zero.
    pub fn profile_one_in_bytes(mut self, bytes: usize) -> Self {
        self.profile_one_in_bytes = bytes;
        self
    }

    /// Everything a heap is made of, with its driver at work.
    pub(crate) fn start(self) -> Result<Drive, Error> {
        self.check()?;
        let pacing = self.pacing();
        let stores = Stores::sampled(self.stores_one_in());
        let timeline = trace::timeline(self.name, self.trace)?;
        let mut hooks = hooks(self.policy, self.record, self.name)?;
        if let Some(timeline) = timeline.clone() {
            hooks.set_witness(move |violation| timeline.post_violation(violation));
        }
        let hooks = Arc::new(hooks);
        let config = SpaceConfig {
            checks: self.checks,
            ..self.space
        };
        let space = Space::new(config, Arc::clone(&hooks))?;
        let progress = pacing.progress(space.reserve_bytes());
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
            remembered: Remembered::default(),
            packets: Injector::new(),
            hungry: AtomicU32::new(0),
            late_greys: LateGreys::open_list(),
            has_missed: AtomicBool::new(false),
            marking: Gate::closed(),
            sweeping: Gate::closed(),
            progress,
            events: Events::new(self.has_cycle_lines || trace::lines_are_wanted()?),
            timeline,
            profile: Profile::sampled(self.profile_one_in_bytes),
            signal: Signal::default(),
            stores,
            checks: self.checks,
        };
        let refused = |error: io::Error| Error::Thread(error.kind());
        let courier = (self.has_courier)
            .then(|| Courier::start(&shared.hooks, self.name))
            .transpose()
            .map_err(refused)?;
        let engine = Engine::new(
            shared,
            Cycle::new(self.stall_deadline, self.nursery_bytes.is_some()),
            self.name,
        );
        let pressure = Pressure {
            soft_limit_bytes: self.soft_limit_bytes.map(|bytes| bytes as u64),
            edge_wait: self.edge_wait,
        };
        Drive::start(engine, self.driver, pressure, courier).map_err(refused)
    }

    /// One store in so many is sampled; zero for none.
    fn stores_one_in(&self) -> u32 {
        match self.checks.level() {
            CheckLevel::Paranoid => 1,
            _ => self.stores_one_in,
        }
    }

    fn pacing(&self) -> Pacing {
        Pacing {
            payer: match self.driver {
                Driver::Incremental => Payer::Mutators,
                Driver::Background(_) | Driver::Manual => Payer::Others,
            },
            growth_percent: self.growth_percent,
            soft_limit_bytes: self.soft_limit_bytes.unwrap_or(usize::MAX),
            limit_bytes: self.space.limit_bytes.unwrap_or(usize::MAX),
            nursery_bytes: self.nursery_bytes,
        }
    }

    fn check(&self) -> Result<(), Error> {
        self.check_nursery()?;
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

/// The hooks of a heap of this name, with its record.
fn hooks(policy: Policy, recording: Recording, name: &str) -> Result<Hooks, RecordError> {
    let created = match &recording {
        Recording::Off => return Ok(Hooks::new(policy)),
        Recording::Required(path) | Recording::Wished(path) => HealthRecord::create(path, name),
    };
    match (created, recording) {
        (Ok(record), _) => Ok(Hooks::with_record(policy, record)),
        (Err(error), Recording::Wished(_)) => Ok(Hooks::without_record(policy, &error)),
        (Err(error), _) => Err(error),
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
