//! The hot paths of Softfail, a given number of times, for `.ci/instructions`, which counts the instructions of [`measured`]
//! under callgrind.
//!
//! `instructions OPERATION LENGTH`. The difference of two lengths, over the difference of the lengths, is the cost of one
//! operation: what a run costs once falls out. One thread, `Driver::Manual`, default checks: nothing happens by itself.
//!
//! It is a package of its own so that nothing but the shipped crates is compiled into it: the tests and benches of `gc-core`
//! are built with fault injection.

use std::env;
use std::hint::black_box;
use std::process::ExitCode;

use gc_core::{Driver, Edge, Gc, Heap, Mutator, Root, Scope, Trace};

/// 32 bytes.
#[derive(Trace)]
struct Node<'gc> {
    left: Edge<'gc, Node<'gc>>,
    right: Edge<'gc, Node<'gc>>,
    value: u64,
    weight: u64,
}

/// Objects of 32 bytes in the longest span, of 64 KiB.
const OBJECTS_OF_A_SPAN: u64 = 2048;
/// Nodes that edges are read from and stored to.
const NODES: usize = 1024;

/// What is counted. Its name is in `.ci/instructions`.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [operation, length] = arguments.as_slice() else {
        eprintln!("usage: instructions OPERATION LENGTH");
        return ExitCode::from(2);
    };
    let Ok(length) = length.parse() else {
        eprintln!("{length} is no length");
        return ExitCode::from(2);
    };
    let heap = Heap::builder()
        .driver(Driver::Manual)
        .build()
        .expect("the default reservation");
    let mut mutator = heap.mutator();
    match operation.as_str() {
        "allocate" => allocate(&heap, &mut mutator, length),
        "get" => get(&mut mutator, length),
        "set" => set(&heap, &mut mutator, length),
        "enter" => measured(&mut || {
            for _ in 0..length {
                mutator.enter(|scope| {
                    black_box(scope);
                });
            }
        }),
        "mark" => {
            let _graph = graph(&mut mutator, length);
            collect(&heap);
            measured(&mut || collect(&heap));
        }
        "sweep" => {
            mutator.enter(|scope| die(scope, length * OBJECTS_OF_A_SPAN));
            measured(&mut || collect(&heap));
        }
        other => {
            eprintln!("no operation {other}: allocate, get, set, enter, mark, sweep");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn collect(heap: &Heap) {
    heap.collect().expect("nobody is inside");
}

fn leaf<'gc>(scope: Scope<'gc>, value: u64) -> Gc<'gc, Node<'gc>> {
    scope.alloc(Node {
        left: Edge::none(),
        right: Edge::none(),
        value,
        weight: value,
    })
}

fn die(scope: Scope<'_>, objects: u64) {
    for value in 0..objects {
        black_box(leaf(scope, value));
    }
}

/// From spans that a sweep has emptied, as in a program that has been running for a while.
fn allocate(heap: &Heap, mutator: &mut Mutator, length: u64) {
    mutator.enter(|scope| die(scope, 2 * length));
    collect(heap);
    mutator.enter(|scope| measured(&mut || die(scope, length)));
}

fn nodes<'gc>(scope: Scope<'gc>) -> Vec<Gc<'gc, Node<'gc>>> {
    let nodes: Vec<_> = (0..NODES as u64).map(|value| leaf(scope, value)).collect();
    for (at, node) in nodes.iter().enumerate() {
        node.left.set(scope, nodes[(at * 7 + 1) % NODES]);
    }
    nodes
}

fn get(mutator: &mut Mutator, length: u64) {
    mutator.enter(|scope| {
        let nodes = nodes(scope);
        measured(&mut || {
            for at in 0..length as usize {
                black_box(nodes[at % NODES].left.get());
            }
        });
    });
}

/// While no cycle is going on.
fn set(heap: &Heap, mutator: &mut Mutator, length: u64) {
    collect(heap);
    mutator.enter(|scope| {
        let nodes = nodes(scope);
        measured(&mut || {
            for at in 0..length as usize {
                nodes[at % NODES].right.set(scope, nodes[at * 3 % NODES]);
            }
        });
    });
}

/// Nodes of which each leads to the next one and to any other.
fn graph(mutator: &mut Mutator, count: u64) -> Root<Node<'static>> {
    mutator.enter(|scope| {
        let nodes: Vec<_> = (0..count).map(|value| leaf(scope, value)).collect();
        let mut state = 1u64;
        for (at, node) in nodes.iter().enumerate() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            node.left.set(scope, nodes[(at + 1) % nodes.len()]);
            node.right
                .set(scope, nodes[(state >> 33) as usize % nodes.len()]);
        }
        scope.root(nodes[0])
    })
}
