//! Ephemerons: the value lives as long as its key is reachable otherwise, and not longer.

mod chains;
mod life;
mod phases;
mod threads;

use gc_core::{CheckLevel, Driver, Edge, Ephemeron, Heap, Mutator, Policy, Root, Trace};

#[derive(Trace)]
pub(crate) struct Node<'gc> {
    pub(crate) id: usize,
    pub(crate) next: Edge<'gc, Node<'gc>>,
}

pub(crate) fn node<'gc>(id: usize) -> Node<'gc> {
    Node {
        id,
        next: Edge::none(),
    }
}

pub(crate) type Pair<'gc> = Ephemeron<'gc, Node<'gc>, Node<'gc>>;

/// Objects that hold ephemerons, as a weak map does.
#[derive(Trace)]
pub(crate) struct Table<'gc> {
    pub(crate) pairs: Vec<Pair<'gc>>,
}

pub(crate) fn heap_at(level: CheckLevel) -> (Heap, Mutator) {
    let heap = Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::STRICT)
        .checks(level)
        .build()
        .unwrap();
    let mutator = heap.mutator();
    (heap, mutator)
}

pub(crate) fn heap() -> (Heap, Mutator) {
    heap_at(CheckLevel::Paranoid)
}

/// A table with one pair, and a root of its key.
pub(crate) fn one_pair(mutator: &mut Mutator) -> (Root<Table<'static>>, Root<Node<'static>>) {
    mutator.enter(|scope| {
        let (key, value) = (scope.alloc(node(1)), scope.alloc(node(2)));
        let pairs = vec![scope.ephemeron(key, value)];
        (scope.root(scope.alloc(Table { pairs })), scope.root(key))
    })
}

/// The ids of keys and values of a table, pair by pair.
pub(crate) fn ids(
    mutator: &mut Mutator,
    table: &Root<Table<'static>>,
) -> Vec<Option<(usize, usize)>> {
    mutator.enter(|scope| {
        let table = scope.get(table).unwrap();
        let entries = table.pairs.iter().map(|pair| scope.ephemeron_entry(*pair));
        entries
            .map(|entry| entry.map(|(key, value)| (key.id, value.id)))
            .collect()
    })
}
