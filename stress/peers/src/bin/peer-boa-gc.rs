//! boa_gc, on mimalloc, with its default thresholds.

use std::hint::black_box;

use boa_gc::{Finalize, Gc, GcRefCell, Trace, force_collect};
use peers::{Peer, Setup, Workload};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct BoaGc;

#[derive(Trace, Finalize)]
struct Node {
    left: GcRefCell<Option<Gc<Node>>>,
    right: GcRefCell<Option<Gc<Node>>>,
    value: u64,
    weight: u64,
}

#[derive(Trace, Finalize)]
struct Entry {
    next: Option<Gc<Entry>>,
    key: u64,
    #[unsafe_ignore_trace]
    body: Box<[u64]>,
}

#[derive(Trace, Finalize)]
struct Blob<const N: usize> {
    #[unsafe_ignore_trace]
    body: [u64; N],
}

#[derive(Trace, Finalize)]
struct Typed<const T: usize, const N: usize> {
    next: Option<Gc<Typed<T, N>>>,
    #[unsafe_ignore_trace]
    body: [u64; N],
}

/// One managed array of cells each: roots of their own would be as many roots.
struct Slots {
    nodes: Gc<Vec<GcRefCell<Option<Gc<Node>>>>>,
    entries: Gc<Vec<GcRefCell<Option<Gc<Entry>>>>>,
}

fn slots<T: Trace + 'static>(count: usize) -> Gc<Vec<GcRefCell<Option<Gc<T>>>>> {
    Gc::new((0..count).map(|_| GcRefCell::new(None)).collect())
}

impl Peer for BoaGc {
    type Heap = Slots;
    type Cx<'a> = &'a Slots;
    type Node<'a> = Gc<Node>;
    type Entry<'a> = Gc<Entry>;
    type Partner = ();

    fn lacks(workload: Workload) -> Option<&'static str> {
        (workload == Workload::Threads).then_some("its pointers stay on one thread")
    }

    fn heap(setup: &Setup) -> Slots {
        Slots {
            nodes: slots(setup.node_slots),
            entries: slots(setup.entry_slots),
        }
    }

    fn turn<R>(heap: &mut Slots, work: impl for<'a> FnOnce(Self::Cx<'a>) -> R) -> R {
        work(heap)
    }

    fn collect(_heap: &mut Slots) {
        force_collect();
    }

    fn node<'a>(
        _cx: Self::Cx<'a>,
        left: Option<Self::Node<'a>>,
        right: Option<Self::Node<'a>>,
        value: u64,
    ) -> Self::Node<'a> {
        Gc::new(Node {
            left: GcRefCell::new(left),
            right: GcRefCell::new(right),
            value,
            weight: value,
        })
    }

    fn value(node: &Self::Node<'_>) -> u64 {
        node.value
    }

    fn left<'a, R>(node: &Self::Node<'a>, look: impl FnOnce(Option<&Self::Node<'a>>) -> R) -> R {
        look(node.left.borrow().as_ref())
    }

    fn right<'a, R>(node: &Self::Node<'a>, look: impl FnOnce(Option<&Self::Node<'a>>) -> R) -> R {
        look(node.right.borrow().as_ref())
    }

    fn set_left<'a>(_cx: Self::Cx<'a>, node: &Self::Node<'a>, target: &Self::Node<'a>) {
        *node.left.borrow_mut() = Some(target.clone());
    }

    fn set_right<'a>(_cx: Self::Cx<'a>, node: &Self::Node<'a>, target: &Self::Node<'a>) {
        *node.right.borrow_mut() = Some(target.clone());
    }

    fn put<'a>(cx: Self::Cx<'a>, slot: usize, node: Option<Self::Node<'a>>) {
        *cx.nodes[slot].borrow_mut() = node;
    }

    fn take<'a>(cx: Self::Cx<'a>, slot: usize) -> Option<Self::Node<'a>> {
        cx.nodes[slot].borrow_mut().take()
    }

    fn get<'a>(cx: Self::Cx<'a>, slot: usize) -> Option<Self::Node<'a>> {
        cx.nodes[slot].borrow().clone()
    }

    fn entry<'a>(
        _cx: Self::Cx<'a>,
        key: u64,
        words: usize,
        next: Option<Self::Entry<'a>>,
    ) -> Self::Entry<'a> {
        let body = (0..words as u64).map(|n| key + n).collect();
        Gc::new(Entry { next, key, body })
    }

    fn put_entry<'a>(cx: Self::Cx<'a>, slot: usize, entry: Self::Entry<'a>) {
        *cx.entries[slot].borrow_mut() = Some(entry);
    }

    fn sum_entry(cx: Self::Cx<'_>, slot: usize) -> u64 {
        let mut sum = 0u64;
        let first = cx.entries[slot].borrow();
        let mut entry = first.as_ref();
        while let Some(looked_at) = entry {
            let words = looked_at.body.iter();
            sum = words.fold(sum.wrapping_add(looked_at.key), |sum, word| {
                sum.wrapping_add(*word)
            });
            entry = looked_at.next.as_ref();
        }
        sum
    }

    fn dying<const N: usize>(_cx: Self::Cx<'_>, seed: u64) -> u64 {
        black_box(Gc::new(Blob { body: [seed; N] })).body[N - 1]
    }

    fn typed_list<const T: usize, const N: usize>(
        _cx: Self::Cx<'_>,
        length: u64,
        seed: u64,
    ) -> u64 {
        let mut head: Option<Gc<Typed<T, N>>> = None;
        for n in 0..length {
            let body = [seed + n; N];
            head = Some(Gc::new(Typed { next: head, body }));
        }
        let mut sum = 0;
        let mut at = head.as_ref();
        while let Some(first) = at {
            sum += first.body[0];
            at = first.next.as_ref();
        }
        sum
    }

    fn partner(_heap: &Slots) -> Option<()> {
        None
    }

    fn join((): (), setup: &Setup) -> Slots {
        Self::heap(setup)
    }
}

fn main() {
    peers::main::<BoaGc>();
}
