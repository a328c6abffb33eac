//! [`Heap`]: the handle through which a program owns a managed heap, from any thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gc_hooks::{Address, Checks, Delivery, Health, Phase};
use gc_sweep::{CycleKind, Ledger, QuarantineReleased, SweepMode};

use crate::builder::{Builder, Error};
use crate::drive::{Drive, Driver, ShutdownError};
use crate::engine::{CollectError, StepReport};
use crate::map::{self, SpanReport};
use crate::mutator::Mutator;
use crate::profile::ProfileError;
use crate::progress::CycleReport;
use crate::prometheus;
use crate::retention::{RetentionError, RetentionPath};
use crate::shared::Shared;
use crate::snapshot::{SnapshotError, SnapshotSummary};
use crate::stats::{self, HeapStats};
use crate::timeline::TraceError;
use crate::verify::VerifyReport;

/// A managed heap. Clones are handles to the same heap, which ends with the last handle, mutator
/// or root; its collector threads are then ended and destructors of what is left run. Handles may be
/// used by any thread.
#[derive(Clone)]
pub struct Heap {
    drive: Arc<Drive>,
}

impl Builder {
    /// Builds the heap.
    ///
    /// # Errors
    ///
    /// A setting is out of range, or the operating system refuses address space or a thread.
    pub fn build(self) -> Result<Heap, Error> {
        Ok(Heap {
            drive: Arc::new(self.start()?),
        })
    }
}

impl Heap {
    /// Settings with their defaults.
    pub fn builder() -> Builder {
        Builder::default()
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
        self.drive.collect(CycleKind::Full)
    }

    /// As [`Heap::collect`], with a young cycle where the heap has [generations](crate::Builder::generational) and no full
    /// one is due: what was unreachable at the call is reclaimed if it was born since the last cycle and was not stored
    /// anywhere.
    ///
    /// # Errors
    ///
    /// As for [`Heap::collect`].
    pub fn collect_young(&self) -> Result<CycleReport, CollectError> {
        self.drive.collect(CycleKind::Young)
    }

    /// As [`Heap::request_collect`], for a cycle as [`Heap::collect_young`] runs it.
    pub fn request_collect_young(&self) {
        self.drive.request(CycleKind::Young);
    }

