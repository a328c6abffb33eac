//! Allocation: runs, spans, large objects, limits.

mod support;

use std::collections::BTreeSet;

use gc_sweep::{AllocError, ClassId, PAGE_BYTES, Run, SizeClass, Space, SpaceConfig, SpanState};
use support::{CONFIG, Lab};

#[test]
fn a_space_may_be_shared_and_a_run_may_move_between_threads() {
    fn is_sync<T: Send + Sync>() {}
    fn is_send<T: Send>() {}
    is_sync::<Space>();
    is_send::<Run>();
}

#[test]
fn every_object_has_a_slot_of_its_own_on_its_alignment() {
    let mut lab = Lab::new();
    for bytes in [1, 16, 24, 48, 64, 100, 128, 200, 1000, 5000, 32 << 10] {
        let class = lab.class(bytes);
        let size = SizeClass::for_bytes(bytes).unwrap();
        let objects: BTreeSet<usize> = lab.alloc_many(class, 300).into_iter().collect();
        assert_eq!(objects.len(), 300);
        for pair in objects.iter().collect::<Vec<_>>().windows(2) {
            assert!(pair[1] - pair[0] >= size.slot_bytes());
        }
        for object in &objects {
            let span = lab.space.span_of(*object).unwrap();
            assert_eq!(span.slot_bytes(), size.slot_bytes());
            assert_eq!(
                (object - span.base(lab.space.base())) % span.slot_bytes(),
                0
            );
            assert!(lab.is_object(*object));
        }
    }
    lab.sync_all();
    assert_eq!(lab.objects().len(), 11 * 300);
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn placement_is_the_same_in_every_space() {
    let place = || {
        let mut lab = Lab::new();
        let classes = [lab.class(32), lab.class(48), lab.class_with_drop(700)];
        let mut offsets = Vec::new();
        for round in 0..6 {
            let mut live = Vec::new();
            for index in 0..900 {
                let object = lab.alloc(classes[index % 3]);
                offsets.push(object - lab.space.base());
                if index % (round + 2) == 0 {
                    live.push(object);
                }
            }
            lab.collect(&live);
        }
        offsets
    };
    assert_eq!(place(), place());
}

#[test]
fn spans_of_a_class_begin_short_and_grow() {
    let mut lab = Lab::new();
    let class = lab.class(64);
    let mut pages = Vec::new();
    let mut last = None;
    for _ in 0..4000 {
        let object = lab.alloc(class);
        let span = lab.space.span_of(object).unwrap();
        if last != Some(span.first_page()) {
            last = Some(span.first_page());
            pages.push(span.pages());
        }
    }
    assert_eq!(pages, [1, 2, 4, 8, 8, 8, 8]);
}

#[test]
fn two_hundred_types_with_one_object_each_stay_small() {
    let mut lab = Lab::new();
    for _ in 0..200 {
        let class = lab.class(40);
        lab.alloc(class);
    }
    assert_eq!(lab.space.usage().bytes_in_spans, 200 * PAGE_BYTES as u64);
}

#[test]
fn the_length_of_spans_can_be_shrunk() {
    let mut lab = Lab::with(SpaceConfig {
        span_pages_max: 1,
        ..CONFIG
    });
    let (small, long) = (lab.class(16), lab.class(32 << 10));
    for object in lab.alloc_many(small, 5000) {
        assert_eq!(lab.space.span_of(object).unwrap().pages(), 1);
    }
    let object = lab.alloc(long);
    assert_eq!(
        lab.space.span_of(object).unwrap().slots(),
        1,
        "as short as the slot allows"
    );
}

#[test]
fn a_run_skips_the_slots_that_live() {
    for bytes in [16, 48, 64, 112, 128, 640, 3000] {
        for keep in [2, 3, 7, 64] {
            let mut lab = Lab::new();
            let class = lab.class(bytes);
            let objects = lab.alloc_many(class, 2000);
            let live: Vec<usize> = objects.iter().copied().step_by(keep).collect();
            lab.retire(class);
            lab.collect(&live);
            let before = lab.space.ledger();
            let mut slots = 0;
            let mut seen = BTreeSet::new();
            for object in &live {
                let span = lab.space.span_of(*object).unwrap();
                if seen.insert(span.first_page()) {
                    slots += span.slots() as usize;
                }
            }
            let again = lab.alloc_many(class, slots - live.len());
            assert!(again.iter().all(|address| !live.contains(address)));
            assert_eq!(
                lab.space.usage().spans,
                before.spans,
                "every free slot was found: {bytes} bytes, 1 in {keep}"
            );
            lab.alloc(class);
            assert_eq!(lab.space.usage().spans, before.spans + 1);
            lab.retire(class);
            lab.assert_balanced();
            lab.assert_silent();
        }
    }
}

#[test]
fn refill_sweeps_a_span_of_its_own_class_before_it_cuts_a_new_one() {
    let mut lab = Lab::new();
    let (class, other) = (lab.class(64), lab.class(64));
    lab.alloc_many(class, 1000);
    let kept = lab.alloc(other);
    lab.retire_all();
    lab.open_cycle();
    lab.mark(kept);
    lab.flip();
    let spans = lab.space.usage().spans;
    lab.alloc(class);
    assert_eq!(
        lab.space.usage().spans,
        spans,
        "the first span was swept and leased again"
    );
    assert!(!lab.space.is_swept());
    let progress = lab.sweep();
    assert_eq!(progress.spans_swept as u64, spans - 1);
    lab.assert_silent();
}

#[test]
fn refill_never_sweeps_a_class_with_drop_glue() {
    let mut lab = Lab::new();
    let class = lab.class_with_drop(64);
    let dead = lab.alloc_many(class, 128);
    lab.retire(class);
    lab.open_cycle();
    lab.flip();
    let fresh = lab.alloc(class);
    assert!(!dead.contains(&fresh));
    assert!(lab.reaper.buried.is_empty());
    lab.sweep();
    lab.reaper.buried.sort_unstable();
    assert_eq!(lab.reaper.buried, dead);
}

#[test]
fn a_large_object_has_a_span_of_its_own() {
    let mut lab = Lab::new();
    let class = lab.large_class();
    let sizes = [33 << 10, 100_000, 1 << 20, 5];
    let objects: Vec<usize> = sizes
        .iter()
        .map(|bytes| lab.alloc_large(class, *bytes).unwrap())
        .collect();
    for (object, bytes) in objects.iter().zip(sizes) {
        let span = lab.space.span_of(*object).unwrap();
        assert!(span.is_large() && span.slots() == 1 && span.slot_bytes() >= bytes);
        assert_eq!(object % PAGE_BYTES, 0);
        assert_eq!(
            lab.space.span_of(object + bytes - 1).unwrap().first_page(),
            span.first_page()
        );
    }
    lab.assert_balanced();
    lab.collect(&objects[1..2]);
    assert_eq!(lab.objects(), &objects[1..2]);
    assert_eq!(lab.space.usage().spans, 1);
    assert_eq!(
        lab.alloc_large(class, 33 << 10).unwrap(),
        objects[0],
        "the freed pages serve again"
    );
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn a_request_beyond_the_reservation_is_refused_for_good() {
    let mut lab = Lab::new();
    let class = lab.large_class();
    for bytes in [CONFIG.reserve_bytes + 1, usize::MAX] {
        assert!(matches!(
            lab.alloc_large(class, bytes),
            Err(AllocError::TooLarge { .. })
        ));
    }
    assert!(matches!(
        lab.space
            .refill(ClassId::clone(&Lab::with_two_classes()), &mut Run::new()),
        Err(AllocError::UnknownClass { class: 1 })
    ));
    lab.assert_balanced();
}

impl Lab {
    /// A class number that a space with one class has not given out.
    fn with_two_classes() -> ClassId {
        let mut lab = Lab::new();
        lab.class(16);
        let second = lab.class(16);
        lab.id(second)
    }
}

#[test]
fn at_the_limit_the_space_stays_usable() {
    let mut lab = Lab::with(SpaceConfig {
        limit_bytes: Some(1 << 20),
        ..CONFIG
    });
    let (class, large) = (lab.class(64), lab.large_class());
    let mut objects = Vec::new();
    let error = loop {
        match lab.try_alloc(class) {
            Ok(object) => objects.push(object),
            Err(error) => break error,
        }
    };
    let limit_reached = |error| {
        matches!(
            error,
            AllocError::Limit {
                limit_bytes: 1_048_576,
                ..
            }
        )
    };
    assert!(limit_reached(error), "{error}");
    assert!(lab.space.usage().bytes_in_spans <= 1 << 20);
    assert!(limit_reached(lab.try_alloc(class).unwrap_err()) && !lab.is_leased(class));
    assert!(limit_reached(lab.alloc_large(large, 100_000).unwrap_err()));
    lab.assert_balanced();
    lab.collect(&objects[..10]);
    assert!(lab.alloc_large(large, 100_000).is_ok());
    lab.alloc_many(class, 1000);
    lab.sync_all();
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn at_the_limit_refill_sweeps_other_classes_for_their_pages() {
    let mut lab = Lab::with(SpaceConfig {
        limit_bytes: Some(1 << 20),
        ..CONFIG
    });
    let (class, other) = (lab.class(64), lab.large_class());
    while lab.try_alloc(class).is_ok() {}
    lab.open_cycle();
    lab.flip();
    assert!(!lab.space.is_swept());
    assert!(
        lab.alloc_large(other, 100_000).is_ok(),
        "the dead of another class made room"
    );
    assert!(lab.space.is_swept());
    lab.sync_all();
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn the_end_of_the_reservation_is_a_typed_error_too() {
    let mut lab = Lab::with(SpaceConfig {
        reserve_bytes: 4 << 20,
        ..CONFIG
    });
    let class = lab.large_class();
    assert!(lab.alloc_large(class, 3 << 20).is_ok());
    assert!(matches!(
        lab.alloc_large(class, 3 << 20),
        Err(AllocError::Exhausted { .. })
    ));
    assert!(lab.alloc_large(class, 1 << 19).is_ok());
    lab.assert_balanced();
}

#[test]
fn the_books_know_what_was_synced_and_the_ledger_the_rest() {
    let mut lab = Lab::new();
    let class = lab.class(64);
    lab.alloc_many(class, 5);
    assert_eq!(lab.space.usage().bytes_live, 0);
    let ledger = lab.space.ledger();
    assert_eq!(
        (ledger.bytes_live, ledger.bytes_unsynced, ledger.objects),
        (320, 320, 5)
    );
    assert!(ledger.is_balanced());
    lab.sync_all();
    assert_eq!(lab.space.usage().bytes_live, 320);
    assert_eq!(lab.space.usage().bytes_allocated_total, 320);
    lab.sync_all();
    assert_eq!(
        lab.space.usage().bytes_live,
        320,
        "a second sync finds nothing new"
    );
    assert_eq!(lab.space.ledger().bytes_unsynced, 0);
    let first = lab.objects()[0];
    assert_eq!(
        lab.space.span_of(first).unwrap().state(),
        Some(SpanState::Leased)
    );
    lab.retire(class);
    assert_eq!(
        lab.space.span_of(first).unwrap().state(),
        Some(SpanState::Swept)
    );
    assert_eq!(lab.space.span_of(first).unwrap().alloc_count(), 5);
    lab.assert_balanced();
}

#[test]
fn a_span_that_is_given_back_unused_returns_to_the_page_heap() {
    let mut lab = Lab::new();
    let class = lab.class(64);
    let id = lab.id(class);
    let mut run = Run::new();
    lab.space.refill(id, &mut run).unwrap();
    assert_eq!(lab.space.usage().spans, 1);
    lab.space.retire(&mut run);
    assert_eq!(lab.space.usage().spans, 0);
    lab.space.retire(&mut run);
    lab.assert_balanced();
    lab.assert_silent();
}
