//! What a span looks like from outside: its slots' state bytes through the life of an object.

use gc_core::raw::RawGc;
use gc_core::{Driver, Heap, Trace};

#[derive(Trace)]
#[trace(leaf)]
struct Leaf {
    number: u64,
}

#[test]
fn a_slot_is_fresh_then_an_object_then_free_with_the_stamp_of_its_death() {
    let heap = Heap::builder().driver(Driver::Manual).build().unwrap();
    let mut mutator = heap.mutator();
    let (kept, place) = mutator.enter(|scope| {
        let kept = scope.alloc(Leaf { number: 7 });
        let lost = scope.alloc(Leaf { number: 8 });
        assert_eq!(kept.number + lost.number, 15);
        let address = RawGc::address(lost.into_raw());
        (scope.root(kept), heap.locate(address).place().unwrap())
    });
    let view = heap.view_span(place.span).unwrap();
    assert_eq!(
        (view.first_page, view.slot_bytes),
        (place.span, place.slot_bytes)
    );
    assert!(view.type_name.unwrap().ends_with("Leaf"));
    assert_eq!(view.state, "leased");
    let slot = place.slot as usize;
    let objects = |states: &[u8]| states.iter().filter(|byte| **byte & 7 != 0).count();
    assert_eq!(objects(&view.states), 2);
    assert_eq!(view.states[slot + 1], 0, "never used");

    drop(mutator);
    heap.collect().unwrap();
    let view = heap.view_span(place.span).unwrap();
    assert_eq!((view.state, view.alloc_count), ("swept", 1));
    assert_eq!(objects(&view.states), 1);
    // Free, with a stamp, and the byte alone says the same.
    let byte = view.states[slot];
    assert_eq!((byte & 0x0f, byte >> 4), (0, (1 + heap.cycle() % 15) as u8));
    let offset = view.offset + (slot * view.slot_bytes) as u64;
    assert_eq!(heap.state_byte(offset), Some(byte));
    let live = view.states.iter().find(|byte| **byte & 7 != 0);
    assert_eq!(live.map(|byte| byte & 7), Some(heap.colour()));
    drop(kept);
}

#[test]
fn where_no_span_is_there_is_none_to_see() {
    let heap = Heap::builder().driver(Driver::Manual).build().unwrap();
    assert_eq!(heap.view_span(0), None);
    assert_eq!(heap.view_span(u32::MAX), None);
    assert_eq!(heap.state_byte(u64::MAX), None);
}
