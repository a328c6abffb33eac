//! [`Boxed`]: `Box` and memory freed by hand, on whichever allocator the binary names.
//!
//! What a C programmer would do: who owns what is known, and each object is freed at the right moment. Pointers are raw,
//! since a graph has no single owner; that is sound only because the workloads keep to the rules.

use std::cell::Cell;
use std::hint::black_box;
use std::ptr;

use crate::chain;
use crate::peer::{Peer, Setup};
use crate::workloads::Workload;

/// Memory managed by hand.
pub struct Boxed;

/// 32 bytes.
pub struct Node {
    left: Cell<*mut Node>,
    right: Cell<*mut Node>,
    value: u64,
    _weight: u64,
}

/// A chain of these is owned by its slot.
pub struct Entry {
    next: *mut Entry,
    key: u64,
    body: Box<[u64]>,
}

struct Typed<const T: usize, const N: usize> {
    next: *mut Typed<T, N>,
    body: [u64; N],
}

/// The slots.
pub struct Slots {
    nodes: Vec<Cell<*mut Node>>,
    entries: Vec<Cell<*mut Entry>>,
}

fn raw<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// Frees what [`raw`] made and returns the value.
fn unraw<T>(pointer: *mut T) -> T {
    // SAFETY: every pointer here comes from `raw`, and the workloads let go of each object once.
    *unsafe { Box::from_raw(pointer) }
}

fn at<'a, T>(pointer: *mut T) -> &'a T {
    // SAFETY: the workloads look only at objects they have not let go of.
    unsafe { &*pointer }
}

fn shown<T>(pointer: *mut T) -> Option<*mut T> {
    (!pointer.is_null()).then_some(pointer)
}

fn free(node: *mut Node) {
    let node = unraw(node);
    if let Some(left) = shown(node.left.get()) {
        free(left);
    }
    if let Some(right) = shown(node.right.get()) {
        free(right);
    }
}

fn free_chain(mut entry: *mut Entry) {
    while !entry.is_null() {
        entry = unraw(entry).next;
    }
}

impl Peer for Boxed {
    type Heap = Slots;
    type Cx<'a> = &'a Slots;
    type Node<'a> = *mut Node;
    type Entry<'a> = *mut Entry;
    type Partner = ();

    fn lacks(workload: Workload) -> Option<&'static str> {
        workload
            .is_collection()
            .then_some("memory is freed by hand; there is nothing to collect")
    }

    fn heap(setup: &Setup) -> Slots {
        Slots {
            nodes: vec![Cell::new(ptr::null_mut()); setup.node_slots],
            entries: vec![Cell::new(ptr::null_mut()); setup.entry_slots],
        }
    }

    fn turn<R>(heap: &mut Slots, work: impl for<'a> FnOnce(&'a Slots) -> R) -> R {
        work(heap)
    }

    fn node<'a>(
        _cx: Self::Cx<'a>,
        left: Option<Self::Node<'a>>,
        right: Option<Self::Node<'a>>,
        value: u64,
    ) -> Self::Node<'a> {
        raw(Node {
            left: Cell::new(left.unwrap_or(ptr::null_mut())),
            right: Cell::new(right.unwrap_or(ptr::null_mut())),
            value,
            _weight: value,
        })
    }

    fn value(node: &Self::Node<'_>) -> u64 {
        at(*node).value
    }

    fn left<'a, R>(node: &Self::Node<'a>, look: impl FnOnce(Option<&Self::Node<'a>>) -> R) -> R {
        look(shown(at(*node).left.get()).as_ref())
    }

    fn right<'a, R>(node: &Self::Node<'a>, look: impl FnOnce(Option<&Self::Node<'a>>) -> R) -> R {
        look(shown(at(*node).right.get()).as_ref())
    }

    fn set_left<'a>(_cx: Self::Cx<'a>, node: &Self::Node<'a>, target: &Self::Node<'a>) {
        at(*node).left.set(*target);
    }

    fn set_right<'a>(_cx: Self::Cx<'a>, node: &Self::Node<'a>, target: &Self::Node<'a>) {
        at(*node).right.set(*target);
    }

    fn free_tree<'a>(_cx: Self::Cx<'a>, node: Self::Node<'a>) {
        free(node);
    }

    fn put<'a>(cx: Self::Cx<'a>, slot: usize, node: Option<Self::Node<'a>>) {
        let old = cx.nodes[slot].replace(node.unwrap_or(ptr::null_mut()));
        if let Some(old) = shown(old) {
            free(old);
        }
    }

    fn take<'a>(cx: Self::Cx<'a>, slot: usize) -> Option<Self::Node<'a>> {
        shown(cx.nodes[slot].replace(ptr::null_mut()))
    }

    fn get<'a>(cx: Self::Cx<'a>, slot: usize) -> Option<Self::Node<'a>> {
        shown(cx.nodes[slot].get())
    }

    fn entry<'a>(
        _cx: Self::Cx<'a>,
        key: u64,
        words: usize,
        next: Option<Self::Entry<'a>>,
    ) -> Self::Entry<'a> {
        raw(Entry {
            next: next.unwrap_or(ptr::null_mut()),
            key,
            body: (0..words as u64).map(|n| key + n).collect(),
        })
    }

    fn put_entry<'a>(cx: Self::Cx<'a>, slot: usize, entry: Self::Entry<'a>) {
        free_chain(cx.entries[slot].replace(entry));
    }

    fn sum_entry(cx: Self::Cx<'_>, slot: usize) -> u64 {
        chain::sum(shown(cx.entries[slot].get()).map(at), |entry| {
            (entry.key, &entry.body, shown(entry.next).map(at))
        })
    }

    fn dying<const N: usize>(_cx: Self::Cx<'_>, seed: u64) -> u64 {
        let body = raw([seed; N]);
        let last = black_box(at(body))[N - 1];
        unraw(body);
        last
    }

    fn typed_list<const T: usize, const N: usize>(
        _cx: Self::Cx<'_>,
        length: u64,
        seed: u64,
    ) -> u64 {
        let mut head: *mut Typed<T, N> = ptr::null_mut();
        for n in 0..length {
            head = raw(Typed {
                next: head,
                body: [seed + n; N],
            });
        }
        let mut sum = 0;
        while !head.is_null() {
            let first = unraw(head);
            sum += first.body[0];
            head = first.next;
        }
        sum
    }

    fn partner(_heap: &Slots) -> Option<()> {
        Some(())
    }

    fn join((): (), setup: &Setup) -> Slots {
        Self::heap(setup)
    }
}
