//! Cycles in doubt on a heap with generations: nothing is freed, what follows is full until the colours are told apart
//! again, and what was remembered neither gets lost nor piles up.

use gc_core::{Check, CollectError, CycleKind, Phase, Reclaiming};

use crate::scene::{Scene, litter, node, pair};
use crate::support::step_to;

impl Scene {
    /// Steps the cycle that is asked for until it is voided in a phase.
    fn void_in(&self, phase: Phase) {
        let voided = self.heap.stats().cycles_voided;
        step_to(&self.heap, phase);
        self.heap.fault().skew_marking_gate(-1);
        while self.heap.stats().cycles_voided == voided {
            self.heap.step(1).unwrap();
        }
        // The heap has asked for the next one itself, and such a step is too short for it.
        assert!(!matches!(self.heap.phase(), Phase::Clear | Phase::Sweep));
    }

    fn assert_contained(&self, voids: u64) {
        let (health, stats) = (self.heap.health(), self.heap.stats());
        assert_eq!(health.count(Check::GateCount), health.total(), "{health:?}");
        assert_eq!(stats.cycles_voided, voids);
        assert!(self.heap.verify().unwrap().is_clean());
        assert_eq!(self.heap.ledger().unwrap().imbalance(), None);
    }

    fn request(&self, kind: CycleKind) {
        match kind {
            CycleKind::Full => self.heap.request_collect(),
            CycleKind::Young => self.heap.request_collect_young(),
        }
    }

    /// Stores a pair into the old object, unlinks what was there, and leaves garbage. Answers the bytes in use.
    fn use_heap(&mut self, id: u64) -> u64 {
        self.with_old(|scope, old| {
            litter(scope, 100);
            old.next.set(scope, pair(scope, id));
        });
        self.heap.stats().bytes_live
    }
}

const KINDS: [CycleKind; 2] = [CycleKind::Young, CycleKind::Full];

#[test]
fn a_voided_cycle_frees_nothing_and_full_ones_follow_before_the_next_young_one() {
    for kind in KINDS {
        for phase in [Phase::Mark, Phase::Clear] {
            let mut scene = Scene::new();
            scene.young();
            let bytes_live = scene.use_heap(1);
            scene.request(kind);
            scene.void_in(phase);
            assert_eq!(scene.heap.stats().bytes_live, bytes_live);
            assert_eq!(scene.behind_old(), [1, 2]);
            let next = scene.finish().unwrap();
            assert_eq!(next.kind, CycleKind::Full);
            assert!(scene.heap.stats().bytes_live < bytes_live);
            // That one could not tell newborn from marked.
            assert_eq!(scene.heap.collect_young().unwrap().kind, CycleKind::Full);
            for id in 2..6 {
                assert_eq!(scene.behind_old(), [id - 1, id]);
                scene.use_heap(id);
                assert!(scene.young().bytes_freed > 0);
                assert_eq!(scene.behind_old(), [id, id + 1]);
            }
            scene.assert_contained(1);
        }
    }
}

#[test]
fn what_is_stored_around_two_voids_in_a_row_is_kept() {
    for kind in KINDS {
        let mut scene = Scene::new();
        scene.young();
        let mut id = 1;
        scene.use_heap(id);
        scene.request(kind);
        for phase in [Phase::Snapshot, Phase::Mark, Phase::Clear] {
            id += 1;
            step_to(&scene.heap, phase);
            scene.use_heap(id);
        }
        scene.void_in(Phase::Clear);
        id += 1;
        scene.use_heap(id);
        scene.void_in(Phase::Mark);
        id += 1;
        let bytes_live = scene.use_heap(id);
        assert_eq!(scene.finish().unwrap().kind, CycleKind::Full);
        assert_eq!(scene.behind_old(), [id, id + 1]);
        assert!(scene.heap.stats().bytes_live < bytes_live);
        assert_eq!(scene.heap.collect_young().unwrap().kind, CycleKind::Full);
        for _ in 0..20 {
            id += 1;
            scene.use_heap(id);
            scene.young();
            assert_eq!(scene.behind_old(), [id, id + 1]);
        }
        // The old object, two that it leads to, and no more.
        scene.full();
        assert_eq!(scene.heap.ledger().unwrap().objects, 3);
        scene.assert_contained(2);
    }
}

#[test]
fn many_voids_that_are_not_in_a_row_leave_no_colour_behind() {
    let mut scene = Scene::new();
    for round in 0..30 {
        scene.use_heap(round);
        scene.request(KINDS[round as usize % 2]);
        scene.void_in(Phase::Mark);
        if round % 3 == 0 {
            scene.use_heap(round);
            scene.void_in(Phase::Clear);
        }
        assert_eq!(scene.finish().unwrap().kind, CycleKind::Full);
        for _ in 0..round % 4 {
            scene.heap.collect_young().unwrap();
            assert_eq!(scene.behind_old(), [round, round + 1]);
        }
        scene.full();
        assert_eq!(scene.heap.ledger().unwrap().objects, 3);
    }
    scene.assert_contained(40);
}

#[test]
fn the_third_void_in_a_row_ends_reclaiming_and_nothing_is_lost() {
    let mut scene = Scene::new();
    scene.young();
    scene.request(CycleKind::Young);
    for id in 0..3 {
        scene.use_heap(id);
        scene.void_in(Phase::Mark);
    }
    assert_eq!(scene.heap.stats().reclaiming, Reclaiming::Stopped);
    for refused in [scene.heap.collect(), scene.heap.collect_young()] {
        assert_eq!(refused, Err(CollectError::ReclaimingStopped));
    }
    let objects = scene.heap.ledger().unwrap().objects;
    for id in 0..1000 {
        scene.with_old(|scope, old| {
            let new = scope.alloc(node(id));
            new.next.set(scope, old.next.get());
            old.next.set(scope, new);
        });
    }
    assert_eq!(scene.heap.ledger().unwrap().objects, objects + 1000);
    assert_eq!(scene.behind_old().len(), 1002);
    scene.assert_contained(3);
}

#[test]
fn notes_of_cycles_that_were_voided_do_not_pile_up() {
    let mut scene = Scene::new();
    let mut marked = Vec::new();
    for _ in 0..4 {
        scene.young();
        scene.use_heap(1);
        scene.request(CycleKind::Young);
        scene.void_in(Phase::Mark);
        scene.finish();
        scene.full();
        // Nothing was stored since, so nothing is remembered: the roots alone are looked at, and they are old.
        marked.push(scene.young().objects_marked);
        scene.full();
    }
    assert_eq!(marked, [0; 4]);
    scene.assert_contained(4);
}
