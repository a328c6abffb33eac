//! Every site inside the collector: it strikes once, the second opinion or the marker sees what came of
//! it, nothing is lost, and the accounts balance.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gc_core::fault::{Class, Persistence, Site, State};
use gc_core::{Check, CheckLevel, Edge, Gc, Heap, Mutator, Phase, Root, Scope, StepProgress};

use crate::support::{Node, Witness, heap_at, node, only, step_to};

const NODES: u64 = 100;

/// A root that the marker comes to early, and a chain that it comes to late, at whose end hangs the
/// object that is to be missed, with a child of its own.
struct Scene {
    heap: Heap,
    mutator: Mutator,
    witness: Witness,
    early: Root<Node<'static>>,
    chain: Root<Node<'static>>,
}

impl Scene {
    fn new() -> Scene {
        let (heap, mut mutator) = heap_at(CheckLevel::Paranoid);
        let witness = Witness::new(&mut mutator);
        let (early, chain) = mutator.enter(|scope| {
            let early = scope.root(scope.alloc(node(1)));
            let child = scope.alloc(node(43));
            let mut head = scope.alloc(Node {
                id: 42,
                next: Edge::to(child),
            });
            for id in 0..NODES {
                head = scope.alloc(Node {
                    id,
                    next: Edge::to(head),
                });
            }
            (early, scope.root(head))
        });
        Scene {
            heap,
            mutator,
            witness,
            early,
            chain,
        }
    }

    fn arm(&self, site: Site, nth: u64) {
        self.heap.fault().arm(site, nth, Persistence::Once);
    }

    /// Goes to phase `Mark`, past the witnesses and the early root and into the chain.
    fn mark_half(&self) {
        self.heap.request_collect();
        step_to(&self.heap, Phase::Mark);
        self.heap.step(110).unwrap();
    }

    fn finish(&self) {
        while self.heap.step(1000).unwrap().progress != StepProgress::Idle {}
    }

    /// The fault struck, the second opinion alone tells of it, and what was hidden behind the early root
    /// is whole.
    fn judge(mut self, site: Site, behind_early: &[u64]) {
        self.finish();
        assert_eq!(self.heap.fault().strikes(site), 1, "{site}");
        only(&self.heap, Check::UnmarkedReachable);
        assert!(self.heap.stats().cycles_voided > 0, "{site}");
        self.judge_contained(behind_early);
    }

    fn judge_contained(&mut self, behind_early: &[u64]) {
        let ids = self.mutator.enter(|scope| {
            let mut ids = Vec::new();
            let mut at = scope.get(&self.early).unwrap().next.get();
            while let Some(node) = at {
                ids.push(node.id);
                at = node.next.get();
            }
            ids
        });
        assert_eq!(ids, behind_early);
        self.heap.collect().unwrap();
        assert!(self.heap.verify().unwrap().is_clean());
        self.witness.check(&self.heap, &mut self.mutator);
    }

    /// Moves the end of the chain behind the early root.
    fn hide(&mut self) {
        let (early, chain) = (&self.early, &self.chain);
        self.mutator.enter(|scope| {
            let hidden = last_of(scope, chain).next.take(scope);
            scope.get(early).unwrap().next.set(scope, hidden);
        });
    }

    /// Inside one `enter`, with the snapshot asked for and everything scanned that can be: what a
    /// mutator does whose snapshot is still to come.
    fn inside_snapshot(&mut self, act: impl for<'gc> FnOnce(Scope<'gc>, &Root<Node<'static>>)) {
        let (heap, early) = (&self.heap, &self.early);
        self.mutator.enter(|scope| {
            heap.request_collect();
            for _ in 0..10_000 {
                scope.poll();
                let report = heap.step(1000).unwrap();
                if heap.phase() == Phase::Snapshot && report.progress == StepProgress::Waiting {
                    return act(scope, early);
                }
            }
            panic!("the snapshot was never waited for");
        });
    }
}

fn last_of<'gc>(scope: Scope<'gc>, chain: &Root<Node<'static>>) -> Gc<'gc, Node<'gc>> {
    let mut last = scope.get(chain).unwrap();
    while last.id != 0 {
        last = last.next.get().unwrap();
    }
    last
}

#[test]
fn a_store_without_its_barrier_hides_an_object() {
    for site in [Site::BarrierSkipped, Site::BarrierOldSkipped] {
        let mut scene = Scene::new();
        scene.mark_half();
        scene.arm(site, 0);
        scene.hide();
        scene.judge(site, &[42, 43]);
    }
}

#[test]
fn a_barrier_that_is_off_for_a_mutator_or_a_type_hides_what_is_moved() {
    let class = Class::from_name("barrier-off").unwrap();
    for stroke in class.strokes {
        let mut scene = Scene::new();
        scene.mark_half();
        let at = (scene.mutator).enter(|scope| scope.get(&scene.early).unwrap().address());
        let struck = stroke.strike(&scene.heap, &mut scene.mutator, at, 0);
        assert_eq!(struck.state, State::Done, "{}", stroke.name);
        scene.hide();
        scene.finish();
        only(&scene.heap, Check::UnmarkedReachable);
        scene.judge_contained(&[42, 43]);
    }
}

#[test]
fn a_barrier_that_is_off_for_a_mutator_is_on_for_the_others() {
    let class = Class::from_name("barrier-off").unwrap();
    let mut scene = Scene::new();
    let mut broken = scene.heap.mutator();
    scene.mark_half();
    let _struck = class.strokes[0].strike(&scene.heap, &mut broken, 0, 0);
    scene.hide();
    scene.finish();
    assert_eq!(scene.heap.health().total(), 0);
    scene.judge_contained(&[42, 43]);
}

