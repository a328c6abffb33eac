//! bumpalo, a bump arena: what dies is forgotten with its turn. The limit of what allocation can cost.

use std::cell::Cell;
use std::hint::black_box;
use std::mem;
use std::ptr;

use bumpalo::Bump;
use peers::{Peer, Setup, Workload, chain};

struct Arenas;

struct Node<'a> {
    left: Cell<Option<&'a Node<'a>>>,
    right: Cell<Option<&'a Node<'a>>>,
    value: u64,
    weight: u64,
}

struct Typed<'a, const T: usize, const N: usize> {
    next: Option<&'a Typed<'a, T, N>>,
    body: [u64; N],
}

/// One arena for what lives on, one that each turn empties.
struct Heap {
    kept: Bump,
    scratch: Bump,
    /// Nodes in `kept`.
    slots: Vec<Cell<*const Node<'static>>>,
}

#[derive(Clone, Copy)]
struct Cx<'a> {
    bump: &'a Bump,
    slots: &'a [Cell<*const Node<'static>>],
}

const MISSING: &str = "frees nothing before its turn ends";

impl Peer for Arenas {
    type Heap = Heap;
    type Cx<'a> = Cx<'a>;
    type Node<'a> = &'a Node<'a>;
    type Entry<'a> = ();
    type Partner = ();

    fn lacks(workload: Workload) -> Option<&'static str> {
        match workload {
            Workload::Churn | Workload::Requests | Workload::Fragment => Some(MISSING),
            _ if workload.is_collection() => Some("there is nothing to collect"),
            _ => None,
        }
    }

    fn heap(setup: &Setup) -> Heap {
        Heap {
            kept: Bump::new(),
            scratch: Bump::new(),
            slots: vec![Cell::new(ptr::null()); setup.node_slots],
        }
    }

    fn turn<R>(heap: &mut Heap, work: impl for<'a> FnOnce(Cx<'a>) -> R) -> R {
        let result = work(Cx {
            bump: &heap.scratch,
            slots: &heap.slots,
        });
        heap.scratch.reset();
        result
    }

    fn build<R>(heap: &mut Heap, work: impl for<'a> FnOnce(Cx<'a>) -> R) -> R {
        work(Cx {
            bump: &heap.kept,
            slots: &heap.slots,
        })
    }

    fn node<'a>(
        cx: Self::Cx<'a>,
        left: Option<Self::Node<'a>>,
        right: Option<Self::Node<'a>>,
        value: u64,
    ) -> Self::Node<'a> {
        cx.bump.alloc(Node {
            left: Cell::new(left),
            right: Cell::new(right),
            value,
            weight: value,
        })
    }

    fn value(node: &Self::Node<'_>) -> u64 {
        debug_assert_eq!(node.value, node.weight);
        node.value
    }

    fn left<'a, R>(node: &Self::Node<'a>, look: impl FnOnce(Option<&Self::Node<'a>>) -> R) -> R {
        look(node.left.get().as_ref())
    }

    fn right<'a, R>(node: &Self::Node<'a>, look: impl FnOnce(Option<&Self::Node<'a>>) -> R) -> R {
        look(node.right.get().as_ref())
    }

    fn set_left<'a>(_cx: Self::Cx<'a>, node: &Self::Node<'a>, target: &Self::Node<'a>) {
        node.left.set(Some(target));
    }

    fn set_right<'a>(_cx: Self::Cx<'a>, node: &Self::Node<'a>, target: &Self::Node<'a>) {
        node.right.set(Some(target));
    }

    fn put<'a>(cx: Self::Cx<'a>, slot: usize, node: Option<Self::Node<'a>>) {
        let node = node.map_or(ptr::null(), ptr::from_ref);
        cx.slots[slot].set(node.cast());
    }

    fn take<'a>(cx: Self::Cx<'a>, slot: usize) -> Option<Self::Node<'a>> {
        let taken = Self::get(cx, slot);
        cx.slots[slot].set(ptr::null());
        taken
    }

    fn get<'a>(cx: Self::Cx<'a>, slot: usize) -> Option<Self::Node<'a>> {
        let node = cx.slots[slot].get();
        // SAFETY: what is put into a slot was built in `kept`, which is never emptied.
        let node: Option<&'a Node<'static>> = unsafe { node.as_ref() };
        // SAFETY: the node lives for the turn, and so do those it leads to.
        unsafe { mem::transmute::<Option<&'a Node<'static>>, Option<&'a Node<'a>>>(node) }
    }

    fn entry<'a>(
        _cx: Self::Cx<'a>,
        _key: u64,
        _words: usize,
        _next: Option<Self::Entry<'a>>,
    ) -> Self::Entry<'a> {
        panic!("{MISSING}")
    }

    fn put_entry<'a>(_cx: Self::Cx<'a>, _slot: usize, _entry: Self::Entry<'a>) {
        panic!("{MISSING}")
    }

    fn sum_entry(_cx: Self::Cx<'_>, _slot: usize) -> u64 {
        panic!("{MISSING}")
    }

    fn dying<const N: usize>(cx: Self::Cx<'_>, seed: u64) -> u64 {
        black_box(cx.bump.alloc([seed; N]))[N - 1]
    }

    fn typed_list<const T: usize, const N: usize>(cx: Self::Cx<'_>, length: u64, seed: u64) -> u64 {
        let head = chain::list(length, seed, |next, word| {
            let body = [word; N];
            &*cx.bump.alloc(Typed::<'_, T, N> { next, body })
        });
        chain::sum_firsts(head, |at| (at.body[0], at.next))
    }

    fn partner(_heap: &Heap) -> Option<()> {
        Some(())
    }

    fn join((): (), setup: &Setup) -> Heap {
        Self::heap(setup)
    }
}

fn main() {
    peers::main::<Arenas>();
}
