//! gc-arena, on mimalloc. Debt is paid after each turn, with the default pacing.
//!
//! Slots are in groups with a lock of their own: a store re-greys the object that holds the lock, which for one large array
//! would be all of it.

use std::hint::black_box;

use gc_arena::barrier::unlock;
use gc_arena::{Arena, Collect, Gc, Lock, Mutation, RefLock, Rootable};
use peers::{Peer, Setup, Workload, chain};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SLOTS_OF_A_GROUP: usize = 64;

struct GcArena;

#[derive(Collect)]
#[collect(no_drop)]
struct Node<'gc> {
    left: Lock<Option<Gc<'gc, Node<'gc>>>>,
    right: Lock<Option<Gc<'gc, Node<'gc>>>>,
    value: u64,
    weight: u64,
}

#[derive(Collect)]
#[collect(no_drop)]
struct Entry<'gc> {
    next: Option<Gc<'gc, Entry<'gc>>>,
    key: u64,
    body: Box<[u64]>,
}

#[derive(Collect)]
#[collect(require_static)]
struct Blob<const N: usize> {
    body: [u64; N],
}

#[derive(Collect)]
#[collect(no_drop)]
struct Typed<'gc, const T: usize, const N: usize> {
    next: Option<Gc<'gc, Typed<'gc, T, N>>>,
    body: [u64; N],
}

type Group<'gc, T> = Gc<'gc, RefLock<Vec<Option<Gc<'gc, T>>>>>;

#[derive(Collect)]
#[collect(no_drop)]
struct Slots<'gc> {
    nodes: Vec<Group<'gc, Node<'gc>>>,
    entries: Vec<Group<'gc, Entry<'gc>>>,
}

type Heap = Arena<Rootable![Slots<'_>]>;

fn groups<'gc, T: Collect<'gc>>(mc: &Mutation<'gc>, slots: usize) -> Vec<Group<'gc, T>> {
    (0..slots.div_ceil(SLOTS_OF_A_GROUP))
        .map(|_| Gc::new(mc, RefLock::new(vec![None; SLOTS_OF_A_GROUP])))
        .collect()
}

impl Peer for GcArena {
    type Heap = Heap;
    type Cx<'a> = (&'a Mutation<'a>, &'a Slots<'a>);
    type Node<'a> = Gc<'a, Node<'a>>;
    type Entry<'a> = Gc<'a, Entry<'a>>;
    type Partner = ();

    fn lacks(workload: Workload) -> Option<&'static str> {
        (workload == Workload::Threads).then_some("an arena stays on one thread")
    }

    fn heap(setup: &Setup) -> Heap {
        Arena::new(|mc| Slots {
            nodes: groups(mc, setup.node_slots),
            entries: groups(mc, setup.entry_slots),
        })
    }

    fn turn<R>(heap: &mut Heap, work: impl for<'a> FnOnce(Self::Cx<'a>) -> R) -> R {
        let result = heap.mutate(|mc, slots| work((mc, slots)));
        heap.collect_debt();
        result
    }

    fn collect(heap: &mut Heap) {
        heap.finish_cycle();
    }

    fn node<'a>(
        (mc, _): Self::Cx<'a>,
        left: Option<Self::Node<'a>>,
        right: Option<Self::Node<'a>>,
        value: u64,
    ) -> Self::Node<'a> {
        Gc::new(
            mc,
            Node {
                left: Lock::new(left),
                right: Lock::new(right),
                value,
                weight: value,
            },
        )
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

    fn set_left<'a>((mc, _): Self::Cx<'a>, node: &Self::Node<'a>, target: &Self::Node<'a>) {
        unlock!(Gc::write(mc, *node), Node, left).set(Some(*target));
    }

    fn set_right<'a>((mc, _): Self::Cx<'a>, node: &Self::Node<'a>, target: &Self::Node<'a>) {
        unlock!(Gc::write(mc, *node), Node, right).set(Some(*target));
    }

    fn put<'a>((mc, slots): Self::Cx<'a>, slot: usize, node: Option<Self::Node<'a>>) {
        let group = slots.nodes[slot / SLOTS_OF_A_GROUP];
        group.borrow_mut(mc)[slot % SLOTS_OF_A_GROUP] = node;
    }

    fn take<'a>((mc, slots): Self::Cx<'a>, slot: usize) -> Option<Self::Node<'a>> {
        let group = slots.nodes[slot / SLOTS_OF_A_GROUP];
        group.borrow_mut(mc)[slot % SLOTS_OF_A_GROUP].take()
    }

    fn get<'a>((_, slots): Self::Cx<'a>, slot: usize) -> Option<Self::Node<'a>> {
        slots.nodes[slot / SLOTS_OF_A_GROUP].borrow()[slot % SLOTS_OF_A_GROUP]
    }

    fn entry<'a>(
        (mc, _): Self::Cx<'a>,
        key: u64,
        words: usize,
        next: Option<Self::Entry<'a>>,
    ) -> Self::Entry<'a> {
        let body = (0..words as u64).map(|n| key + n).collect();
        Gc::new(mc, Entry { next, key, body })
    }

    fn put_entry<'a>((mc, slots): Self::Cx<'a>, slot: usize, entry: Self::Entry<'a>) {
        let group = slots.entries[slot / SLOTS_OF_A_GROUP];
        group.borrow_mut(mc)[slot % SLOTS_OF_A_GROUP] = Some(entry);
    }

    fn sum_entry((_, slots): Self::Cx<'_>, slot: usize) -> u64 {
        let first = slots.entries[slot / SLOTS_OF_A_GROUP].borrow()[slot % SLOTS_OF_A_GROUP];
        chain::sum(first.as_ref(), |entry| {
            (entry.key, &entry.body[..], entry.next.as_ref())
        })
    }

    fn dying<const N: usize>((mc, _): Self::Cx<'_>, seed: u64) -> u64 {
        black_box(Gc::new(mc, Blob { body: [seed; N] })).body[N - 1]
    }

    fn typed_list<const T: usize, const N: usize>(
        (mc, _): Self::Cx<'_>,
        length: u64,
        seed: u64,
    ) -> u64 {
        let head = chain::list(length, seed, |next, word| {
            let body = [word; N];
            Gc::new(mc, Typed::<'_, T, N> { next, body })
        });
        chain::sum_firsts(head.as_ref(), |at| (at.body[0], at.next.as_ref()))
    }

    fn partner(_heap: &Heap) -> Option<()> {
        None
    }

    fn join((): (), setup: &Setup) -> Heap {
        Self::heap(setup)
    }
}

fn main() {
    peers::main::<GcArena>();
}
