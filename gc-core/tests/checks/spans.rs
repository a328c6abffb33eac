//! Every site in spans, sweeps and runs: it strikes once, what should see it does, and the heap serves
//! on with its books in balance.

use gc_core::fault::{Persistence, Site};
use gc_core::{AllocError, Check, CheckLevel, Driver, Heap, Mutator, Policy};

use crate::support::{Witness, heap_at, node, only};

struct Scene {
    heap: Heap,
    mutator: Mutator,
    witness: Witness,
}

impl Scene {
    fn new() -> Scene {
        let (heap, mut mutator) = heap_at(CheckLevel::Default);
        let witness = Witness::new(&mut mutator);
        heap.collect().unwrap();
        mutator.parked(|| {});
        Scene {
            heap,
            mutator,
            witness,
        }
    }

    fn arm(&self, site: Site) {
        self.heap.fault().arm(site, 0, Persistence::Once);
    }

    fn litter(&mut self, objects: u64) {
        self.mutator.enter(|scope| {
            for id in 0..objects {
                scope.alloc(node(id));
            }
        });
        self.mutator.parked(|| {});
    }

    /// It struck once, and two cycles later the heap is whole.
    fn judge(self, site: Site) {
        assert_eq!(self.heap.fault().strikes(site), 1, "{site}");
        self.judge_contained();
    }

    fn judge_contained(mut self) {
        let total = self.heap.health().total();
        for _ in 0..2 {
            self.heap.collect().unwrap();
        }
        self.litter(1000);
        self.heap.collect().unwrap();
        assert!(self.heap.verify().unwrap().is_clean());
        self.witness.check(&self.heap, &mut self.mutator);
        assert_eq!(self.heap.health().total(), total, "told once");
    }
}

#[test]
fn a_span_that_is_to_be_swept_again_is_refused() {
    let scene = Scene::new();
    scene.arm(Site::SweepRepeated);
    scene.heap.collect().unwrap();
    only(&scene.heap, Check::DoubleSweep);
    scene.judge(Site::SweepRepeated);
}

#[test]
fn a_sweep_that_was_skipped_is_made_up_for_in_the_next_cycle() {
    let mut scene = Scene::new();
    scene.litter(100);
    let live = scene.heap.stats().bytes_live;
    scene.arm(Site::SweepSkipped);
    scene.heap.collect().unwrap();
    assert_eq!(scene.heap.stats().bytes_live, live, "nothing was freed");
    scene.heap.collect().unwrap();
    assert!(scene.heap.stats().bytes_live < live);
    assert_eq!(scene.heap.health().total(), 0);
    scene.judge(Site::SweepSkipped);
}

#[test]
fn a_span_that_is_put_into_no_list_is_missed_by_the_next_sweep_and_put_back() {
    for driver in [Driver::Manual, Driver::Incremental, Driver::Background(2)] {
        let heap = Heap::builder()
            .driver(driver)
            .policy(Policy::MARK_UNHEALTHY)
            .reserve_bytes(64 << 20)
            .build()
            .unwrap();
        let mut mutator = heap.mutator();
        let witness = Witness::new(&mut mutator);
        heap.collect().unwrap();
        mutator.parked(|| {});
        let mut scene = Scene {
            heap,
            mutator,
            witness,
        };
        scene.arm(Site::SpanUnlisted);
        for _ in 0..3 {
            scene.litter(1000);
            scene.heap.collect().unwrap();
        }
        let violation = only(&scene.heap, Check::SpanList);
        assert_eq!(violation.reason, "span that no list leads to");
        assert_eq!(scene.heap.health().total(), 1, "{driver:?}");
        scene.judge(Site::SpanUnlisted);
    }
}

#[test]
fn a_slot_that_a_run_passes_over_is_missing_when_the_lease_ends() {
    let mut scene = Scene::new();
    scene.arm(Site::RunCursorMoved);
    scene.litter(10);
    only(&scene.heap, Check::AllocCount);
    scene.judge(Site::RunCursorMoved);
}

#[test]
fn pages_that_are_given_back_twice_are_kept() {
    let mut scene = Scene::new();
    scene.litter(20_000);
    scene.arm(Site::PagesFreedTwice);
    scene.heap.collect().unwrap();
    let violation = only(&scene.heap, Check::SpanState);
    assert_eq!(
        violation.reason,
        "the page heap never handed these pages out"
    );
    scene.judge(Site::PagesFreedTwice);
}

#[test]
fn memory_that_the_system_refuses_is_an_error_and_leaves_the_heap_whole() {
    let mut scene = Scene::new();
    let fault = scene.heap.fault();
    fault.arm(Site::CommitRefused, 0, Persistence::Persistent);
    let refused = scene.mutator.enter(|scope| {
        let mut slices = (0..4).map(|_| scope.try_alloc_slice(0..100_000_u64).map(|_| ()));
        slices.find(Result::is_err)
    });
    assert!(
        matches!(refused, Some(Err(AllocError::Os(_)))),
        "{refused:?}"
    );
    assert_eq!(scene.heap.health().total(), 0);
    assert_eq!(
        fault.strikes(Site::CommitRefused),
        2,
        "tried again once everything is swept"
    );
    fault.disarm(Site::CommitRefused);
    let again = scene
        .mutator
        .enter(|scope| scope.try_alloc_slice(0..100_000_u64).is_ok());
    assert!(again);
    // Once alone, it goes by unnoticed.
    scene.heap.collect().unwrap();
    scene.judge_contained();
}

#[test]
fn memory_that_the_system_does_not_take_back_is_kept_and_told() {
    let mut scene = Scene::new();
    scene.mutator.enter(|scope| {
        for _ in 0..8 {
            scope.alloc_slice(0..500_000_u64);
        }
    });
    scene.arm(Site::ReleaseRefused);
    for _ in 0..4 {
        scene.heap.collect().unwrap();
    }
    only(&scene.heap, Check::OsCall);
    scene.judge(Site::ReleaseRefused);
}
