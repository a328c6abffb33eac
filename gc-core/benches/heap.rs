//! Times of the hot paths: allocation, loads and stores, roots and weak references, marking, sweeping, `enter`.
//!
//! `cargo bench -p gc-core` prints times; compare two checkouts in one sitting, since machines
//! drift. Each benchmark states what one iteration does. Instructions, which do not drift, are counted by
//! `.ci/instructions`; other memory managers are beside Softfail in `stress/peers`.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main,
};
use gc_core::{CheckLevel, Driver, Edge, Gc, Heap, Mutator, Phase, Policy, Root, Trace};

/// 32 bytes: two edges and two words.
#[derive(Trace)]
struct Node<'gc> {
    left: Edge<'gc, Node<'gc>>,
    right: Edge<'gc, Node<'gc>>,
    value: u64,
    weight: u64,
}

impl<'gc> Node<'gc> {
    fn leaf(value: u64) -> Self {
        Node {
            left: Edge::none(),
            right: Edge::none(),
            value,
            weight: value,
        }
    }
}

fn heap(level: CheckLevel) -> (Heap, Mutator) {
    let heap = Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::COUNT)
        .checks(level)
        .build()
        .expect("the default reservation is available");
    let mutator = heap.mutator();
    (heap, mutator)
}

/// A complete binary tree of `2^depth - 1` nodes.
fn tree<'gc>(scope: gc_core::Scope<'gc>, depth: u32) -> Gc<'gc, Node<'gc>> {
    if depth == 1 {
        return scope.alloc(Node::leaf(1));
    }
    let (left, right) = (tree(scope, depth - 1), tree(scope, depth - 1));
    scope.alloc(Node {
        left: Edge::to(left),
        right: Edge::to(right),
        value: left.value + right.value,
        weight: u64::from(depth),
    })
}

/// `count` nodes whose edges lead anywhere among them, from a fixed seed.
fn random_graph(mutator: &mut Mutator, count: usize) -> Root<Node<'static>> {
    mutator.enter(|scope| {
        let nodes: Vec<_> = (0..count as u64)
            .map(|n| scope.alloc(Node::leaf(n)))
            .collect();
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize % count
        };
        for (at, node) in nodes.iter().enumerate() {
            node.left.set(scope, nodes[(at + 1) % count]);
            node.right.set(scope, nodes[random()]);
        }
        scope.root(nodes[random()])
    })
}

/// Objects of one iteration of the allocation benchmarks.
const OBJECTS: u64 = 10_000;

/// One iteration: 10,000 objects of `N` words that die, and their share of a collection.
fn dying<const N: usize>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str) {
    group.bench_function(name, |bencher| {
        let (heap, mut mutator) = heap(CheckLevel::Default);
        bencher.iter(|| {
            mutator.enter(|scope| {
                for value in 0..OBJECTS {
                    black_box(scope.alloc([value; N]));
                }
            });
            heap.collect().expect("nobody is inside");
        });
    });
}

fn allocation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("alloc");
    group.throughput(Throughput::Elements(OBJECTS));
    // One iteration: 10,000 objects of 32 bytes that die, and their share of a collection.
    group.bench_function("dying_32_bytes", |bencher| {
        let (heap, mut mutator) = heap(CheckLevel::Default);
        bencher.iter(|| {
            mutator.enter(|scope| {
                for value in 0..OBJECTS {
                    black_box(scope.alloc(Node::leaf(value)));
                }
            });
            heap.collect().expect("nobody is inside");
        });
    });
    dying::<2>(&mut group, "dying_16_bytes");
    dying::<8>(&mut group, "dying_64_bytes");
    dying::<32>(&mut group, "dying_256_bytes");
    dying::<128>(&mut group, "dying_1024_bytes");
    // The same with slices of eight words, whose length is known when they are allocated.
    group.bench_function("dying_slice_of_64_bytes", |bencher| {
        let (heap, mut mutator) = heap(CheckLevel::Default);
        bencher.iter(|| {
            mutator.enter(|scope| {
                for value in 0..OBJECTS {
                    black_box(scope.alloc_slice([value; 8]));
                }
            });
            heap.collect().expect("nobody is inside");
        });
    });
    group.bench_function("boxed_32_bytes", |bencher| {
        bencher.iter(|| {
            for value in 0..OBJECTS {
                black_box(Box::new(Node::leaf(value)));
            }
        });
    });
    group.finish();
}

