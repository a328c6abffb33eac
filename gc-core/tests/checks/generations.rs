//! The sites of a heap with generations: a store that is not remembered and a set that is lost are found by the second
//! opinion before anything is freed; births that are forgotten cost memory until the next full cycle.

use gc_core::fault::{Persistence, Site};
use gc_core::{
    Check, CheckLevel, CycleKind, Driver, Edge, Gc, Heap, Mutator, Phase, Policy, Root, Scope,
    StepProgress,
};

use crate::support::{Node, Witness, node, only, step_to};

/// An old object on a heap with generations.
struct Scene {
    heap: Heap,
    mutator: Mutator,
    witness: Witness,
    old: Root<Node<'static>>,
}

impl Scene {
    fn new() -> Scene {
        let heap = Heap::builder()
            .driver(Driver::Manual)
            .policy(Policy::MARK_UNHEALTHY)
            .checks(CheckLevel::Paranoid)
            .reserve_bytes(64 << 20)
            .generational(64 << 10)
            .build()
            .unwrap();
        let mut mutator = heap.mutator();
        let witness = Witness::new(&mut mutator);
        let old = mutator.enter(|scope| scope.root(scope.alloc(node(0))));
        assert_eq!(heap.collect().unwrap().kind, CycleKind::Full);
        Scene {
            heap,
            mutator,
            witness,
            old,
        }
    }

    fn arm(&self, site: Site, nth: u64) {
        self.heap.fault().arm(site, nth, Persistence::Once);
    }

    fn with_old<R>(&mut self, act: impl for<'gc> FnOnce(Scope<'gc>, Gc<'gc, Node<'gc>>) -> R) -> R {
        let old = &self.old;
        self.mutator
            .enter(|scope| act(scope, scope.get(old).unwrap()))
    }

    /// Stores a new object with a child of its own into the old one, and leaves garbage.
    fn store(&mut self, id: u64) {
        self.with_old(|scope, old| {
            (0..100).for_each(|id| assert_eq!(scope.alloc(node(id)).id, id));
            let child = scope.alloc(node(id + 1));
            let next = Edge::to(child);
            old.next.set(scope, scope.alloc(Node { id, next }));
        });
    }

    fn behind_old(&mut self) -> Vec<u64> {
        self.with_old(|_, old| {
            let mut ids = Vec::new();
            let mut at = old.next.get();
            while let Some(node) = at {
                ids.push(node.id);
                at = node.next.get();
            }
            ids
        })
    }

    fn finish(&self) {
        while self.heap.step(1000).unwrap().progress != StepProgress::Idle {}
    }

    /// A young cycle begins that must be voided: nothing is freed in it, and a full one follows by itself that frees.
    fn judge(mut self, site: Site, field: &'static str, behind_old: &[u64]) {
        let before = self.heap.stats();
        self.heap.request_collect_young();
        let is_voided = (0..10_000).any(|_| {
            self.heap.step(1).unwrap();
            self.heap.stats().cycles_voided > before.cycles_voided
        });
        assert!(is_voided, "{site}");
        assert_eq!(self.heap.fault().strikes(site), 1, "{site}");
        let stats = self.heap.stats();
        assert_eq!(stats.bytes_freed_total, before.bytes_freed_total);
        let violation = only(&self.heap, Check::UnmarkedReachable);
        assert_eq!(violation.field, Some(field), "{violation}");
        let reported = self.heap.health().total();
        assert_eq!(self.behind_old(), behind_old, "nothing is lost");
        self.finish();
        let after = self.heap.stats();
        assert_eq!(
            (after.cycles_voided, after.cycles_young),
            (before.cycles_voided + 1, before.cycles_young),
            "the next cycle is full and sound"
        );
        assert!(after.bytes_freed_total > before.bytes_freed_total);
        // The full one could not tell newborn from marked; the one after it can.
        assert_eq!(self.heap.collect_young().unwrap().kind, CycleKind::Full);
        for id in [50, 60] {
            assert_eq!(self.heap.collect_young().unwrap().kind, CycleKind::Young);
            self.store(id);
            assert_eq!(self.heap.collect_young().unwrap().kind, CycleKind::Young);
            assert_eq!(self.behind_old(), [id, id + 1]);
        }
        assert!(self.heap.verify().unwrap().is_clean());
        assert_eq!(self.heap.health().total(), reported);
        self.witness.check(&self.heap, &mut self.mutator);
    }
}

