//! What a mutator does: a little program, drawn as it goes, of everything a scope offers.

use std::sync::Arc;

use gc_core::{Edge, Mutator, Phase, Scope};
use gc_hooks::sync::{point, yield_now};
use gc_sweep::{Colour, StateByte};
use shuttle::rand::{Rng, thread_rng};

use crate::objects::{BALLAST_WORDS, Guard, Handle, Node, Pointer};
use crate::oracle::{EDGES, Id, Links, Oracle};
use crate::scene::Stage;

/// A pointer with the number of its object.
type Known<'gc, G> = (Pointer<'gc, G>, Id);

/// A thread with its mutator's roots.
pub(crate) struct Thread<G: Guard> {
    stage: Arc<Stage<G>>,
    number: usize,
    pub(crate) roots: Vec<Handle<G>>,
}

fn draw(below: usize) -> usize {
    thread_rng().gen_range(0..below)
}

/// Once in so many times.
fn once_in(times: usize) -> bool {
    draw(times) == 0
}

/// Lets others run, once in so many times at the cost of the thread's priority: a scheduler by
/// priorities lets a thread run on for as long as it can.
pub(crate) fn give_way(times: usize) {
    if once_in(times) {
        yield_now();
    } else {
        point();
    }
}

fn draw_of<T>(items: &[T]) -> Option<&T> {
    if items.is_empty() {
        return None;
    }
    items.get(draw(items.len()))
}

impl<G: Guard> Thread<G> {
    pub(crate) fn new(stage: Arc<Stage<G>>, number: usize) -> Self {
        Thread {
            stage,
            number,
            roots: Vec::new(),
        }
    }

    /// Makes objects that lead to each other. The answer is a few roots of them; more go to the
    /// mailbox.
    pub(crate) fn set_up(&mut self, mutator: &mut Mutator, objects: usize) -> Vec<Handle<G>> {
        let stage = Arc::clone(&self.stage);
        let anchors = mutator.enter(|scope| {
            let mut inside = Inside::new(self, scope);
            for _ in 0..objects {
                let (last, any) = (inside.registers.last().copied(), inside.any());
                inside.alloc([last, any], any, last.zip(any));
            }
            let root = |(object, id)| Handle::new(&stage.oracle, id, scope.root(object));
            let made = inside.registers.iter().rev().copied();
            let anchors = made.clone().step_by(objects / 2).map(root).collect();
            made.step_by(2).map(root).for_each(|root| stage.post(root));
            anchors
        });
        stage.oracle.let_go(self.number);
        anchors
    }

    /// The whole program. The answer is what the thread still has rooted.
    pub(crate) fn run(mut self) -> Vec<Handle<G>> {
        let heap = self.stage.heap.clone();
        let mut mutator = heap.mutator();
        for _ in 0..self.stage.plan.enters {
            if self.stage.oracle.has_complaints() {
                break;
            }
            self.between(&mut mutator);
            let operations = 2 + draw(self.stage.plan.operations);
            mutator.enter(|scope| {
                let mut inside = Inside::new(&mut self, scope);
                inside.load();
                for _ in 0..operations {
                    if inside.thread.stage.oracle.has_complaints() {
                        break;
                    }
                    give_way(8);
                    inside.operation();
                }
                if !inside.thread.stage.plan.carries_pointers {
                    inside.thread.stage.oracle.let_go(inside.thread.number);
                }
            });
        }
        drop(mutator);
        self.stage.oracle.let_go(self.number);
        self.roots
    }

    /// Something with empty hands.
    fn between(&mut self, mutator: &mut Mutator) {
        give_way(2);
        let heap = &self.stage.heap;
        match draw(8) {
            // The new one joins before the old one leaves.
            0 => *mutator = heap.mutator(),
            1 => mutator.parked(point),
            2 => {
                let _waiting_is_fine = heap.step(1 + draw(20)).unwrap();
            }
            3 if !self.roots.is_empty() => drop(self.roots.swap_remove(draw(self.roots.len()))),
            _ => {}
        }
    }
}