#[test]
fn a_shaded_object_that_nobody_is_handed_hides_its_child() {
    let mut scene = Scene::new();
    scene.mark_half();
    scene.arm(Site::ShadeUnpushed, 0);
    scene.hide();
    scene.judge(Site::ShadeUnpushed, &[42, 43]);
}

#[test]
fn a_grey_mutator_that_leaves_the_new_value_out_hides_it() {
    let mut scene = Scene::new();
    scene.arm(Site::BarrierNewSkipped, 0);
    scene.inside_snapshot(|scope, early| {
        let fresh = scope.alloc(node(44));
        scope.get(early).unwrap().next.set(scope, fresh);
    });
    scene.judge(Site::BarrierNewSkipped, &[44]);
}

#[test]
fn a_barrier_that_is_on_too_late_hides_what_was_stored_before() {
    let mut scene = Scene::new();
    scene.arm(Site::BarrierLate, 0);
    scene.inside_snapshot(|scope, early| {
        let fresh = scope.alloc(node(44));
        scope.get(early).unwrap().next.set(scope, fresh);
    });
    scene.judge(Site::BarrierLate, &[44]);
}

#[test]
fn a_root_that_is_made_unshaded_hides_its_object() {
    let mut scene = Scene::new();
    scene.arm(Site::RootUnshaded, 0);
    let mut kept = None;
    scene.inside_snapshot(|scope, _| kept = Some(scope.root(scope.alloc(node(45)))));
    let (heap, kept) = (scene.heap.clone(), kept.unwrap());
    scene.judge(Site::RootUnshaded, &[]);
    let id = heap.mutator().enter(|scope| scope.get(&kept).unwrap().id);
    assert_eq!(id, 45);
}

#[test]
fn an_object_born_white_is_missed() {
    let mut scene = Scene::new();
    scene.mark_half();
    scene.arm(Site::AllocationWhite, 0);
    let early = &scene.early;
    scene.mutator.enter(|scope| {
        let fresh = scope.alloc(node(46));
        scope.get(early).unwrap().next.set(scope, fresh);
    });
    scene.judge(Site::AllocationWhite, &[46]);
}

#[test]
fn a_root_that_the_snapshot_passes_over_hides_all_behind_it() {
    let scene = Scene::new();
    scene.arm(Site::RootUnscanned, 1);
    scene.heap.request_collect();
    scene.judge(Site::RootUnscanned, &[]);
}

#[test]
fn a_value_stack_that_the_snapshot_passes_over_hides_its_objects() {
    let mut scene = Scene::new();
    let stack = scene.mutator.stack(4);
    stack.push_frame(1).unwrap();
    let object = scene
        .mutator
        .enter(|scope| scope.alloc(node(47)).into_raw());
    // SAFETY: the object was just allocated in this heap, whose mutator owns the stack.
    unsafe { stack.init(0, Some(object)) }.unwrap();
    scene.arm(Site::StackUnscanned, 0);
    scene.heap.request_collect();
    let heap = scene.heap.clone();
    scene.judge(Site::StackUnscanned, &[]);
    assert!(heap.locate(object.address()).is_object());
}

#[test]
fn work_that_the_marker_loses_is_missed_at_every_place() {
    for site in [Site::GreyLost, Site::EdgeUnseen] {
        // The first objects come out of a queue, where they are marked already.
        for nth in [1, 10, 150] {
            let scene = Scene::new();
            scene.arm(site, nth);
            scene.heap.request_collect();
            scene.judge(site, &[]);
        }
    }
}

#[test]
fn a_marking_that_ends_early_is_not_believed() {
    let scene = Scene::new();
    // The chain is in the marker's own hands, where a termination does not look.
    scene.mark_half();
    scene.arm(Site::TerminationEarly, 0);
    scene.heap.step(10).unwrap();
    scene.judge(Site::TerminationEarly, &[]);
}

#[test]
fn an_object_that_is_never_published_is_refused_and_its_slot_not_used_again() {
    let mut scene = Scene::new();
    scene.arm(Site::AllocationUnpublished, 0);
    let early = &scene.early;
    let address = scene.mutator.enter(|scope| {
        let fresh = scope.alloc(node(48));
        scope.get(early).unwrap().next.set(scope, fresh);
        fresh.address()
    });
    scene.heap.collect().unwrap();
    only(&scene.heap, Check::FreePointer);
    scene.mutator.parked(|| {});
    assert!(scene.heap.health().count(Check::AllocCount) > 0);
    assert_eq!(scene.heap.fault().strikes(Site::AllocationUnpublished), 1);
    scene.mutator.enter(|scope| {
        let next = &scope.get(&scene.early).unwrap().next;
        next.set(scope, None);
        for id in 0..10_000 {
            assert_ne!(scope.alloc(node(id)).address(), address);
        }
    });
    scene.judge_contained(&[]);
}

#[test]
fn a_thread_that_dies_inside_a_barrier_leaves_the_heap_whole() {
    let mut scene = Scene::new();
    scene.mark_half();
    scene.arm(Site::BarrierPanics, 0);
    let died = catch_unwind(AssertUnwindSafe(|| scene.hide()));
    assert!(died.is_err());
    assert_eq!(scene.heap.fault().strikes(Site::BarrierPanics), 1);
    // The mutator dies with its thread.
    scene.mutator = scene.heap.mutator();
    scene.finish();
    assert_eq!(scene.heap.health().total(), 0, "nothing was broken");
    scene.judge_contained(&[]);
    let chain = &scene.chain;
    let last = scene
        .mutator
        .enter(|scope| last_of(scope, chain).next.get().map(|node| node.id));
    assert_eq!(last, Some(42), "the store was not made");
}
