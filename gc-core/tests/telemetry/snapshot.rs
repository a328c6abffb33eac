//! Snapshots, against what the heap says of itself, under each driver and beside threads.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use gc_core::raw::{self, RawGc, Stack};
use gc_core::{
    CollectError, Driver, Edge, Ephemeron, Gc, Heap, Phase, Policy, Reclaiming, SnapshotError,
    SnapshotHold, StepProgress, Trace, Weak,
};

use crate::heapsnapshot::{self as file, SYNTHETIC, Snapshot};
use crate::support::{Node, chain, heap};

#[derive(Trace)]
struct Holder<'gc> {
    node: Edge<'gc, Node<'gc>>,
    kids: Vec<Gc<'gc, Node<'gc>>>,
    text: Gc<'gc, str>,
    items: Gc<'gc, [Edge<'gc, Node<'gc>>]>,
    shape: Shape<'gc>,
    weak: Weak<'gc, Node<'gc>>,
    ephemeron: Ephemeron<'gc, Node<'gc>, Node<'gc>>,
}

#[derive(Trace)]
enum Shape<'gc> {
    #[expect(dead_code, reason = "the other variant is the one that is built")]
    None,
    Pair(Gc<'gc, Node<'gc>>, u32),
}

fn node<'gc>(id: u64) -> Node<'gc> {
    Node {
        id,
        next: Edge::none(),
    }
}

#[test]
fn objects_fields_and_roots_are_named() {
    let heap = heap("named");
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| {
        let [a, b, c, d, key, value] = core::array::from_fn(|id| scope.alloc(node(id as u64)));
        let holder = scope.alloc(Holder {
            node: Edge::to(a),
            kids: vec![a, b],
            text: scope.alloc_str("text"),
            items: scope.alloc_slice([Edge::none(), Edge::to(c)]),
            shape: Shape::Pair(d, 1),
            weak: scope.downgrade(key),
            ephemeron: scope.ephemeron(key, value),
        });
        a.next.set(scope, key);
        let pair = scope.alloc(Shape::Pair(d, 2));
        (scope.root(holder), scope.root(pair))
    });
    let (summary, snapshot) = file::of(&heap);
    assert_eq!(summary.hold, SnapshotHold::Cycle);
    assert_eq!(
        (summary.handles, summary.stack_words, summary.objects_local),
        (2, 0, 0)
    );
    assert_eq!((summary.objects, summary.cycle), (12, 1));
    let holder = snapshot.follow(snapshot.roots("(handles)"), "1");
    assert_eq!(
        (&*holder.kind, holder.self_size),
        ("object", size_of::<Holder>() as u64)
    );
    assert!(holder.name.contains("snapshot::Holder"), "{}", holder.name);
    let node = snapshot.follow(holder, "node");
    assert!(node.name.contains("support::Node"));
    assert_eq!((node.self_size, &*node.kind), (16, "object"));
    assert_eq!(
        holder.edges.iter().filter(|edge| edge.1 == "kids").count(),
        2
    );
    let text = snapshot.follow(holder, "text");
    assert_eq!(
        (&*text.kind, &*text.name, text.self_size),
        ("string", "str", 16)
    );
    let items = snapshot.follow(holder, "items");
    assert_eq!((&*items.kind, items.edges.len()), ("array", 1));
    assert_eq!((&*items.edges[0].0, &*items.edges[0].1), ("element", "1"));
    assert!(snapshot.follow(holder, "shape").name.contains("Node"));
    let pair = snapshot.follow(snapshot.roots("(handles)"), "2");
    snapshot.follow(pair, "Pair.0");
    let key = snapshot.follow(node, "next");
    assert_cells(&snapshot, holder, key);
    assert_eq!(snapshot.reached(), 12);
    drop(root);
}

/// Weak references and ephemerons lead to `key` and keep nothing alive; the key keeps the value.
fn assert_cells(snapshot: &Snapshot, holder: &file::Node, key: &file::Node) {
    let weak = snapshot.follow(holder, "weak");
    assert_eq!((&*weak.kind, &*weak.name), ("native", "Weak"));
    assert_eq!(snapshot.follow(weak, "target").id, key.id);
    let ephemeron = snapshot.follow(holder, "ephemeron");
    assert_eq!(snapshot.kinds_of_edges(ephemeron)["key"], "weak");
    let value = snapshot.follow(key, "value of an ephemeron");
    assert_eq!(snapshot.follow(ephemeron, "value").id, value.id);
    let weak_roots = snapshot.roots("(weak references)");
    assert_eq!(weak_roots.edges.len(), 2);
    assert!(weak_roots.edges.iter().all(|edge| edge.0 == "weak"));
}

