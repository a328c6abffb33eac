//! Cycles: what the sweep frees, keeps and gives back.

mod support;

use gc_sweep::{Found, SpaceConfig, SpanState, StateByte};
use support::{CONFIG, Lab};

#[test]
fn the_unmarked_die_and_the_marked_live_through_twenty_cycles_of_all_colours() {
    let mut lab = Lab::new();
    let class = lab.class(64);
    let mut live = lab.alloc_many(class, 50);
    let mut colours = Vec::new();
    for round in 0..20_usize {
        live.extend(lab.alloc_many(class, 500).into_iter().step_by(round + 2));
        live.retain(|address| (address / 64) % 23 != round);
        let progress = lab.collect(&live);
        assert!(progress.bytes_freed > 0);
        colours.push(lab.colour.number());
        live.sort_unstable();
        assert_eq!(lab.objects(), live);
        assert!(
            live.iter()
                .all(|object| lab.state(*object).has_colour(lab.colour))
        );
        lab.assert_balanced();
    }
    let expected: Vec<u8> = (0..20).map(|index| (index + 1) % 7 + 1).collect();
    assert_eq!(colours, expected);
    lab.assert_silent();
}

#[test]
fn objects_born_black_survive_the_cycle_they_were_born_in() {
    let mut lab = Lab::new();
    let class = lab.class(32);
    let old = lab.alloc_many(class, 300);
    lab.open_cycle();
    let black = lab.alloc_many(class, 300);
    lab.flip();
    let late = lab.alloc_many(class, 300);
    lab.sweep();
    for object in &old {
        assert!(!lab.is_object(*object) || late.contains(object));
    }
    assert!(
        black
            .iter()
            .chain(&late)
            .all(|object| lab.is_object(*object))
    );
    lab.retire_all();
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn a_leased_span_is_swept_while_its_run_goes_on() {
    let mut lab = Lab::new();
    let class = lab.class(64);
    let objects = lab.alloc_many(class, 60);
    assert!(lab.is_leased(class));
    lab.open_cycle();
    lab.mark(objects[7]);
    lab.flip();
    let more = lab.alloc_many(class, 10);
    let progress = lab.sweep();
    assert_eq!(progress.bytes_freed, 59 * 64);
    let span = lab.space.span_of(objects[0]).unwrap();
    assert_eq!(span.state(), Some(SpanState::Leased));
    assert_eq!(span.generation(), 1);
    lab.assert_balanced();
    assert!(
        lab.alloc_many(class, 50)
            .iter()
            .all(|object| !objects.contains(object)),
        "the run only goes forward"
    );
    lab.retire(class);
    assert_eq!(lab.space.span_of(objects[0]).unwrap().alloc_count(), 61);
    assert_eq!(
        lab.alloc(class),
        objects[0],
        "the next lease begins at the front"
    );
    assert!(more.iter().all(|object| lab.is_object(*object)));
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn books_that_lag_behind_a_sweep_beside_a_lease_never_wrap() {
    let mut lab = Lab::new();
    let class = lab.class(64);
    lab.alloc_many(class, 100);
    assert_eq!(lab.space.usage().bytes_live, 0, "nothing is synced");
    lab.collect(&[]);
    assert_eq!(lab.space.usage().bytes_live, 0);
    lab.assert_balanced();
    lab.sync_all();
    assert_eq!(lab.space.usage().bytes_live, 0);
    assert_eq!(lab.space.usage().bytes_freed_total, 6400);
    lab.assert_balanced();
    lab.retire(class);
    assert_eq!(lab.space.usage().spans, 0);
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn a_lease_that_ends_unswept_is_swept_later() {
    let mut lab = Lab::new();
    let class = lab.class(64);
    let objects = lab.alloc_many(class, 40);
    lab.open_cycle();
    lab.mark(objects[3]);
    lab.flip();
    lab.retire(class);
    assert!(!lab.space.is_swept());
    assert_eq!(lab.sweep().bytes_freed, 39 * 64);
    assert_eq!(lab.objects(), [objects[3]]);
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn an_empty_span_returns_and_its_pages_are_cut_to_another_size() {
    let mut lab = Lab::new();
    let (small, other) = (lab.class(32), lab.class(4096));
    let objects = lab.alloc_many(small, 256 + 512 + 1024);
    lab.retire(small);
    assert_eq!(lab.space.usage().spans, 3);
    lab.collect(&[]);
    assert_eq!(lab.space.usage().spans, 0);
    assert!(lab.space.span_of(objects[0]).is_none());
    let freed = Found::UnallocatedSpan {
        freed_cycle: Some(1),
    };
    assert!(
        objects
            .iter()
            .all(|object| lab.space.find(*object) == freed)
    );
    assert!(lab.state(objects[0]).is_free() && lab.state(objects[0]) != StateByte::FREE_FRESH);
    let again = lab.alloc_many(other, 2);
    assert_eq!(again[0], objects[0], "the same pages");
    assert_eq!(
        lab.state(objects[1]),
        StateByte::FREE_FRESH,
        "the stamps are gone"
    );
    assert_eq!(lab.space.span_of(again[1]).unwrap().slot_bytes(), 4096);
    lab.sync_all();
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn idle_memory_goes_back_to_the_system_once_a_cycle_within_the_budget() {
    let mut lab = Lab::with(SpaceConfig {
        release_chunks_per_cycle: 2,
        ..CONFIG
    });
    let class = lab.large_class();
    for _ in 0..3 {
        lab.alloc_large(class, 4 << 20).unwrap();
    }
    assert_eq!(lab.space.usage().bytes_committed, 12 << 20);
    lab.collect(&[]);
    assert_eq!(
        lab.space.usage().bytes_released,
        0,
        "as much was cut in this cycle"
    );
    lab.alloc_large(class, 2 << 20).unwrap();
    lab.collect(&[]);
    assert_eq!(lab.space.usage().bytes_released, 4 << 20);
    lab.sweep();
    assert_eq!(
        lab.space.usage().bytes_released,
        4 << 20,
        "nothing more in this cycle"
    );
    lab.collect(&[]);
    assert_eq!(lab.space.usage().bytes_released, 8 << 20);
    assert!(lab.alloc_large(class, 10 << 20).is_ok());
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn steps_of_one_span_make_the_same_sweep() {
    let mut lab = Lab::new();
    let class = lab.class(64);
    let live = lab.alloc_many(class, 3000).split_off(2500);
    lab.open_cycle();
    live.iter().for_each(|object| lab.mark(*object));
    lab.flip();
    let (mut steps, mut freed) = (0, 0);
    loop {
        let progress = lab.sweep_step(1);
        steps += progress.spans_swept;
        freed += progress.bytes_freed;
        if progress.remaining == 0 {
            break;
        }
        assert_eq!(progress.spans_swept, 1);
    }
    assert_eq!((steps, freed), (6, 2500 * 64));
    assert_eq!(lab.sweep_step(9).spans_swept, 0);
    assert_eq!(lab.objects(), live);
}