/// A thread inside `enter`.
struct Inside<'gc, 't, G: Guard> {
    thread: &'t mut Thread<G>,
    scope: Scope<'gc>,
    /// What the thread got hold of, by name.
    registers: Vec<(Pointer<'gc, G>, Id)>,
}

impl<'gc, 't, G: Guard> Inside<'gc, 't, G> {
    fn new(thread: &'t mut Thread<G>, scope: Scope<'gc>) -> Self {
        Inside {
            thread,
            scope,
            registers: Vec::new(),
        }
    }

    fn oracle(&self) -> &Oracle {
        &self.thread.stage.oracle
    }

    fn any(&self) -> Option<(Pointer<'gc, G>, Id)> {
        draw_of(&self.registers).copied()
    }

    /// Sometimes nothing.
    fn perhaps(&self) -> Option<(Pointer<'gc, G>, Id)> {
        if once_in(4) { None } else { self.any() }
    }

    /// Keeps a pointer that the heap gave out where the model has `expected`, or any object.
    fn keep(&mut self, found: Option<Pointer<'gc, G>>, expected: Expected) {
        // After a complaint the object may be gone, and the program ends.
        if self.oracle().has_complaints() {
            return;
        }
        let number = self.thread.number;
        let found = found.map(|object| (object, object.id));
        let is_right = match expected {
            Expected::Any => true,
            Expected::Exactly(expected) => found.map(|(_, id)| id) == expected,
        };
        if !is_right {
            let id = found.map(|(_, id)| id);
            let complaint = format!("thread {number} found {id:?}, and not {expected:?}");
            return self.oracle().complain(complaint);
        }
        if let Some((object, id)) = found {
            self.oracle().hold(number, id);
            self.registers.push((object, id));
        }
    }

    /// Undoes what the marker did, as a stray store into the state bytes would.
    fn lose_mark(&self) {
        let heap = &self.thread.stage.heap;
        let white = (heap.cycle() - 1) % Colour::COUNT as u32 + 1;
        if let (Some((object, _)), Some(white)) = (self.any(), Colour::from_number(white as u8)) {
            let bytes = heap.fault();
            assert!(
                bytes
                    .space()
                    .set_state_byte(object.address(), StateByte::object(white))
            );
        }
    }

    fn operation(&mut self) {
        let stage = &self.thread.stage;
        stage.oracle.meet(stage.heap.phase() as u8);
        if stage.plan.loses_marks && once_in(6) && stage.heap.phase() == Phase::Mark {
            self.lose_mark();
        }
        match draw(20) {
            0..2 => {
                let edges = [self.perhaps(), self.perhaps()];
                let weak = self.perhaps();
                let pair = self.perhaps().zip(self.any());
                self.alloc(edges, weak, pair);
            }
            2 => (0..4).for_each(|_| self.alloc([None; 2], None, None)),
            3..6 => self.load(),
            6..9 => self.follow(),
            9 => {
                if let (Some(object), to) = (self.any(), self.perhaps()) {
                    self.set(object, draw(EDGES), to);
                }
            }
            10..12 => self.swap(),
            12..14 => self.hide(),
            14 => self.upgrade(),
            15 => self.entry(),
            16 => (0..2).for_each(|_| self.unroot()),
            17 => self.root(),
            18 => self.unroot(),
            _ => self.scope.poll(),
        }
    }

