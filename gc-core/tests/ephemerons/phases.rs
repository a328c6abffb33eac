//! Pairs that are read and made while a cycle runs.

use gc_core::{Heap, Phase, StepProgress};

use crate::{heap, ids, one_pair};

fn step_to(heap: &Heap, phase: Phase) {
    for _ in 0..100_000 {
        if heap.phase() == phase {
            return;
        }
        heap.step(1).unwrap();
    }
    panic!("the cycle never came to {phase}");
}

/// Reading a pair makes key and value reachable: in every phase but the last they then survive, and
/// in the last the answer is that they are dead.
#[test]
fn what_is_read_in_any_phase_is_whole_and_stays() {
    for phase in [
        Phase::Arm,
        Phase::Settle,
        Phase::Snapshot,
        Phase::Mark,
        Phase::Clear,
        Phase::Sweep,
    ] {
        let (heap, mut mutator) = heap();
        let (table, key) = one_pair(&mut mutator);
        drop(key);
        heap.request_collect();
        step_to(&heap, phase);
        let kept = mutator.enter(|scope| {
            let pair = scope.get(&table).unwrap().pairs[0];
            scope
                .ephemeron_entry(pair)
                .map(|(key, value)| (scope.root(key), scope.root(value)))
        });
        while heap.step(1000).unwrap().progress != StepProgress::Idle {}
        heap.collect().unwrap();
        let is_last = matches!(phase, Phase::Clear | Phase::Sweep);
        assert_eq!(kept.is_none(), is_last, "{phase}");
        let Some((key, value)) = kept else {
            assert_eq!(ids(&mut mutator, &table), [None]);
            continue;
        };
        assert_eq!(ids(&mut mutator, &table), [Some((1, 2))]);
        mutator.enter(|scope| {
            let ids = (scope.get(&key).unwrap().id, scope.get(&value).unwrap().id);
            assert_eq!(ids, (1, 2));
        });
    }
}

#[test]
fn pairs_made_while_a_cycle_marks_are_kept() {
    let (heap, mut mutator) = heap();
    for phase in [Phase::Arm, Phase::Snapshot, Phase::Mark, Phase::Clear] {
        heap.request_collect();
        step_to(&heap, phase);
        let (table, key) = one_pair(&mut mutator);
        while heap.step(1000).unwrap().progress != StepProgress::Idle {}
        assert_eq!(ids(&mut mutator, &table), [Some((1, 2))], "{phase}");
        heap.collect().unwrap();
        assert_eq!(ids(&mut mutator, &table), [Some((1, 2))], "{phase}");
        drop(key);
        heap.collect().unwrap();
        assert_eq!(ids(&mut mutator, &table), [None], "{phase}");
    }
}