/// The heap's own counts: what is live once a cycle has swept, and what its marking found.
fn assert_counts_agree(heap: &Heap) -> Snapshot {
    let (summary, snapshot) = file::of(heap);
    let stats = heap.stats();
    assert_eq!(summary.bytes - summary.bytes_quarantined, stats.bytes_live);
    assert_eq!(summary.bytes_quarantined, stats.bytes_quarantined);
    assert_eq!(summary.handles, stats.roots as u64);
    assert_eq!(
        u64::from(summary.cycle),
        stats.cycles_finished + stats.cycles_voided
    );
    assert_eq!(
        heap.verify().unwrap().objects_reachable,
        snapshot.reached() as u64
    );
    snapshot
}

#[test]
fn garbage_is_left_out_and_counts_are_those_of_the_heap() {
    let heap = heap("counts");
    let mut mutator = heap.mutator();
    let root = chain(&mut mutator, 700);
    drop(chain(&mut mutator, 900));
    let before = assert_counts_agree(&heap);
    assert_eq!(before.count_of("support::Node"), 700);
    assert_eq!(before.edges, 699 + 1 + 5);
    // What stays where it is keeps its id.
    let _more = chain(&mut mutator, 10);
    let after = assert_counts_agree(&heap);
    let ids = |snapshot: &Snapshot| -> Vec<u64> {
        snapshot
            .nodes
            .iter()
            .skip(SYNTHETIC)
            .map(|node| node.id)
            .collect()
    };
    let (before, after) = (ids(&before), ids(&after));
    assert_eq!(after.len(), 710);
    assert!(before.iter().all(|id| after.contains(id)));
    let offset =
        mutator.enter(|scope| heap.offset_of(scope.get(&root).unwrap().into_raw().address()));
    assert!(before.contains(&(129 + offset.unwrap() / 8)));
}

#[test]
fn value_stacks_and_shapes_are_there_and_names_are_escaped() {
    let heap = heap("raw");
    let shape = heap
        .register_shape("odd \"name\" \\ \n\u{1}", 3, &[0, 2])
        .unwrap();
    let mut mutator = heap.mutator();
    let stack: Stack = mutator.stack(8);
    mutator.enter(|scope| {
        let [outer, inner] = core::array::from_fn(|_| scope.alloc_shape(shape).unwrap());
        // SAFETY: both were just allocated with three words, of which the last one is a pointer.
        unsafe { raw::init_word(outer, 2, Some(inner)) };
        stack.push_frame(2).unwrap();
        // SAFETY: `outer` is a live object of the stack's heap, and the mutator is inside.
        unsafe { stack.init(0, Some(outer)) }.unwrap();
    });
    let (summary, snapshot) = file::of(&heap);
    assert_eq!(
        (summary.objects, summary.handles, summary.stack_words),
        (2, 0, 1)
    );
    let outer = snapshot.follow(snapshot.roots("(value stacks)"), "1");
    assert_eq!(outer.name, "odd \"name\" \\ \n\u{1}");
    assert_eq!(snapshot.follow(outer, "2").edges, []);
    assert_eq!(snapshot.reached(), 2);
}

#[test]
fn quarantined_objects_stand_under_their_own_root() {
    let heap = heap("quarantine");
    let mut mutator = heap.mutator();
    let root = chain(&mut mutator, 50);
    let dead = mutator.enter(|scope| scope.alloc_str(&"x".repeat(100)).into_raw());
    let address = |object: RawGc| object.address();
    mutator.parked(|| {});
    // A span in a state that is none: withdrawn at the next cycle, objects and all.
    assert!(heap.fault().space().set_span_word(address(dead), 7, 3));
    heap.collect().unwrap();
    assert!(heap.stats().bytes_quarantined > 0);
    let (summary, snapshot) = file::of(&heap);
    assert_eq!((summary.objects_quarantined, summary.objects), (1, 51));
    let quarantined = snapshot.follow(snapshot.roots("(quarantined)"), "1");
    assert_eq!(
        (&*quarantined.name, quarantined.self_size),
        ("str", summary.bytes_quarantined)
    );
    assert_eq!(snapshot.reached(), 51);
    assert!(mutator.enter(|scope| scope.get(&root).is_ok()));
}

#[test]
fn a_heap_that_stopped_reclaiming_is_held_still() {
    let heap = heap("stopped");
    let mut mutator = heap.mutator();
    let _root = chain(&mut mutator, 30);
    let dead: Vec<RawGc> =
        mutator.enter(|scope| (0..9).map(|id| scope.alloc(node(id)).into_raw()).collect());
    // Work that appears after termination, again and again, voids every cycle.
    heap.request_collect();
    for late in dead {
        while heap.phase() != Phase::Clear {
            assert_ne!(heap.step(1).unwrap().progress, StepProgress::Idle);
        }
        // SAFETY: deliberately broken: nothing leads to these objects any more. They are still there.
        mutator.enter(|scope| unsafe { raw::barrier(scope, Some(late), None) });
        heap.step(1).unwrap();
    }
    assert_eq!(heap.stats().reclaiming, Reclaiming::Stopped);
    let (summary, snapshot) = file::of(&heap);
    assert_eq!(summary.hold, SnapshotHold::Stopped);
    assert_eq!((summary.objects, summary.objects_local), (30, 0));
    assert_eq!(snapshot.reached(), 30);
    assert_eq!(heap.collect(), Err(CollectError::ReclaimingStopped));
}