    fn alloc(
        &mut self,
        edges: [Option<(Pointer<'gc, G>, Id)>; EDGES],
        weak: Option<(Pointer<'gc, G>, Id)>,
        pair: Option<(Known<'gc, G>, Known<'gc, G>)>,
    ) {
        let oracle = Arc::clone(&self.thread.stage.oracle);
        let links = Links {
            edges: edges.map(|edge| edge.map(|(_, id)| id)),
            weak: weak.map(|(_, id)| id),
            ephemeron: pair.map(|((_, key), (_, value))| (key, value)),
        };
        let id = oracle.bear(self.thread.number, links);
        let scope = self.scope;
        let object = scope.alloc(Node {
            id,
            edges: edges.map(|edge| Edge::from(edge.map(|(object, _)| object))),
            weak: weak.map(|(object, _)| scope.downgrade(object)),
            ephemeron: pair.map(|((key, _), (value, _))| scope.ephemeron(key, value)),
            _ballast: [id; BALLAST_WORDS],
            _guard: G::new(&oracle, id),
        });
        self.registers.push((object, id));
    }

    /// Reads a root: one that stays for good, one of its own, or one that somebody sent.
    fn load(&mut self) {
        let stage = Arc::clone(&self.thread.stage);
        let anchors = stage.anchors.get().map_or(&[][..], Vec::as_slice);
        let roots = if once_in(2) {
            anchors
        } else {
            &self.thread.roots
        };
        if let Some(handle) = draw_of(roots) {
            let object = self.scope.get(&handle.root).unwrap();
            let expected = Expected::Exactly(Some(handle.id));
            self.keep(Some(object), expected);
        } else if let Some(handle) = self.thread.stage.receive() {
            self.thread.roots.push(handle);
        }
    }

    fn follow(&mut self) {
        if let Some(object) = self.any() {
            self.follow_edge(object, draw(EDGES));
        }
    }

    fn follow_edge(&mut self, (object, id): (Pointer<'gc, G>, Id), edge: usize) {
        let found = object.edges[edge].get();
        let expected = self.oracle().links(id).edges[edge];
        self.keep(found, Expected::Exactly(expected));
    }

    fn set(
        &mut self,
        (object, id): (Pointer<'gc, G>, Id),
        edge: usize,
        to: Option<(Pointer<'gc, G>, Id)>,
    ) {
        object.edges[edge].set(self.scope, to.map(|(to, _)| to));
        self.oracle().set_edge(id, edge, to.map(|(_, id)| id));
    }

    /// Another thread may store between the load and the store, so the old value may be an older
    /// one. It is alive all the same.
    fn swap(&mut self) {
        if let (Some((object, id)), to) = (self.any(), self.perhaps()) {
            let edge = draw(EDGES);
            let old = object.edges[edge].swap(self.scope, to.map(|(to, _)| to));
            self.oracle().set_edge(id, edge, to.map(|(_, id)| id));
            self.keep(old, Expected::Any);
        }
    }

    /// Moves what an edge leads to behind another object, as a program does that a collector without
    /// barriers misses.
    fn hide(&mut self) {
        let (Some(from), Some(to)) = (self.any(), self.any()) else {
            return self.load();
        };
        let known = self.registers.len();
        self.follow_edge(from, draw(EDGES));
        let found = self.registers.get(known).copied();
        self.set(to, draw(EDGES), found);
        self.set(from, draw(EDGES), None);
    }

    fn upgrade(&mut self) {
        let Some((object, id)) = self.any() else {
            return;
        };
        if let (Some(weak), Some(target)) = (object.weak, self.oracle().links(id).weak) {
            match self.scope.upgrade(weak) {
                None => self.oracle().found_dead(target),
                found => self.keep(found, Expected::Exactly(Some(target))),
            }
        }
    }

    fn entry(&mut self) {
        let Some((object, id)) = self.any() else {
            return;
        };
        let pair = self.oracle().links(id).ephemeron;
        if let (Some(ephemeron), Some((key, value))) = (object.ephemeron, pair) {
            match self.scope.ephemeron_entry(ephemeron) {
                None => self.oracle().found_dead(key),
                Some((found_key, found_value)) => {
                    self.keep(Some(found_key), Expected::Exactly(Some(key)));
                    self.keep(Some(found_value), Expected::Exactly(Some(value)));
                }
            }
        }
    }

    fn root(&mut self) {
        let stage = Arc::clone(&self.thread.stage);
        let handle = match draw_of(&self.thread.roots) {
            Some(handle) if once_in(3) => {
                Handle::new(&stage.oracle, handle.id, handle.root.clone())
            }
            _ => match self.any() {
                Some((object, id)) => Handle::new(&stage.oracle, id, self.scope.root(object)),
                None => return,
            },
        };
        if once_in(2) {
            stage.post(handle);
        } else {
            self.thread.roots.push(handle);
        }
    }

    fn unroot(&mut self) {
        let roots = &mut self.thread.roots;
        if !roots.is_empty() {
            let handle = roots.swap_remove(draw(roots.len()));
            if once_in(3) {
                self.thread.stage.post(handle);
            }
        }
    }
}

/// What the model says of a pointer that the heap gave out.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// This object, or none.
    Exactly(Option<Id>),
    /// Any that lives.
    Any,
}
