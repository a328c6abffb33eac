//! What stands where: walks over all objects, and the answers to a doubtful address.

mod support;

use gc_sweep::{Found, PAGE_BYTES};
use support::{CONFIG, Lab};

#[test]
fn walks_go_by_address_and_by_class() {
    let mut lab = Lab::new();
    let (first, second) = (lab.class(64), lab.class(64));
    let mut objects = Vec::new();
    for _ in 0..300 {
        objects.push(lab.alloc(second));
        lab.alloc(first);
    }
    let mut seen = Vec::new();
    lab.space
        .for_each_object_of(lab.id(second), &mut |address, span, state| {
            assert!(state.is_object() && span.type_index() == 1 && span.class_index() == 1);
            seen.push(address);
        });
    objects.sort_unstable();
    assert_eq!(seen, objects);
    let all = lab.objects();
    assert!(all.is_sorted() && all.len() == 600);
}

/// A heap with something of each kind at the end of a cycle.
struct Scene {
    lab: Lab,
    /// Ten objects of 64 bytes, of which the first two live.
    objects: Vec<usize>,
    /// A live object in a span with an unused tail.
    other: usize,
    /// A large object that died.
    big: usize,
}

impl Scene {
    fn new() -> Self {
        let mut lab = Lab::new();
        let (class, tailed, large) = (lab.class(64), lab.class(448), lab.large_class());
        let objects = lab.alloc_many(class, 10);
        let other = lab.alloc(tailed);
        let big = lab.alloc_large(large, 100_000).unwrap();
        lab.retire_all();
        lab.collect(&[objects[0], objects[1], other]);
        Scene {
            lab,
            objects,
            other,
            big,
        }
    }

    /// An address in the tail of the other object's span.
    fn in_tail(&self) -> usize {
        let page = self.lab.first_page(self.other) as usize;
        self.lab.space.base() + (page + 1) * PAGE_BYTES - 16
    }
}

#[test]
fn find_tells_what_stands_at_an_address() {
    let scene = Scene::new();
    let (lab, objects) = (&scene.lab, &scene.objects);
    let base = lab.space.base();
    let find = |address| lab.space.find(address);

    let Found::Object(place) = find(objects[1]) else {
        panic!()
    };
    assert_eq!((place.span, place.slot, place.base), (0, 1, objects[1]));
    assert_eq!((place.type_index, place.slot_bytes), (0, 64));
    assert_eq!(find(objects[1]).reason(), "");
    assert!(matches!(find(objects[1] + 16), Found::Interior(at) if at == place));
    assert!(
        matches!(find(objects[2]), Found::FreeSlot { place, stale_cycles: Some(0) } if place.slot == 2)
    );
    assert!(
        matches!(find(objects[2] + 48), Found::FreeSlot { place, .. } if place.base == objects[2])
    );
    assert!(
        matches!(find(objects[9] + 64), Found::FreeSlot { place, stale_cycles: None } if place.slot == 10)
    );
    assert_eq!(find(objects[1] + 8), Found::Misaligned);
    let span = lab.first_page(scene.other);
    assert_eq!(find(scene.in_tail()), Found::UnusedTail { span });
    assert_eq!(
        find(scene.big),
        Found::UnallocatedSpan {
            freed_cycle: Some(1)
        }
    );
    assert_eq!(
        find(base + CONFIG.reserve_bytes - 8),
        Found::UnallocatedSpan { freed_cycle: None }
    );
    for outside in [0, base - 1, base + CONFIG.reserve_bytes, usize::MAX] {
        assert_eq!(find(outside), Found::Outside);
        assert!(lab.space.span_of(outside).is_none() && lab.space.offset_of(outside).is_none());
    }
}

#[test]
fn find_gives_a_reason_for_everything_that_is_no_object() {
    let mut scene = Scene::new();
    let objects = scene.objects.clone();
    let find = |address| scene.lab.space.find(address);
    assert!(scene.lab.space.quarantine_slot(objects[2]));
    assert!(matches!(find(objects[2]), Found::QuarantinedSlot(place) if place.slot == 2));

    let reasons = [
        (objects[1] + 16, "pointer into the middle of an object"),
        (objects[3], "pointer to free slot"),
        (objects[2], "pointer to quarantined slot"),
        (objects[1] + 4, "misaligned pointer"),
        (scene.in_tail(), "pointer to the unused tail of a span"),
        (scene.big, "pointer to unallocated span"),
        (0, "pointer outside the heap"),
    ];
    for (address, reason) in reasons {
        assert_eq!(find(address).reason(), reason);
    }
    for _ in 0..3 {
        scene.lab.collect(&[objects[0]]);
    }
    assert!(matches!(
        scene.lab.space.find(objects[3]),
        Found::FreeSlot {
            stale_cycles: Some(3),
            ..
        }
    ));
}
