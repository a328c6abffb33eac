//! [`Mutator`]: one thread's membership of a heap.
//!
//! It owns leased spans, a deque of shaded objects and value stacks. Leaving `enter`, normally or by
//! a panic, hands the record to whoever asks next; dropping the mutator gives everything back, also
//! from a thread-local destructor, in the order that keeps grey objects findable: leases first, then
//! deque and registry under one lock.

use core::cell::Cell;
use core::marker::PhantomData;
use core::panic::Location;
use std::sync::Arc;

use crate::drive::Drive;
use crate::handshake;
use crate::local::Local;
use crate::record::Record;
use crate::scope::{Inside, Scope};
use crate::stack::StackMemory;

/// A member of a heap; [`enter`](Mutator::enter) is the only way to managed pointers.
///
/// Each thread takes its own. It may move to another thread, but is used by one at a time. Outside
/// `enter` a mutator is parked: the collector answers on its behalf.
pub struct Mutator {
    drive: Arc<Drive>,
    record: Arc<Record>,
    /// `Send` and not `Sync`.
    thread: PhantomData<Cell<()>>,
}

impl Mutator {
    pub(crate) fn new(drive: Arc<Drive>) -> Self {
        let shared = &drive.shared;
        let record = shared.world.attach(|asked| {
            let record = Arc::new(Record::new(asked.kept_of_newcomers()));
            // Nobody else knows the record yet, so it is out and can be held; without roots it has
            // empty hands.
            record.with_held(|local| {
                local.barrier.set(shared.resting_barrier());
                handshake::answer_parked(shared, &record, local);
            });
            record
        });
        Mutator {
            drive,
            record,
            thread: PhantomData,
        }
    }

    /// Runs `f` with a scope: managed pointers exist inside and cannot leave.
    ///
    /// No cycle takes its snapshot of this mutator meanwhile, so a very long `enter` delays the one in
    /// progress; memory grows until it ends, up to the limit, and after a while the collector names
    /// the caller (`safepoint-stalled`). Over the heap's soft limit it first waits a little for the
    /// collector. Violation hooks are delivered after it ends.
    ///
    /// # Panics
    ///
    /// When called from inside a violation hook of the same heap, where the heap may not be used
    /// (the panic is contained and reported), and in a child of `fork` when the heap has threads,
    /// which stayed in the parent.
    #[track_caller]
    pub fn enter<R>(&mut self, f: impl for<'gc> FnOnce(Scope<'gc>) -> R) -> R {
        let drive = &self.drive;
        if drive.shared.hooks.is_delivering() || drive.shared.events.is_telling_here() {
            refuse_inside_hook(drive);
        }
        if drive.refuse_forked().is_err() {
            refuse_forked();
        }
        drive.at_edge(&self.record);
        let edge = Edge(drive, &self.record);
        let result = self.record.with_entered(Location::caller(), |local| {
            handshake::answer_at_edge(&drive.shared, &self.record, local);
            let result = f(Scope::new(&Inside::new(drive, &self.record, local)));
            // The scope is gone, so hands are empty again.
            handshake::answer_at_edge(&drive.shared, &self.record, local);
            result
        });
        drop(edge);
        match result {
            Ok(result) => result,
            // `&mut self`: nobody else can be inside.
            Err(_) => entered_twice(),
        }
    }

    /// Runs `f`, which blocks or computes for long without the heap, after giving back what the
    /// mutator keeps for itself: the free slots of the spans it leases.
    ///
    /// Outside `enter` a mutator never keeps the collector waiting, with `parked` or without; what it
    /// leases is memory that nobody else can use, which counts when many mutators block at once.
    pub fn parked<R>(&mut self, f: impl FnOnce() -> R) -> R {
        self.give_back();
        f()
    }

    /// Registers a value stack whose live slots are this mutator's roots.
    pub(crate) fn add_stack(&mut self, stack: Arc<StackMemory>) {
        self.with_own(|local| local.add_stack(stack));
    }

    fn give_back(&self) {
        let shared = &self.drive.shared;
        self.with_own(|local| {
            handshake::answer_parked(shared, &self.record, local);
            local.for_each_run(|run| shared.space.retire(run));
        });
    }

    /// Runs `f` on the local part. The mutator is out: `enter` borrows it for as long as it lasts.
    fn with_own(&self, f: impl FnOnce(&Local)) {
        let _always_out = self.record.with_own(f);
    }
}

/// Does what is due when an `enter` ends, also when it ends by a panic.
struct Edge<'a>(&'a Drive, &'a Record);

impl Drop for Edge<'_> {
    fn drop(&mut self) {
        // While a panic is under way only the state word matters, and it is restored already.
        if !std::thread::panicking() {
            self.0.at_edge(self.1);
        }
    }
}

#[cold]
fn refuse_inside_hook(drive: &Drive) -> ! {
    drive.shared.hooks.note_reentry();
    panic!("a violation hook entered its own heap")
}

#[cold]
fn refuse_forked() -> ! {
    panic!("a heap with threads of its own was entered in a child of `fork`")
}

#[cold]
fn entered_twice() -> ! {
    panic!("a mutator was entered while it was inside `enter` already")
}

impl Drop for Mutator {
    fn drop(&mut self) {
        let shared = &self.drive.shared;
        self.give_back();
        // The grey objects must be in the injector before the registry forgets the deque, and no
        // termination may look in between.
        self.with_own(|local| {
            shared.world.detach(&self.record, || {
                while let Some(object) = local.grey.pop() {
                    shared.injector.push(object);
                }
                shared.hand_over(&local.notes);
            });
        });
    }
}