    /// Asks for a cycle and returns at once; the driver runs it. With [`Driver::Manual`] the next
    /// [`Heap::step`] begins it.
    pub fn request_collect(&self) {
        self.drive.request(CycleKind::Full);
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
        if self.shared().world.is_inside_here() {
            return self.drive.step_inside(budget, SweepMode::Any);
        }
        let report = self.drive.step(budget, SweepMode::Any);
        self.drive.deliver();
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

    /// The spans of the heap by address: how full it is, and of what. Nobody is stopped: each is told as it
    /// is when the walk comes to it. Takes time with the number of pages that were ever in use.
    pub fn spans(&self) -> Vec<SpanReport> {
        map::spans(self.shared())
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

    /// Why the object at an address is alive: the shortest way to it from a root or a value stack.
    /// `None` when nothing leads to it, so that the next collection frees it. For operators: the
    /// address is one that a report gives, such as [`Violation::address`](crate::Violation::address);
    /// one inside an object stands for the object. Takes time and memory with the number of objects
    /// that can be reached, while every mutator is kept out of `enter`, and changes nothing.
    ///
    /// # Errors
    ///
    /// No object stands there; or the call is refused as [`Heap::verify`] would be.
    pub fn retention_path(
        &self,
        address: Address,
    ) -> Result<Option<RetentionPath>, RetentionError> {
        if self.shared().world.is_inside_here() {
            return Err(CollectError::WouldDeadlock.into());
        }
        self.drive.retention_path(address, None)
    }

    /// Writes the graph of all living objects as a `.heapsnapshot`, the format of Chrome's developer
    /// tools: types, sizes, fields, roots by kind, and quarantined objects under a root of their own.
    /// Runs a cycle, as [`Heap::collect`] does, and takes the graph of what it has marked before anything
    /// is freed. Mutators run meanwhile and answer their handshakes as in any cycle; no pause of theirs
    /// grows with the heap. The cycle is held up as long as the graph is being taken, on the calling
    /// thread, and not while it is written. The graph takes some 40 bytes an object and 12 an edge
    /// outside the heap.
    ///
    /// What a mutator stores or allocates meanwhile may be missing; objects that only mutators inside
    /// `enter` hold stand under a root `(local pointers)`, together with what died since it was marked.
    /// A heap that has stopped reclaiming runs no cycles: it is held still instead
    /// ([`SnapshotHold::Stopped`](crate::SnapshotHold)), mutators are kept out of `enter` as long as the graph is taken.
    ///
    /// # Errors
    ///
    /// Those of [`Heap::collect`], but that the heap has stopped reclaiming; those of the writer.
    pub fn snapshot(
        &self,
        out: &mut (impl io::Write + ?Sized),
    ) -> Result<SnapshotSummary, SnapshotError> {
        self.drive.snapshot(out)
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

    /// Brings back what containment has withdrawn, where a recount finds it right: an operator's decision, which the
    /// heap never takes by itself. Objects that were kept are ordinary objects again, and the next cycle decides about
    /// them, destructors included; withdrawn slots without an object are free. What does not add up stays withdrawn.
    /// Mutators of other threads are kept out of `enter` meanwhile.
    ///
    /// The recount looks at the heap's own books. It cannot know whether a pointer of the program still leads to a slot
    /// that comes back: where a dangling pointer was seen to (`free-pointer`, `slot-dirty`, `sweep-count`), handing the
    /// slot out again is the caller's risk. Look at [`Heap::health`] first, and fix the cause.
    ///
    /// # Errors
    ///
    /// A mutator is inside `enter` on this thread, a destructor or a hook calls back, or mutators of other threads do
    /// not come out of `enter` for a second.
    pub fn release_quarantine(&self) -> Result<QuarantineReleased, CollectError> {
        self.drive.refuse_forked()?;
        let shared = self.shared();
        if shared.world.is_inside_here() {
            return Err(CollectError::WouldDeadlock);
        }
        let released = self.drive.while_stopped(|held| {
            for record in held {
                record.local().for_each_run(|run| shared.space.retire(run));
            }
            shared.space.release_quarantine()
        });
        self.drive.deliver();
        released
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

    /// Delivers recorded violations to the hook and as `tracing` events, on the calling thread. The
    /// heap does this by itself at the edges of `enter` and after steps, or on a
    /// [thread of its own](Builder::deliver_on_own_thread); call it when a heap without one is idle.
    pub fn deliver(&self) -> Delivery {
        self.shared().hooks.deliver()
    }

    /// Who advances the cycle.
    pub fn driver(&self) -> Driver {
        self.drive.driver()
    }

    /// The checks that the heap makes.
    pub fn checks(&self) -> Checks {
        self.shared().checks
    }

    /// Writes what [`Heap::stats`] says in Prometheus' text format, version 0.0.4, for a `/metrics`
    /// endpoint. For several heaps in one process see [`write_prometheus`](crate::write_prometheus).
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn write_prometheus(&self, out: &mut (impl io::Write + ?Sized)) -> io::Result<()> {
        prometheus::write_prometheus(out, &[self.stats()])
    }

    /// Writes what a heap with [`Builder::trace_events`] remembers as a JSON array of Chrome's trace events,
    /// which `ui.perfetto.dev` and `chrome://tracing` show: cycles with their phases, handshakes, the
    /// answers of mutators, violations, the size of the heap.
    ///
    /// # Errors
    ///
    /// The heap keeps no trace; the writer's own.
    pub fn write_trace(&self, out: &mut (impl io::Write + ?Sized)) -> Result<(), TraceError> {
        let timeline = self.shared().timeline.as_ref();
        timeline.ok_or(TraceError::NotKept)?.write(out)
    }

    /// Writes which places in the source allocated how much, and how much of it was alive at the last
    /// cycle, as a profile for `go tool pprof`: objects and bytes allocated and in use, estimated from
    /// the samples of [`Builder::profile_one_in_bytes`], with the type as a label. Protocol buffers
    /// without compression, which pprof reads as it is.
    ///
    /// # Errors
    ///
    /// The heap samples no allocations; the writer's own.
    pub fn write_profile(&self, out: &mut (impl io::Write + ?Sized)) -> Result<(), ProfileError> {
        let profile = self.shared().profile.as_ref();
        let profile = profile.ok_or(ProfileError::NotSampled)?;
        Ok(out.write_all(&profile.encode(&self.shared().types))?)
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
            cycles_young: progress.cycles_young.load(Ordering::Relaxed),
            cycles_voided: progress.cycles_voided.load(Ordering::Relaxed),
            reclaiming: progress.reclaiming(),
            objects_marked_total: progress.objects_marked_total.load(Ordering::Relaxed),
            bytes_live: usage.bytes_live,
            spans: usage.spans,
            bytes_in_spans: usage.bytes_in_spans,
            bytes_quarantined: usage.bytes_quarantined,
            spans_quarantined: usage.spans_quarantined,
            slots_quarantined: usage.slots_quarantined,
            bytes_committed: usage.bytes_committed,
            bytes_released: usage.bytes_released,
            bytes_allocated_total: usage.bytes_allocated_total,
            bytes_freed_total: usage.bytes_freed_total,
            objects_freed_total: usage.objects_freed_total,
            bytes_goal: progress.pacer().goal_bytes(),
            mutators: shared.world.mutators(),
            pauses: shared.world.pauses(),
            phases: progress.phases(),
            roots: shared.roots.len(),
            violations_counted: stats::violations_of(&health),
            violations_suppressed: health.suppressed(),
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
