//! The naive model: a graph in maps, what each thread holds, what is rooted, and what was dropped.
//!
//! It sits behind a lock of the standard library that is never held across a scheduling point, so
//! each of its methods is one step. Whoever changes the heap changes the model in the same step where
//! there is one (a pointer store is its operation's last step), and otherwise in the order that makes
//! the model's set of reachable objects the smaller one. So whatever the model can reach, the heap
//! must keep.
//!
//! Complaints are collected, since a panic in a destructor would be caught by the heap, and since a
//! mutant is expected to bring some about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names an object for good, while addresses are used again.
pub(crate) type Id = u64;

pub(crate) const EDGES: usize = 2;

/// What an object leads to. Weak references and ephemerons are given at birth and stay.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Links {
    pub(crate) edges: [Option<Id>; EDGES],
    pub(crate) weak: Option<Id>,
    pub(crate) ephemeron: Option<(Id, Id)>,
}

#[derive(Default)]
struct Model {
    objects: BTreeMap<Id, Links>,
    /// By thread: what it got hold of since it entered.
    held: BTreeMap<usize, Vec<Id>>,
    /// With the number of roots.
    roots: BTreeMap<Id, usize>,
    dropped: BTreeSet<Id>,
    /// The heap is at its end and drops everything.
    is_closing: bool,
    complaints: Vec<String>,
    phases_met: BTreeSet<u8>,
    dead_found: u64,
}

impl Model {
    fn reachable(&self) -> BTreeSet<Id> {
        let mut seen = BTreeSet::new();
        let held = self.held.values().flatten();
        let mut stack: Vec<Id> = self.roots.keys().chain(held).copied().collect();
        loop {
            while let Some(id) = stack.pop() {
                if seen.insert(id) {
                    stack.extend(self.objects[&id].edges.iter().flatten());
                }
            }
            let ephemerons = seen.iter().filter_map(|id| self.objects[id].ephemeron);
            let due = ephemerons.filter(|(key, value)| seen.contains(key) && !seen.contains(value));
            stack.extend(due.map(|(_, value)| value));
            if stack.is_empty() {
                return seen;
            }
        }
    }
}

/// What the model says when all is over.
pub(crate) struct Verdict {
    /// Objects that are reachable, and the cells behind their weak references and ephemerons.
    pub(crate) objects_and_cells: u64,
    /// Unreachable objects that were not dropped.
    pub(crate) leaked: Vec<Id>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Oracle(Mutex<Model>);

impl Oracle {
    fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn complain(&self, complaint: String) {
        self.model().complaints.push(complaint);
    }

    /// Whether something went wrong already. The heap must not be looked into any more then.
    pub(crate) fn has_complaints(&self) -> bool {
        !self.model().complaints.is_empty()
    }

    pub(crate) fn take_complaints(&self) -> Vec<String> {
        core::mem::take(&mut self.model().complaints)
    }

    /// An operation begins in a phase.
    pub(crate) fn meet(&self, phase: u8) {
        self.model().phases_met.insert(phase);
    }

    pub(crate) fn phases_met(&self) -> BTreeSet<u8> {
        self.model().phases_met.clone()
    }

    pub(crate) fn dead_found(&self) -> u64 {
        self.model().dead_found
    }

    /// A name for an object that is about to be allocated; the thread holds it already.
    pub(crate) fn bear(&self, thread: usize, links: Links) -> Id {
        let mut model = self.model();
        let id = model.objects.len() as Id + 1;
        model.objects.insert(id, links);
        model.held.entry(thread).or_default().push(id);
        id
    }

    /// A thread has got hold of an object.
    pub(crate) fn hold(&self, thread: usize, id: Id) {
        let mut model = self.model();
        if model.dropped.contains(&id) || !model.objects.contains_key(&id) {
            model
                .complaints
                .push(format!("thread {thread} was given {id}, which is dead"));
        } else {
            model.held.entry(thread).or_default().push(id);
        }
    }

    /// The thread leaves `enter`.
    pub(crate) fn let_go(&self, thread: usize) {
        self.model().held.remove(&thread);
    }

    pub(crate) fn links(&self, id: Id) -> Links {
        self.model().objects.get(&id).copied().unwrap_or_default()
    }

    pub(crate) fn set_edge(&self, id: Id, edge: usize, to: Option<Id>) {
        if let Some(links) = self.model().objects.get_mut(&id) {
            links.edges[edge] = to;
        }
    }

    /// A root exists.
    pub(crate) fn root(&self, id: Id) {
        *self.model().roots.entry(id).or_default() += 1;
    }

    /// A root is about to go.
    pub(crate) fn unroot(&self, id: Id) {
        let mut model = self.model();
        let count = model.roots.get_mut(&id).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if count == 0 {
            model.roots.remove(&id);
        }
    }

    /// A weak reference, or an ephemeron with this key, was found empty.
    pub(crate) fn found_dead(&self, id: Id) {
        let mut model = self.model();
        model.dead_found += 1;
        if model.reachable().contains(&id) {
            model.complaints.push(format!(
                "{id} is reachable, and its weak reference is empty"
            ));
        }
    }

    /// A destructor runs.
    pub(crate) fn bury(&self, id: Id) {
        let mut model = self.model();
        if model.is_closing {
            return;
        }
        if !model.dropped.insert(id) {
            model.complaints.push(format!("{id} is dropped twice"));
        }
        if model.reachable().contains(&id) {
            model
                .complaints
                .push(format!("{id} is dropped and reachable"));
        }
    }

    /// From now on the heap drops everything.
    pub(crate) fn close(&self) {
        self.model().is_closing = true;
    }

    /// What must be true of a heap that was collected with nobody inside.
    pub(crate) fn judge(&self) -> Verdict {
        let model = self.model();
        let reachable = model.reachable();
        let cells = reachable.iter().map(|id| &model.objects[id]);
        let cells = cells.map(|of| of.weak.iter().count() + of.ephemeron.iter().count());
        let is_leaked = |id: &&Id| !reachable.contains(id) && !model.dropped.contains(id);
        Verdict {
            objects_and_cells: (reachable.len() + cells.sum::<usize>()) as u64,
            leaked: model.objects.keys().filter(is_leaked).copied().collect(),
        }
    }
}