fn barrier(criterion: &mut Criterion) {
    const STORES: usize = 1024;
    let mut group = criterion.benchmark_group("store");
    group.throughput(Throughput::Elements(STORES as u64));
    let mut bench = |name: &str, marking: bool| {
        let (heap, mut mutator) = heap(CheckLevel::Default);
        let _graph = random_graph(&mut mutator, STORES);
        if marking {
            heap.request_collect();
            while heap.phase() != Phase::Mark {
                heap.step(1).expect("nothing calls back");
            }
        }
        group.bench_function(name, |bencher| {
            mutator.enter(|scope| {
                let nodes: Vec<_> = (0..STORES as u64)
                    .map(|n| scope.alloc(Node::leaf(n)))
                    .collect();
                bencher.iter(|| {
                    for at in 0..STORES {
                        nodes[at].left.set(scope, nodes[(at * 7) % STORES]);
                    }
                });
            });
        });
    };
    bench("barrier_off", false);
    bench("barrier_on", true);
    group.finish();
}

/// What leads to objects: an edge, a root, a weak reference.
fn loading(criterion: &mut Criterion) {
    const NODES: usize = 1024;
    let mut group = criterion.benchmark_group("load");
    // One iteration: as many edges as there are nodes, each of another node.
    group.throughput(Throughput::Elements(NODES as u64));
    group.bench_function("edge", |bencher| {
        let (_heap, mut mutator) = heap(CheckLevel::Default);
        mutator.enter(|scope| {
            let nodes: Vec<_> = (0..NODES as u64)
                .map(|n| scope.alloc(Node::leaf(n)))
                .collect();
            for (at, node) in nodes.iter().enumerate() {
                node.left.set(scope, nodes[at * 7 % NODES]);
            }
            bencher.iter(|| {
                for node in &nodes {
                    black_box(node.left.get());
                }
            });
        });
    });
    // One iteration: one root, or one weak reference to an object that lives.
    group.throughput(Throughput::Elements(1));
    group.bench_function("root", |bencher| {
        let (_heap, mut mutator) = heap(CheckLevel::Default);
        let root = mutator.enter(|scope| scope.root(scope.alloc(Node::leaf(1))));
        mutator.enter(|scope| {
            bencher.iter(|| scope.get(black_box(&root)).map(|node| node.value));
        });
    });
    group.bench_function("weak", |bencher| {
        let (_heap, mut mutator) = heap(CheckLevel::Default);
        mutator.enter(|scope| {
            let weak = scope.downgrade(scope.alloc(Node::leaf(1)));
            bencher.iter(|| scope.upgrade(black_box(weak)).map(|node| node.value));
        });
    });
    group.finish();
}

/// One iteration: a collection after a quarter of a million objects of 32 bytes were allocated, of which some live.
/// Those that lived before have died, too.
fn sweeping(criterion: &mut Criterion) {
    const COUNT: u64 = 256 * 1024;
    let mut group = criterion.benchmark_group("sweep");
    group.sample_size(20);
    group.throughput(Throughput::Elements(COUNT));
    for (name, kept_one_of) in [("all_dead", COUNT), ("half_dead", 2), ("none_dead", 1)] {
        group.bench_function(name, |bencher| {
            let (heap, mut mutator) = heap(CheckLevel::Default);
            bencher.iter_batched(
                || {
                    mutator.enter(|scope| {
                        let nodes = (0..COUNT).map(|n| scope.alloc(Node::leaf(n)));
                        let kept = nodes.filter(|node| node.value % kept_one_of == 0);
                        scope.root(scope.alloc_slice(kept.map(Edge::to)))
                    })
                },
                |_kept| heap.collect().expect("nobody is inside"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn marking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mark");
    group.sample_size(10);
    for level in [CheckLevel::Lax, CheckLevel::Default] {
        let count = 1_000_000;
        group.throughput(Throughput::Elements(count as u64));
        // One iteration: a whole collection of a million reachable objects of 32 bytes.
        group.bench_function(format!("random_graph_{level}"), |bencher| {
            let (heap, mut mutator) = heap(level);
            let _graph = random_graph(&mut mutator, count);
            bencher.iter(|| heap.collect().expect("nobody is inside"));
        });
    }
    group.throughput(Throughput::Elements((1 << 20) - 1));
    group.bench_function("tree_default", |bencher| {
        let (heap, mut mutator) = heap(CheckLevel::Default);
        let _tree = mutator.enter(|scope| {
            let root = tree(scope, 20);
            scope.root(root)
        });
        bencher.iter(|| heap.collect().expect("nobody is inside"));
    });
    group.finish();
}

fn entering(criterion: &mut Criterion) {
    criterion.bench_function("enter/empty", |bencher| {
        let (_heap, mut mutator) = heap(CheckLevel::Default);
        bencher.iter_batched(
            || (),
            |()| mutator.enter(|scope| scope.poll()),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(
    benches, allocation, barrier, loading, marking, sweeping, entering
);
criterion_main!(benches);
