//! A generation that no flip can have left a span is told from a bad state and from a second sweep, wherever it is met,
//! and is contained.

mod support;

use gc_hooks::Check;
use support::{Class, Lab, assert_withdrawn, lab_with_a_span, number};

/// In cycle 2, its flip done, forty of a hundred objects marked; the span is not swept.
fn unswept() -> (Lab, Class, Vec<usize>) {
    let (mut lab, class, objects) = lab_with_a_span();
    lab.open_cycle();
    objects[..40].iter().for_each(|object| lab.mark(*object));
    lab.flip();
    (lab, class, objects)
}

fn break_generation(lab: &Lab, objects: &[usize], amount: i32) {
    assert!(lab.space.fault().add_generation(objects[0], amount));
}

const REASONS: [(i32, &str); 4] = [
    (-2, "too far behind the cycle"),
    (-1, "too far behind the cycle"),
    (1, "swept in this cycle by its word alone"),
    (2, "ahead of the cycle"),
];

#[test]
fn a_generation_out_of_step_is_found_by_the_sweep() {
    for (amount, reason) in REASONS {
        let (mut lab, class, objects) = unswept();
        break_generation(&lab, &objects, amount);
        assert_eq!(lab.sweep().bytes_freed, 0, "nothing in it is freed");
        let violation = lab.assert_only(Check::SweepGeneration, 1);
        assert_eq!((violation.reason, violation.span), (reason, Some(0)));
        assert_eq!(
            violation.first_line().to_string(),
            format!("sweep: bad span state: sweepgen out of step ({reason})")
        );
        let generation = 1_u32.wrapping_add_signed(amount);
        assert_eq!(number(&violation, "generation"), u64::from(generation));
        assert_eq!(number(&violation, "cycle of the sweep"), 2);
        assert_withdrawn(&mut lab, class, &objects);
        lab.assert_only(Check::SweepGeneration, 1);
    }
}

/// One cycle ahead, an unswept span without dead objects is what a span would be that is swept a second time: nothing
/// tells the two apart, and nothing is lost.
#[test]
fn one_ahead_and_without_dead_objects_it_is_a_second_sweep() {
    let (mut lab, class, objects) = lab_with_a_span();
    lab.open_cycle();
    objects.iter().for_each(|object| lab.mark(*object));
    lab.flip();
    break_generation(&lab, &objects, 1);
    lab.sweep();
    lab.assert_only(Check::DoubleSweep, 1);
    assert_eq!(lab.objects(), objects);
    lab.assert_balanced();
    let object = lab.alloc(class);
    assert_eq!(lab.first_page(object), 0, "the span serves on");
    lab.collect(&objects);
    lab.retire_all();
    lab.assert_balanced();
    lab.assert_only(Check::DoubleSweep, 1);
}

#[test]
fn a_generation_out_of_step_is_found_in_the_allocation_path() {
    for (amount, reason) in REASONS {
        let (mut lab, class, objects) = unswept();
        break_generation(&lab, &objects, amount);
        let object = lab.alloc(class);
        assert_ne!(lab.first_page(object), 0, "another span serves");
        let violation = lab.assert_only(Check::SweepGeneration, 1);
        assert_eq!(violation.reason, reason);
        assert!(lab.space.is_swept());
        assert_withdrawn(&mut lab, class, &objects);
        lab.assert_only(Check::SweepGeneration, 1);
    }
}

#[test]
fn a_swept_span_of_another_generation_is_not_leased() {
    for amount in [-2, -1, 1, 2] {
        let (mut lab, class, objects) = lab_with_a_span();
        break_generation(&lab, &objects, amount);
        let object = lab.alloc(class);
        assert_ne!(lab.first_page(object), 0);
        lab.assert_only(Check::SweepGeneration, 1);
        assert_withdrawn(&mut lab, class, &objects);
        lab.assert_only(Check::SweepGeneration, 1);
    }
}

#[test]
fn a_swept_span_that_nobody_leases_is_found_by_the_next_sweep() {
    for amount in [-2, -1, 1, 2] {
        let (mut lab, class, objects) = lab_with_a_span();
        break_generation(&lab, &objects, amount);
        lab.collect(&objects[..10]);
        lab.assert_only(Check::SweepGeneration, 1);
        assert_withdrawn(&mut lab, class, &objects);
    }
}

#[test]
fn a_lease_that_ends_out_of_step_withdraws_the_span() {
    for is_due in [false, true] {
        for amount in [-2, -1, 1, 2] {
            let (mut lab, class, mut objects) = lab_with_a_span();
            objects.push(lab.alloc(class));
            if is_due {
                lab.open_cycle();
                objects.iter().for_each(|object| lab.mark(*object));
                lab.flip();
            }
            break_generation(&lab, &objects, amount);
            lab.retire(class);
            lab.assert_only(Check::SweepGeneration, 1);
            assert!(lab.space.is_swept());
            assert_withdrawn(&mut lab, class, &objects);
        }
    }
}

#[test]
fn a_leased_span_out_of_step_is_withdrawn_by_the_sweep() {
    for (amount, reason) in REASONS {
        let (mut lab, class, mut objects) = lab_with_a_span();
        objects.push(lab.alloc(class));
        lab.open_cycle();
        lab.flip();
        break_generation(&lab, &objects, amount);
        lab.sweep();
        assert_eq!(lab.assert_only(Check::SweepGeneration, 1).reason, reason);
        lab.retire(class);
        assert_withdrawn(&mut lab, class, &objects);
    }
}

#[test]
fn a_quarantined_span_out_of_step_stays_quarantined_and_is_counted_once() {
    for amount in [-2, -1, 1, 2] {
        let (mut lab, class, objects) = lab_with_a_span();
        lab.space.quarantine_span_of(objects[0]);
        lab.open_cycle();
        lab.flip();
        break_generation(&lab, &objects, amount);
        lab.sweep();
        lab.assert_only(Check::SweepGeneration, 1);
        lab.assert_balanced();
        assert_withdrawn(&mut lab, class, &objects);
        lab.assert_only(Check::SweepGeneration, 1);
    }
}

#[test]
fn what_an_early_flip_leaves_unswept_is_in_step() {
    let (mut lab, class, objects) = lab_with_a_span();
    let born = lab.alloc(class);
    for _ in 0..3 {
        lab.open_cycle_early();
        objects[..10].iter().for_each(|object| lab.mark(*object));
        lab.mark(born);
        lab.flip();
    }
    lab.sweep();
    // The flips themselves were early, which is told twice.
    lab.assert_only(Check::SpanState, 2);
    lab.retire_all();
    lab.collect(&objects[..5]);
    assert_eq!(lab.objects(), &objects[..5]);
    lab.assert_balanced();
    lab.assert_only(Check::SpanState, 2);
}

#[test]
fn cycles_that_were_voided_leave_no_gap_in_the_generations() {
    let (mut lab, class, objects) = lab_with_a_span();
    for voided in [1, 3, 7] {
        lab.cycle += voided;
        lab.collect(&objects);
        lab.alloc_many(class, 30);
        lab.retire_all();
    }
    lab.collect(&objects);
    assert_eq!(lab.objects(), objects);
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn a_class_registered_late_begins_in_step() {
    let (mut lab, _, _) = lab_with_a_span();
    lab.collect(&[]);
    let late = lab.class(128);
    let object = lab.alloc(late);
    lab.retire(late);
    lab.collect(&[object]);
    lab.alloc(late);
    lab.retire(late);
    lab.collect(&[]);
    assert!(lab.objects().is_empty());
    lab.assert_balanced();
    lab.assert_silent();
}
