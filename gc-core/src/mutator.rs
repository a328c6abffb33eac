//! [`Mutator`]: one thread's membership of a heap.
//!
//! It owns the thread's leased spans, its deque of shaded objects and its value stacks. Leaving
//! `enter`, normally or by a panic, hands the record to whoever asks next; dropping the mutator
//! gives everything back, in the order that keeps grey objects findable: deque first, registry
//! last.

use core::marker::PhantomData;
use std::sync::Arc;

use crate::engine::Engine;
use crate::handshake;
use crate::scope::Scope;
use crate::stack::StackMemory;
use crate::world::Record;

/// A member of a heap; [`enter`](Mutator::enter) is the only way to managed pointers.
///
/// Outside `enter` a mutator is parked: the collector answers on its behalf. It stays on its
/// thread.
pub struct Mutator {
    engine: Arc<Engine>,
    record: Arc<Record>,
    /// Not `Send` and not `Sync`.
    thread: PhantomData<*const ()>,
}

impl Mutator {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        let shared = &engine.shared;
        let record = Arc::new(Record::new(shared.world.settled_colour()));
        shared.world.attach(Arc::clone(&record), |record| {
            // Nobody else knows the record yet, so it is out and can be held; without roots it has
            // empty hands.
            record.with_held(|local| handshake::answer_parked(shared, record, local));
        });
        Mutator {
            engine,
            record,
            thread: PhantomData,
        }
    }

    /// Runs `f` with a scope: managed pointers exist inside and cannot leave.
    ///
    /// No cycle takes its snapshot meanwhile, so a very long `enter` delays the next one; memory
    /// grows until it ends, up to the limit. Violation hooks are delivered after it ends.
    ///
    /// # Panics
    ///
    /// When called from inside a violation hook of the same heap, where the heap may not be used;
    /// the panic is contained and reported.
    pub fn enter<R>(&mut self, f: impl for<'gc> FnOnce(Scope<'gc>) -> R) -> R {
        if self.engine.shared.hooks.is_delivering() {
            refuse_inside_hook(&self.engine);
        }
        self.engine.at_edge();
        let edge = Edge(&self.engine);
        let result = self.record.with_entered(|local| {
            handshake::poll(&self.engine.shared, &self.record, local);
            f(Scope::new(&self.engine, &self.record, local))
        });
        drop(edge);
        match result {
            Some(result) => result,
            // `&mut self` on one thread: nobody else can be inside, and the collector holds a
            // record only within a step of this same thread.
            None => entered_twice(),
        }
    }

    /// Registers a value stack whose live slots are this mutator's roots.
    pub(crate) fn add_stack(&mut self, stack: Arc<StackMemory>) {
        self.record.with_held(|local| local.add_stack(stack));
    }
}

/// Does what is due when an `enter` ends, also when it ends by a panic.
struct Edge<'a>(&'a Engine);

impl Drop for Edge<'_> {
    fn drop(&mut self) {
        // While a panic is under way only the state word matters, and it is restored already.
        if !std::thread::panicking() {
            self.0.at_edge();
        }
    }
}

#[cold]
fn refuse_inside_hook(engine: &Engine) -> ! {
    engine.shared.hooks.note_reentry();
    panic!("a violation hook entered its own heap")
}

#[cold]
fn entered_twice() -> ! {
    panic!("a mutator was entered while it was inside `enter` already")
}

impl Drop for Mutator {
    fn drop(&mut self) {
        let shared = &self.engine.shared;
        self.record.with_held(|local| {
            handshake::answer_parked(shared, &self.record, local);
            local.for_each_run(|run| shared.space.retire(run));
            // The grey objects must be in the injector before the registry forgets the deque.
            while let Some(address) = local.grey.pop() {
                shared.injector.push(address);
            }
        });
        shared.world.detach(&self.record);
    }
}
