//! A busy thread of the soak.
//!
//! It has a desk: a frame of its value stack, on which graphs stand that are its own. It makes them,
//! changes them and compares them; it exchanges some with lockers, exhibits and keepers; and after
//! some hundred operations it puts what it has into lockers and ends, for another one to take over.
//!
//! Invariant: a slot of the desk is live exactly when the oracle has a graph for it. When the heap
//! refuses memory, the operation has not happened, and half the desk is given up.

use gc_core::{AllocError, Root, Scope};

use super::shared::{Order, Parcel, Shared};
use crate::audit::Audit;
use crate::error::Error;
use crate::graph::{self, Graph, Hub};
use crate::hash::content_hash;
use crate::options::CopyBack;
use crate::reflect::{Running, Runtime, Slot, Value};
use crate::rng::Rng;
use crate::session::Ids;

/// Graphs on a desk.
const DESK: usize = 24;
/// Operations of a thread.
const LIFE_OPS: std::ops::RangeInclusive<u64> = 128..=1_024;
/// One operation in so many asks for a cycle, so that cycles follow one another closely.
const ONE_REQUEST_IN: u64 = 64;
/// Of those in a heap with generations, one in so many is for a full cycle.
const FULL_REQUEST_ONE_IN: u64 = 8;
/// One operation in so many fills the heap with large objects.
const ONE_HOARD_IN: u64 = 1 << 13;
/// Bytes of one of those.
const HOARD_BYTES: u64 = 256 << 10;

/// The life of a busy thread.
pub(super) fn work(shared: &Shared, thread: u64) -> Result<(), Error> {
    let mut worker = Worker {
        shared,
        thread,
        runtime: Runtime::new(&shared.heap, 1, DESK, CopyBack::Plain),
        desk: [const { None }; DESK],
        rng: Rng::of_thread(shared.options.seed, "soak", thread),
        ids: Ids::of_giver(thread),
    };
    let pushed = worker
        .runtime
        .enter(0, |running| running.push_frame(DESK, 0));
    pushed?;
    for _ in 0..worker.rng.within(LIFE_OPS) {
        if !shared.claim() {
            break;
        }
        worker.operate()?;
    }
    for slot in 0..DESK {
        if let Some(parcel) = worker.take(slot)? {
            shared.leave(parcel, &mut worker.rng);
        }
    }
    Ok(())
}

struct Worker<'a> {
    shared: &'a Shared,
    thread: u64,
    runtime: Runtime,
    /// The oracle of each slot.
    desk: [Option<Graph>; DESK],
    rng: Rng,
    ids: Ids,
}

/// Whether an operation was refused because the heap is at its limit.
fn is_limit(error: &Error) -> bool {
    matches!(error, Error::Alloc(AllocError::Limit { .. }))
}