#[test]
fn a_store_between_cycles_that_is_not_remembered_hides_an_object() {
    let mut scene = Scene::new();
    scene.arm(Site::StoreUnremembered, 0);
    scene.store(1);
    scene.judge(Site::StoreUnremembered, "Node.next", &[1, 2]);
}

#[test]
fn one_store_of_many_that_is_not_remembered_hides_an_object() {
    let mut scene = Scene::new();
    scene.arm(Site::StoreUnremembered, 5);
    // Those before it are overwritten, so that it hangs on the old object alone.
    (1..=6).for_each(|id| scene.store(id));
    scene.judge(Site::StoreUnremembered, "Node.next", &[6, 7]);
}

#[test]
fn a_store_of_a_black_mutator_that_is_not_remembered_hides_an_object_in_the_next_cycle() {
    // While a full cycle marks it may still come to the old object, and mark what was stored.
    for (kind, phase) in [
        (CycleKind::Young, Phase::Mark),
        (CycleKind::Young, Phase::Clear),
        (CycleKind::Young, Phase::Sweep),
        (CycleKind::Full, Phase::Clear),
        (CycleKind::Full, Phase::Sweep),
    ] {
        let mut scene = Scene::new();
        match kind {
            CycleKind::Full => scene.heap.request_collect(),
            CycleKind::Young => scene.heap.request_collect_young(),
        }
        step_to(&scene.heap, phase);
        scene.arm(Site::StoreUnremembered, 0);
        scene.store(1);
        scene.finish();
        assert_eq!(scene.heap.health().total(), 0, "newborn objects are kept");
        scene.judge(Site::StoreUnremembered, "Node.next", &[1, 2]);
    }
}

#[test]
fn a_remembered_set_that_is_lost_hides_what_remembered_objects_lead_to() {
    let mut scene = Scene::new();
    scene.arm(Site::RememberedLost, 0);
    scene.store(1);
    // The stored object is marked, its child is not.
    scene.judge(Site::RememberedLost, "Node.next", &[1, 2]);
}

#[test]
fn a_remembered_set_that_a_full_cycle_loses_does_no_harm() {
    let mut scene = Scene::new();
    scene.store(1);
    scene.arm(Site::RememberedLost, 0);
    assert_eq!(scene.heap.collect().unwrap().kind, CycleKind::Full);
    assert_eq!(scene.heap.fault().strikes(Site::RememberedLost), 1);
    assert_eq!(scene.heap.collect_young().unwrap().kind, CycleKind::Young);
    assert_eq!(scene.behind_old(), [1, 2]);
    assert_eq!(scene.heap.health().total(), 0);
    scene.witness.check(&scene.heap, &mut scene.mutator);
}

#[test]
fn births_that_are_forgotten_keep_the_dead_until_the_next_full_cycle() {
    let mut scene = Scene::new();
    let kept = scene.heap.collect().unwrap().bytes_live;
    let dead: Vec<_> = scene.mutator.enter(|scope| {
        (0..1000)
            .map(|id| scope.alloc(node(id)).address())
            .collect()
    });
    scene.mutator.parked(|| {});
    let fault = scene.heap.fault();
    fault.arm(Site::BirthsForgotten, 0, Persistence::Persistent);
    let report = scene.heap.collect_young().unwrap();
    assert_eq!(report.kind, CycleKind::Young);
    assert!(fault.strikes(Site::BirthsForgotten) > 0);
    fault.disarm(Site::BirthsForgotten);
    let is_object = |address: &usize| scene.heap.locate(*address).is_object();
    let forgotten = dead.iter().filter(|dead| is_object(dead)).count();
    assert!(forgotten > 0);
    assert_eq!(scene.heap.ledger().unwrap().imbalance(), None);
    // What is born later beside them is seen to as ever, and they are in nobody's way.
    for id in 1..4 {
        scene.store(id);
        assert_eq!(scene.heap.collect_young().unwrap().kind, CycleKind::Young);
        assert_eq!(scene.behind_old(), [id, id + 1]);
        assert_eq!(scene.heap.ledger().unwrap().imbalance(), None);
    }
    scene.with_old(|scope, old| old.next.set(scope, None));
    assert_eq!(scene.heap.collect().unwrap().bytes_live, kept);
    assert_eq!(scene.heap.health().total(), 0);
    assert!(scene.heap.verify().unwrap().is_clean());
    scene.witness.check(&scene.heap, &mut scene.mutator);
}
