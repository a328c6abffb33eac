//! The way back from quarantine: what is counted rightly serves again, the rest stays, and the books balance.

mod support;

use gc_hooks::{Check, CheckLevel, Checks};
use gc_sweep::{QuarantineReleased, SpaceConfig, SpanState, StateByte};
use support::{CONFIG, Lab, assert_withdrawn, lab_with_a_span};

/// Releases with every run retired, as the heap above does.
fn release(lab: &mut Lab) -> QuarantineReleased {
    lab.retire_all();
    lab.assert_balanced();
    let released = lab.space.release_quarantine();
    lab.assert_balanced();
    released
}

#[test]
fn without_a_quarantine_nothing_happens() {
    let (mut lab, _, objects) = lab_with_a_span();
    assert_eq!(release(&mut lab), QuarantineReleased::default());
    assert_eq!(lab.objects(), objects);
    lab.assert_silent();
}

#[test]
fn a_span_that_is_sound_serves_again_and_its_objects_meet_their_fate() {
    for by_state in [false, true] {
        let (mut lab, class, objects) = lab_with_a_span();
        if by_state {
            lab.space.fault().set_span_word(objects[0], 1, 9);
            lab.collect(&objects);
            lab.assert_only(Check::SpanState, 1);
        } else {
            lab.space.quarantine_span_of(objects[0]);
        }
        lab.collect(&[]);
        let released = release(&mut lab);
        assert_eq!((released.spans, released.slots), (1, 0));
        assert_eq!(
            (released.bytes, released.bytes_kept, released.spans_kept),
            (8192, 0, 0)
        );
        let usage = lab.space.usage();
        assert_eq!((usage.spans_quarantined, usage.bytes_quarantined), (0, 0));
        assert_eq!(usage.bytes_live, 6400);
        assert_eq!(lab.objects(), objects);
        let born = lab.alloc_many(class, 28);
        assert!(born.iter().all(|object| lab.first_page(*object) == 0));
        lab.collect(&objects[..10]);
        lab.retire_all();
        assert_eq!(lab.objects(), objects[..10]);
        lab.collect(&[]);
        assert_eq!(lab.space.usage().spans, 0);
        lab.assert_balanced();
    }
}

#[test]
fn a_span_whose_counts_did_not_agree_stays() {
    // A byte says "object" where the books know none.
    let (mut lab, class, objects) = lab_with_a_span();
    lab.open_cycle();
    objects.iter().for_each(|object| lab.mark(*object));
    lab.mark_blindly(objects[99] + 64);
    lab.flip();
    lab.sweep();
    lab.assert_only(Check::SweepCount, 1);
    let released = release(&mut lab);
    assert_eq!(
        (released.spans, released.spans_kept, released.bytes_kept),
        (0, 1, 8192)
    );
    assert_withdrawn(&mut lab, class, &objects);
    assert_eq!(release(&mut lab).spans_kept, 1);
    lab.assert_only(Check::SweepCount, 1);
}

/// Two of three accounts agree: the bytes and the share in the books.
#[test]
fn a_span_whose_record_alone_miscounted_serves_again() {
    for amount in [-3, 5] {
        let (mut lab, _, objects) = lab_with_a_span();
        lab.space.fault().add_alloc_count(objects[0], amount);
        lab.collect(&objects);
        assert_eq!(lab.space.usage().spans_quarantined, 1);
        assert_eq!(release(&mut lab).spans, 1);
        lab.collect(&objects[..7]);
        assert_eq!(lab.objects(), objects[..7]);
        lab.assert_balanced();
        assert_eq!(lab.health.total(), 1);
    }
}

#[test]
fn a_span_whose_bytes_changed_since_stays() {
    let tampers: [fn(&Lab, &[usize]); 4] = [
        |lab, objects| {
            lab.space
                .fault()
                .set_state_byte(objects[3], StateByte::FREE_FRESH);
        },
        |lab, objects| {
            let object = StateByte::object(lab.colour);
            lab.space.fault().set_state_byte(objects[99] + 64, object);
        },
        |lab, objects| {
            lab.space
                .fault()
                .set_state_byte(objects[3], StateByte::QUARANTINED);
        },
        |lab, objects| {
            lab.space.fault().set_frontier(objects[3], 50);
        },
    ];
    for tamper in tampers {
        let (mut lab, _, objects) = lab_with_a_span();
        lab.space.quarantine_span_of(objects[0]);
        tamper(&lab, &objects);
        assert_eq!(
            (
                release(&mut lab).spans_kept,
                lab.space.usage().spans_quarantined
            ),
            (1, 1)
        );
        assert_eq!(
            lab.space.span_of(objects[0]).unwrap().state(),
            Some(SpanState::Quarantined)
        );
    }
}