impl Worker<'_> {
    fn operate(&mut self) -> Result<(), Error> {
        match self.try_operate() {
            Err(error) if is_limit(&error) => self.relieve(),
            done => done,
        }
    }

    /// Asks for a cycle: mostly a young one, where the heap has generations.
    fn request_cycle(&mut self) {
        let heap = &self.shared.heap;
        let has_nursery = self.shared.options.nursery_bytes.is_some();
        if has_nursery && !self.rng.one_in(FULL_REQUEST_ONE_IN) {
            heap.request_collect_young();
        } else {
            heap.request_collect();
        }
    }

    fn try_operate(&mut self) -> Result<(), Error> {
        if self.rng.one_in(ONE_HOARD_IN) {
            return self.hoard();
        }
        if self.rng.one_in(ONE_REQUEST_IN) {
            self.request_cycle();
        }
        let slot = self.rng.index(DESK);
        match self.rng.below(64) {
            // In a row, so that what is let go may be taken up again before it is found dead.
            0..=31 => (0..self.rng.within(1..=6)).try_for_each(|_| self.change(slot)),
            32..=39 => self.create(slot),
            40..=45 => self.audit(slot),
            46..=49 => self.exchange(slot),
            50..=53 => self.change_in_locker(),
            54..=57 => self.visit(),
            58 => self.exhibit(slot),
            59..=61 => self.use_board(),
            62 => self.bring(slot),
            _ => self.drop_from(slot),
        }
    }

    /// Runs `body` on the graph in a slot of the desk, if there is one.
    fn on_desk<R>(
        &mut self,
        slot: usize,
        body: impl for<'gc> FnOnce(
            Running<'gc, '_>,
            gc_core::Gc<'gc, Hub<'gc>>,
            &mut Graph,
            &mut Rng,
            &mut Ids,
        ) -> Result<R, Error>,
    ) -> Result<Option<R>, Error> {
        let (rng, ids) = (&mut self.rng, &mut self.ids);
        let Some(graph) = &mut self.desk[slot] else {
            return Ok(None);
        };
        self.runtime.enter(0, |running| {
            let scope = running.scope();
            let hub = running
                .load(Slot::Local(slot))?
                .downcast::<Hub<'static>>(scope)?;
            body(running, hub, graph, rng, ids).map(Some)
        })
    }

    fn book(&self, seen: Audit, graph: &str, place: &str) {
        self.shared.book(seen, || {
            format!("{graph}, {place} by thread {}", self.thread)
        });
    }

    fn change(&mut self, slot: usize) -> Result<(), Error> {
        if self.desk[slot].as_ref().is_none_or(Graph::is_complete) {
            return self.create(slot);
        }
        let changed = self.on_desk(slot, |running, hub, graph, rng, ids| {
            let seen = graph.change(running.scope(), hub, rng, ids)?;
            Ok((seen, graph.name()))
        })?;
        if let Some((seen, name)) = changed {
            self.book(seen, &name, "changed on a desk");
        }
        Ok(())
    }

    fn audit(&mut self, slot: usize) -> Result<(), Error> {
        let audited = self.on_desk(slot, |running, hub, graph, _, _| {
            Ok((graph.audit(running.scope(), hub), graph.name()))
        })?;
        if let Some((seen, name)) = audited {
            self.book(seen, &name, "looked at on a desk");
        }
        Ok(())
    }

    fn create(&mut self, slot: usize) -> Result<(), Error> {
        let (rng, ids) = (&mut self.rng, &mut self.ids);
        let graph = self.runtime.enter(0, |running| {
            let (hub, graph) = graph::create(running.scope(), rng, ids)?;
            running.store(Slot::Local(slot), Value::of(hub))?;
            Ok(graph)
        })?;
        self.desk[slot] = Some(graph);
        Ok(())
    }

    /// Takes a graph off the desk.
    fn take(&mut self, slot: usize) -> Result<Option<Parcel>, Error> {
        let root = self.on_desk(slot, |running, hub, _, _, _| {
            let root = running.scope().root(hub);
            running.retire(Slot::Local(slot))?;
            Ok(root)
        })?;
        let graph = self.desk[slot].take();
        Ok(root.zip(graph).map(|(root, graph)| Parcel { root, graph }))
    }

    /// Puts a graph on the desk.
    fn put(&mut self, slot: usize, parcel: Parcel) -> Result<(), Error> {
        self.runtime.enter(0, |running| {
            let hub = running.scope().get(&parcel.root)?;
            running.store(Slot::Local(slot), Value::of(hub))
        })?;
        self.desk[slot] = Some(parcel.graph);
        Ok(())
    }

    fn drop_from(&mut self, slot: usize) -> Result<(), Error> {
        self.take(slot).map(drop)
    }

    /// What stands on the desk and what lies in a locker change places.
    fn exchange(&mut self, slot: usize) -> Result<(), Error> {
        let mine = self.take(slot)?;
        let theirs = core::mem::replace(&mut *self.shared.locker(&mut self.rng), mine);
        match theirs {
            Some(theirs) => self.put(slot, theirs),
            None => Ok(()),
        }
    }

    /// Changes a graph where it is, behind a root, while others wait for it.
    fn change_in_locker(&mut self) -> Result<(), Error> {
        let shared = self.shared;
        let mut locker = shared.locker(&mut self.rng);
        let (rng, ids) = (&mut self.rng, &mut self.ids);
        let Some(parcel) = locker.as_mut().filter(|parcel| !parcel.graph.is_complete()) else {
            return Ok(());
        };
        let seen = self.runtime.enter(0, |running| {
            let scope = running.scope();
            let hub = scope.get(&parcel.root)?;
            let mut seen = parcel.graph.change(scope, hub, rng, ids)?;
            seen += parcel.graph.audit(scope, hub);
            Ok(seen)
        })?;
        let name = parcel.graph.name();
        self.book(seen, &name, "changed in a locker");
        Ok(())
    }

    /// Looks at a graph that others may be looking at.
    fn visit(&mut self) -> Result<(), Error> {
        if let Some(parcel) = self.shared.exhibit(&mut self.rng) {
            let seen = self
                .runtime
                .enter(0, |running| parcel.audit(running.scope()))?;
            self.book(seen, &parcel.graph.name(), "looked at in an exhibit");
        }
        Ok(())
    }

    fn exhibit(&mut self, slot: usize) -> Result<(), Error> {
        let parcel = self.take(slot)?;
        self.shared.show(parcel, &mut self.rng);
        Ok(())
    }

    fn use_board(&mut self) -> Result<(), Error> {
        let (shared, rng) = (self.shared, &mut self.rng);
        let seen = self
            .runtime
            .enter(0, |running| shared.board.use_it(running.scope(), rng))?;
        self.book(seen, "a note", "on the board, seen");
        Ok(())
    }

    /// Brings a graph to a keeper, unless there is a queue.
    fn bring(&mut self, slot: usize) -> Result<(), Error> {
        let Some(parcel) = self.take(slot)? else {
            return Ok(());
        };
        let keeper = self.rng.index(self.shared.keepers.len());
        match self.shared.keepers[keeper].try_send(Order::Keep(Box::new(parcel))) {
            Ok(()) => Ok(()),
            Err(std::sync::mpsc::TrySendError::Full(Order::Keep(parcel))) => {
                self.put(slot, *parcel)
            }
            // It has ended by an error, which it will be asked for.
            Err(_) => Ok(()),
        }
    }

    /// Takes large objects until the heap refuses or there are as many as fill half of it.
    fn hoard(&mut self) -> Result<(), Error> {
        let limit = (self.shared.options.limit_mib as u64) << 20;
        let mut hoard = Vec::new();
        let mut refused = Ok(());
        for _ in 0..self.rng.below(limit / HOARD_BYTES) {
            let byte = self.rng.next_u64() as u8;
            let take = |scope: Scope<'_>| {
                let bytes = (0..HOARD_BYTES).map(|at| byte ^ at as u8);
                Ok::<_, Error>(scope.root(scope.try_alloc_slice(bytes)?))
            };
            match self.runtime.enter(0, |running| take(running.scope())) {
                Ok(root) => hoard.push((root, byte)),
                Err(error) => {
                    refused = Err(error);
                    break;
                }
            }
        }
        let seen = self
            .runtime
            .enter(0, |running| audit_hoard(running.scope(), &hoard))?;
        self.book(seen, "a large object", "hoarded");
        refused
    }

    /// The heap is at its limit: lets go of half of what there is.
    fn relieve(&mut self) -> Result<(), Error> {
        self.shared.note_limit();
        for slot in 0..DESK / 2 {
            self.drop_from(slot)?;
        }
        let parcel = self.shared.locker(&mut self.rng).take();
        drop(parcel);
        self.shared.show(None, &mut self.rng);
        Ok(())
    }
}

fn audit_hoard(scope: Scope<'_>, hoard: &[(Root<[u8]>, u8)]) -> Result<Audit, Error> {
    let mut seen = Audit::default();
    for (root, byte) in hoard {
        let bytes: Vec<u8> = (0..HOARD_BYTES).map(|at| byte ^ at as u8).collect();
        seen.book(content_hash(&scope.get(root)?) == content_hash(&bytes));
    }
    Ok(seen)
}
