//! Softfail, as its book begins: the default builder; a collector thread where the workload is a server.

use std::hint::black_box;

use gc_core::{CheckLevel, Driver, Edge, Gc, Heap, Mutator, Root, Scope, Trace};
use peers::{Peer, Setup, Variant, Workload, chain};

struct Softfail;

/// The nursery that the builder's documentation begins with.
const NURSERY_BYTES: usize = 4 << 20;

#[derive(Trace)]
struct Node<'gc> {
    left: Edge<'gc, Node<'gc>>,
    right: Edge<'gc, Node<'gc>>,
    value: u64,
    weight: u64,
}

#[derive(Trace)]
struct Entry<'gc> {
    next: Option<Gc<'gc, Entry<'gc>>>,
    key: u64,
    body: Gc<'gc, [u64]>,
}

#[derive(Trace)]
struct Blob<const N: usize> {
    body: [u64; N],
}

#[derive(Trace)]
struct Typed<'gc, const T: usize, const N: usize> {
    next: Option<Gc<'gc, Typed<'gc, T, N>>>,
    body: [u64; N],
}

#[derive(Trace)]
struct Slots<'gc> {
    nodes: Gc<'gc, [Edge<'gc, Node<'gc>>]>,
    entries: Gc<'gc, [Edge<'gc, Entry<'gc>>]>,
}

struct Handle {
    heap: Heap,
    mutator: Mutator,
    slots: Root<Slots<'static>>,
}

#[derive(Clone, Copy)]
struct Cx<'gc> {
    scope: Scope<'gc>,
    slots: Gc<'gc, Slots<'gc>>,
}

fn driver(setup: &Setup) -> Driver {
    match setup.variant {
        Variant::Background => Driver::Background(1),
        Variant::TwoCollectors => Driver::Background(2),
        Variant::Default | Variant::Lax | Variant::Generational if setup.is_server => {
            Driver::Background(1)
        }
        Variant::Default | Variant::Lax | Variant::Generational | Variant::Incremental => {
            Driver::Incremental
        }
    }
}

fn handle(heap: Heap, setup: &Setup) -> Handle {
    let mut mutator = heap.mutator();
    let slots = mutator.enter(|scope| {
        let nodes = scope.alloc_slice((0..setup.node_slots).map(|_| Edge::none()));
        let entries = scope.alloc_slice((0..setup.entry_slots).map(|_| Edge::none()));
        scope.root(scope.alloc(Slots { nodes, entries }))
    });
    Handle {
        heap,
        mutator,
        slots,
    }
}

impl Peer for Softfail {
    type Heap = Handle;
    type Cx<'a> = Cx<'a>;
    type Node<'a> = Gc<'a, Node<'a>>;
    type Entry<'a> = Gc<'a, Entry<'a>>;
    type Partner = Heap;

    fn lacks(_workload: Workload) -> Option<&'static str> {
        None
    }

    fn heap(setup: &Setup) -> Handle {
        let mut builder = Heap::builder().driver(driver(setup));
        if setup.variant == Variant::Generational {
            builder = builder.generational(NURSERY_BYTES);
        }
        if setup.variant == Variant::Lax {
            builder = builder.checks(CheckLevel::Lax);
        }
        handle(builder.build().expect("the default reservation"), setup)
    }

    fn turn<R>(heap: &mut Handle, work: impl for<'a> FnOnce(Cx<'a>) -> R) -> R {
        let slots = &heap.slots;
        heap.mutator.enter(|scope| {
            let slots = scope.get(slots).expect("a root of this heap");
            work(Cx { scope, slots })
        })
    }

    fn collect(heap: &mut Handle) {
        heap.heap.collect().expect("nobody is inside");
    }

    fn node<'a>(
        cx: Self::Cx<'a>,
        left: Option<Self::Node<'a>>,
        right: Option<Self::Node<'a>>,
        value: u64,
    ) -> Self::Node<'a> {
        cx.scope.alloc(Node {
            left: left.map_or_else(Edge::none, Edge::to),
            right: right.map_or_else(Edge::none, Edge::to),
            value,
            weight: value,
        })
    }

    fn value(node: &Self::Node<'_>) -> u64 {
        node.value
    }

    fn left<'a, R>(node: &Self::Node<'a>, look: impl FnOnce(Option<&Self::Node<'a>>) -> R) -> R {
        look(node.left.get().as_ref())
    }

    fn right<'a, R>(node: &Self::Node<'a>, look: impl FnOnce(Option<&Self::Node<'a>>) -> R) -> R {
        look(node.right.get().as_ref())
    }

    fn set_left<'a>(cx: Self::Cx<'a>, node: &Self::Node<'a>, target: &Self::Node<'a>) {
        node.left.set(cx.scope, *target);
    }

    fn set_right<'a>(cx: Self::Cx<'a>, node: &Self::Node<'a>, target: &Self::Node<'a>) {
        node.right.set(cx.scope, *target);
    }

    fn put<'a>(cx: Self::Cx<'a>, slot: usize, node: Option<Self::Node<'a>>) {
        cx.slots.nodes[slot].set(cx.scope, node);
    }

    fn take<'a>(cx: Self::Cx<'a>, slot: usize) -> Option<Self::Node<'a>> {
        cx.slots.nodes[slot].take(cx.scope)
    }

    fn get<'a>(cx: Self::Cx<'a>, slot: usize) -> Option<Self::Node<'a>> {
        cx.slots.nodes[slot].get()
    }

    fn entry<'a>(
        cx: Self::Cx<'a>,
        key: u64,
        words: usize,
        next: Option<Self::Entry<'a>>,
    ) -> Self::Entry<'a> {
        let body = cx.scope.alloc_slice((0..words as u64).map(|n| key + n));
        cx.scope.alloc(Entry { next, key, body })
    }

    fn put_entry<'a>(cx: Self::Cx<'a>, slot: usize, entry: Self::Entry<'a>) {
        cx.slots.entries[slot].set(cx.scope, entry);
    }

    fn sum_entry(cx: Self::Cx<'_>, slot: usize) -> u64 {
        chain::sum(cx.slots.entries[slot].get().as_ref(), |entry| {
            (entry.key, &entry.body[..], entry.next.as_ref())
        })
    }

    fn dying<const N: usize>(cx: Self::Cx<'_>, seed: u64) -> u64 {
        black_box(cx.scope.alloc(Blob { body: [seed; N] })).body[N - 1]
    }

    fn typed_list<const T: usize, const N: usize>(cx: Self::Cx<'_>, length: u64, seed: u64) -> u64 {
        let head = chain::list(length, seed, |next, word| {
            let body = [word; N];
            cx.scope.alloc(Typed::<'_, T, N> { next, body })
        });
        chain::sum_firsts(head.as_ref(), |at| (at.body[0], at.next.as_ref()))
    }

    fn partner(heap: &Handle) -> Option<Heap> {
        Some(heap.heap.clone())
    }

    fn join(partner: Heap, setup: &Setup) -> Handle {
        handle(partner, setup)
    }
}

fn main() {
    peers::main::<Softfail>();
}