#[test]
fn withdrawn_slots_serve_again_and_pinned_objects_die_in_time() {
    for with_drop in [false, true] {
        let mut lab = Lab::new();
        let class = if with_drop {
            lab.class_with_drop(64)
        } else {
            lab.class(64)
        };
        let objects = lab.alloc_many(class, 100);
        lab.retire(class);
        lab.collect(&objects);
        let (free, unused) = (objects[99] + 64, objects[0] + 64 * 120);
        for slot in [objects[4], objects[5], free, unused] {
            assert!(lab.space.quarantine_slot(slot));
        }
        lab.collect(&objects[..50]);
        let released = release(&mut lab);
        assert_eq!(
            (released.spans, released.slots, released.bytes),
            (0, 4, 4 * 64)
        );
        assert_eq!(lab.space.usage().slots_quarantined, 0);
        assert_eq!(lab.objects(), objects[..50]);
        assert!(lab.state(free).is_free() && lab.state(unused).is_free());
        let born = lab.alloc_many(class, 78);
        assert!(born.contains(&free) && born.contains(&unused));
        lab.retire(class);
        let live = [&objects[..5], &born[..]].concat();
        lab.collect(&live);
        assert!(
            !lab.is_object(objects[5]),
            "a pinned object is one like others"
        );
        assert_eq!(lab.reaper.buried.contains(&objects[5]), with_drop);
        lab.collect(&[]);
        assert_eq!(lab.space.usage().spans, 0);
        lab.assert_balanced();
        lab.assert_silent();
    }
}

#[test]
fn what_a_sweep_in_progress_has_not_come_to_lives_through_it() {
    for whole in [false, true] {
        let (mut lab, _, objects) = lab_with_a_span();
        if whole {
            lab.space.quarantine_span_of(objects[0]);
        } else {
            assert!(lab.space.quarantine_slot(objects[7]));
        }
        lab.open_cycle();
        lab.mark(objects[0]);
        lab.flip();
        let released = release(&mut lab);
        assert_eq!(
            (released.spans, released.slots),
            (u64::from(whole), u64::from(!whole))
        );
        assert_eq!(
            lab.space.is_swept(),
            whole,
            "the span itself counts as swept"
        );
        lab.sweep();
        assert!(lab.is_object(objects[7]));
        lab.collect(&objects[..1]);
        assert_eq!(lab.objects(), objects[..1]);
        lab.assert_balanced();
        lab.assert_silent();
    }
}

#[test]
fn marks_of_a_cycle_in_progress_are_kept() {
    for whole in [false, true] {
        let (mut lab, _, objects) = lab_with_a_span();
        if whole {
            lab.space.quarantine_span_of(objects[0]);
        } else {
            assert!(lab.space.quarantine_slot(objects[7]));
        }
        lab.open_cycle();
        lab.mark(objects[7]);
        release(&mut lab);
        lab.mark(objects[8]);
        lab.flip();
        lab.sweep();
        assert_eq!(lab.objects(), objects[7..9]);
        lab.assert_balanced();
        lab.assert_silent();
    }
}

#[test]
fn a_dirty_slot_and_a_zombie_come_back_and_the_limit_may_be_crossed_again() {
    let mut lab = Lab::with(SpaceConfig {
        quarantine_limit_bytes: 64,
        checks: Checks::at(CheckLevel::Paranoid),
        ..CONFIG
    });
    let class = lab.class(64);
    let objects = lab.alloc_many(class, 100);
    lab.retire(class);
    for round in 1..3 {
        lab.open_cycle();
        objects.iter().for_each(|object| lab.mark(*object));
        for slot in [110, 111] {
            lab.mark_blindly(objects[0] + slot * 64);
        }
        lab.flip();
        lab.sweep();
        assert_eq!(
            lab.health.count(Check::QuarantineLimit),
            round,
            "each crossing is told"
        );
        assert_eq!(release(&mut lab).slots, 2);
    }
    assert_eq!(lab.alloc_many(class, 28).len(), 28);
    lab.retire_all();
    lab.assert_balanced();
}

#[test]
fn a_leased_span_is_left_alone() {
    let (mut lab, class, objects) = lab_with_a_span();
    assert!(lab.space.quarantine_slot(objects[7]));
    lab.alloc(class);
    assert_eq!(
        lab.space.release_quarantine(),
        QuarantineReleased {
            bytes_kept: 64,
            ..Default::default()
        }
    );
    lab.assert_balanced();
    assert_eq!(release(&mut lab).slots, 1);
}
