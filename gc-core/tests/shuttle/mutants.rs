//! The tests can fail: what they are to find is found when it is there.
//!
//! Each mutant is a heap or a program with one fault that only some schedules bring to light, or a
//! model that believes something false. The number of schedules is several times what it took.

use std::sync::{Arc, Mutex};

use gc_core::{Check, CheckLevel, Phase};

use crate::objects::Dropped;
use crate::scene::{Outcome, Plan, Scene};
use crate::{Search, explore};

/// What all schedules of a search came to.
fn sum(search: Search, plan: Plan) -> Outcome {
    let sum: Arc<Mutex<Outcome>> = Arc::default();
    let all = Arc::clone(&sum);
    explore(search, move || {
        let outcome = Scene::<Dropped>::new(plan).play();
        all.lock().unwrap().absorb(outcome);
    });
    core::mem::take(&mut *sum.lock().unwrap())
}

fn assert_complains(outcome: &Outcome, of: &str) {
    let told = outcome.complaints.iter().filter(|told| told.contains(of));
    assert!(told.count() > 0, "{:?}", outcome.complaints);
}

#[test]
fn without_a_fault_schedules_meet_everything() {
    for search in [Search::Random(300), Search::Pct(300, 3)] {
        let outcome = sum(search, Plan::default());
        assert_eq!(outcome.complaints, [""; 0]);
        assert_eq!(outcome.violations, []);
        assert_eq!(outcome.phases_met.len(), Phase::ALL.len(), "{outcome:?}");
        assert!(outcome.found_dead > 0 && outcome.bytes_freed > 0);
        assert!(outcome.cycles > 3 * 300, "{outcome:?}");
    }
}

#[test]
fn schedules_of_young_cycles_meet_everything() {
    for search in [Search::Random(300), Search::Pct(300, 3)] {
        let plan = Plan {
            young: Some(4),
            ..Plan::default()
        };
        let outcome = sum(search, plan);
        assert_eq!(outcome.complaints, [""; 0]);
        assert_eq!(outcome.violations, []);
        assert_eq!(outcome.phases_met.len(), Phase::ALL.len(), "{outcome:?}");
        assert!(outcome.found_dead > 0 && outcome.bytes_freed > 0);
        assert!(outcome.cycles_young > 300, "{outcome:?}");
    }
}

#[test]
fn a_heap_that_does_not_remember_loses_objects() {
    let plan = Plan {
        young: Some(4),
        forgets_stores: true,
        ..Plan::default()
    };
    assert_complains(&sum(Search::Random(1000), plan), "dropped and reachable");
    assert_complains(&sum(Search::Pct(1000, 3), plan), "dropped and reachable");
}

#[test]
fn a_heap_without_barriers_loses_objects() {
    let plan = Plan {
        skips_barriers: true,
        ..Plan::default()
    };
    assert_complains(&sum(Search::Random(1000), plan), "dropped and reachable");
    assert_complains(&sum(Search::Pct(1000, 3), plan), "dropped and reachable");
}

#[test]
fn the_second_opinion_sees_missing_barriers() {
    let plan = Plan {
        skips_barriers: true,
        level: CheckLevel::Paranoid,
        ..Plan::default()
    };
    let outcome = sum(Search::Random(1000), plan);
    assert!(outcome.violations.contains(&Check::UnmarkedReachable));
}

#[test]
fn a_heap_that_loses_marks_loses_objects() {
    let plan = Plan {
        loses_marks: true,
        ..Plan::default()
    };
    assert_complains(&sum(Search::Random(1000), plan), "dropped and reachable");
}

#[test]
fn pointers_carried_beyond_enter_are_lost() {
    let plan = Plan {
        carries_pointers: true,
        ..Plan::default()
    };
    assert_complains(&sum(Search::Random(1000), plan), "dropped and reachable");
    assert_complains(&sum(Search::Pct(1000, 3), plan), "dropped and reachable");
}