#[test]
fn nobody_asks_from_inside() {
    let heap = heap("inside");
    let mut mutator = heap.mutator();
    let refused = mutator.enter(|_| heap.snapshot(&mut Vec::new()).unwrap_err());
    assert!(matches!(
        refused,
        SnapshotError::Refused(CollectError::WouldDeadlock)
    ));
    assert_eq!(file::of(&heap).0.objects, 0);
}

#[test]
fn what_a_mutator_inside_holds_keeps_its_place_in_the_graph() {
    let heap = heap("local");
    let mut other = heap.mutator();
    let is_taken = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let _end = End(&is_taken);
            let (summary, snapshot) = file::of(&heap);
            assert_eq!(snapshot.reached() as u64, summary.objects);
            assert_eq!(summary.handles, 0);
        });
        while !is_taken.load(Ordering::Relaxed) {
            other.enter(|scope| {
                let held = scope.alloc(node(2));
                while heap.phase() == Phase::Clear && !is_taken.load(Ordering::Relaxed) {
                    scope.poll();
                }
                assert_eq!(held.id, 2);
            });
        }
    });
    assert!(heap.verify().unwrap().is_clean());
}

/// Keeps a chain whose tail comes and goes, and leaves so many nodes of garbage behind, until it is over.
fn litter(heap: &Heap, kept: u64, garbage: &AtomicI64, is_over: &AtomicBool) {
    let mut mutator = heap.mutator();
    let kept = chain(&mut mutator, kept);
    while !is_over.load(Ordering::Relaxed) {
        mutator.enter(|scope| {
            let head = scope.get(&kept).unwrap();
            let tail = head.next.get();
            if garbage.fetch_sub(1, Ordering::Relaxed) <= 0 {
                head.next.set(scope, tail);
                return;
            }
            let fresh = scope.alloc(Node {
                id: 1,
                next: Edge::none(),
            });
            fresh.next.set(scope, tail);
            head.next.set(scope, fresh);
            head.next.set(scope, tail);
        });
    }
}

#[test]
fn under_each_driver_and_beside_threads_what_stays_is_there_whole() {
    const KEPT: usize = 400;
    // Nobody collects between snapshots with the manual driver: what threads may leave behind is bounded.
    const GARBAGE: i64 = 50_000;
    for driver in [Driver::Manual, Driver::Incremental, Driver::Background(2)] {
        let heap = Heap::builder()
            .driver(driver)
            .policy(Policy::STRICT)
            .reserve_bytes(64 << 20)
            .build()
            .unwrap();
        let is_over = AtomicBool::new(false);
        let garbage = AtomicI64::new(0);
        std::thread::scope(|threads| {
            for _ in 0..3 {
                threads.spawn(|| litter(&heap, KEPT as u64, &garbage, &is_over));
            }
            let end = End(&is_over);
            for _ in 0..6 {
                garbage.store(GARBAGE, Ordering::Relaxed);
                let (summary, snapshot) = file::of(&heap);
                assert_eq!(summary.hold, SnapshotHold::Cycle);
                assert_eq!(snapshot.reached() as u64, summary.objects, "{driver:?}");
                for at in 0..summary.handles {
                    // The kept chain, a garbage node in front of it or not.
                    let mut node =
                        snapshot.follow(snapshot.roots("(handles)"), &(at + 1).to_string());
                    let mut length = 1;
                    while let [edge] = &node.edges[..] {
                        (node, length) = (&snapshot.nodes[edge.2], length + 1);
                    }
                    assert!(
                        (KEPT..=KEPT + 1).contains(&length),
                        "{length} with {driver:?}"
                    );
                }
            }
            drop(end);
        });
        assert_eq!(heap.health().total(), 0, "{driver:?}");
        assert!(heap.verify().unwrap().is_clean());
    }
}

/// Ends the threads also when an assertion fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn threads_that_ask_at_once_are_served_one_after_another() {
    let heap = heap("turns");
    let mut mutator = heap.mutator();
    let _root = chain(&mut mutator, 100);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| assert_eq!(file::of(&heap).0.objects, 100));
        }
        threads.spawn(|| heap.collect().unwrap());
    });
}

#[test]
fn a_writer_that_fails_leaves_the_heap_as_it_was() {
    let heap = heap("full");
    let mut mutator = heap.mutator();
    let _root = chain(&mut mutator, 1000);
    let mut full: &mut [u8] = &mut [0; 4096];
    let refused = heap.snapshot(&mut full).unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("the snapshot could not be written: "),
        "{refused}"
    );
    assert_counts_agree(&heap);
}
