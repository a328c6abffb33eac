//! Blind checks: nobody tells of what they would find, nothing contains it, and the heap goes on all the
//! same; a check that sees still does.

use gc_core::fault::{Class, How, Stake, State};
use gc_core::raw;
use gc_core::{Check, CheckLevel, Phase, StepProgress};

use crate::classes::{Range, told};
use crate::support::{Witness, heap_at, stale, step_to};

/// Classes in which nothing is left of a live object's memory to chance, though nobody looks.
const HARMLESS: &[&str] = &[
    "stale-edge",
    "stale-old-value",
    "edge-to-no-span",
    "edge-outside",
    "edge-interior",
    "edge-misaligned",
    "edge-no-address",
    "mark-on-free-slot",
    "state-free-to-object",
    "state-object-withdrawn",
    "state-free-withdrawn",
    "alloc-count",
    "generation-skewed",
    "state-impossible",
    "type-forged",
    "shape-seal",
    "destructor-panics",
    "books-skewed",
];

// What nobody sees leads to reads of freed memory, which is what the sanitizer is there to refuse.
#[cfg(not(softfail_asan))]
#[test]
fn with_every_reporter_blind_a_fault_is_silent_and_the_heap_goes_on() {
    for name in HARMLESS {
        let class = Class::from_name(name).unwrap();
        assert_eq!(class.stake, Stake::Nothing);
        for stroke in class.strokes {
            let How::Call(_) = stroke.how else { continue };
            for &level in CheckLevel::ALL {
                let context = format!("{class:?} by {} at {level}", stroke.name);
                let mut range = Range::new(level);
                for &check in class.reporters {
                    range.heap.fault().set_blind(check, true);
                }
                let at = range.address(class.aim);
                range.wait_for(class.moment);
                let _struck = stroke.strike(&range.heap, &mut range.mutator, at, 0);
                range.settle();
                assert_eq!(told(&range.heap), [], "{context}");
                assert_eq!(range.heap.stats().bytes_quarantined, 0, "{context}");
                range.witness.look(&mut range.mutator);
            }
        }
    }
}

#[test]
fn a_check_that_sees_again_tells() {
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let witness = Witness::new(&mut mutator);
    let dead = stale(&heap, &mut mutator);
    for is_blind in [true, false] {
        heap.fault().set_blind(Check::FreePointer, is_blind);
        heap.fault().set_blind(Check::SweepCount, true);
        heap.fault().set_blind(Check::AllocCount, true);
        heap.request_collect();
        step_to(&heap, Phase::Mark);
        // SAFETY: deliberately broken: the old value was never valid here.
        mutator.enter(|scope| unsafe { raw::barrier(scope, Some(dead), None) });
        while heap.step(100).unwrap().progress != StepProgress::Idle {}
        let told = heap.health().count(Check::FreePointer);
        assert_eq!(told > 0, !is_blind);
        // The mark that got through ends with a cycle that does not make it again.
        heap.collect().unwrap();
    }
    witness.check(&heap, &mut mutator);
}

#[test]
fn with_the_barrier_blind_the_sweep_finds_the_stray_mark() {
    let class = Class::from_name("stale-old-value").unwrap();
    let mut range = Range::new(CheckLevel::Default);
    range.heap.fault().set_blind(Check::FreePointer, true);
    range.wait_for(class.moment);
    let at = range.address(class.aim);
    let struck = class.strokes[0].strike(&range.heap, &mut range.mutator, at, 0);
    assert_eq!(struck.state, State::Done);
    range.settle();
    assert_eq!(told(&range.heap), [Check::SweepCount]);
    range.witness.check(&range.heap, &mut range.mutator);
}

#[test]
fn a_root_whose_table_is_not_checked_reads_as_before() {
    let mut range = Range::new(CheckLevel::Default);
    range.heap.fault().set_blind(Check::RootTable, true);
    range.heap.fault().corrupt_root(&range.live[0].0);
    let (heap, live) = (&range.heap, &range.live);
    let id = range
        .mutator
        .enter(|scope| scope.get(&live[0].0).unwrap().id);
    assert_eq!((id, heap.health().total()), (1, 0));
    range.live.clear();
    range.settle();
    assert_eq!(told(&range.heap), []);
}
