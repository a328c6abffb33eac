//! A damaged link, or a span in the wrong list, is found where the list leads to it; the lists are made anew, nothing is
//! lost, and a chain without an end holds nobody up.

mod support;

use gc_hooks::Check;
use gc_sweep::SpaceConfig;
use support::{CONFIG, Class, Lab};

/// Eight spans of one page in one class, each with 100 objects of 128, swept, and a span of another class.
struct Scene {
    lab: Lab,
    class: Class,
    objects: Vec<usize>,
    /// An object in each of the eight spans, in the order of their list.
    spans: Vec<usize>,
    stranger: usize,
}

fn scene() -> Scene {
    let mut lab = Lab::with(SpaceConfig {
        span_pages_max: 1,
        ..CONFIG
    });
    let (class, other) = (lab.class(64), lab.class(256));
    let all = lab.alloc_many(class, 8 * 128);
    let stranger = lab.alloc(other);
    lab.retire_all();
    let is_kept = |(at, _): &(usize, usize)| at % 128 < 100;
    let objects: Vec<usize> = all
        .into_iter()
        .enumerate()
        .filter(is_kept)
        .map(|(_, object)| object)
        .collect();
    lab.collect(&[&objects[..], &[stranger]].concat());
    lab.assert_silent();
    let spans = objects.iter().copied().step_by(100).collect();
    Scene {
        lab,
        class,
        objects,
        spans,
        stranger,
    }
}

type Break = fn(&Scene);

fn set_next(scene: &Scene, at: usize, page: Option<u32>) {
    assert!(
        scene
            .lab
            .space
            .fault()
            .set_link(scene.spans[at], true, page)
    );
}

fn set_previous(scene: &Scene, at: usize, page: Option<u32>) {
    assert!(
        scene
            .lab
            .space
            .fault()
            .set_link(scene.spans[at], false, page)
    );
}

fn page(scene: &Scene, at: usize) -> u32 {
    scene.lab.first_page(scene.spans[at])
}

/// Every way to break a link, and what is said of it.
const BREAKS: [(&str, Break); 12] = [
    ("next out of the heap", |scene| {
        set_next(scene, 2, Some(1 << 30))
    }),
    ("next to free pages", |scene| set_next(scene, 2, Some(500))),
    ("next to the stranger", |scene| {
        set_next(scene, 2, Some(scene.lab.first_page(scene.stranger)))
    }),
    ("next to itself", |scene| {
        set_next(scene, 2, Some(page(scene, 2)))
    }),
    ("next back to the first", |scene| {
        set_next(scene, 5, Some(page(scene, 0)))
    }),
    ("next back by two", |scene| {
        set_next(scene, 5, Some(page(scene, 3)))
    }),
    ("next over three", |scene| {
        set_next(scene, 1, Some(page(scene, 5)))
    }),
    ("next cut off", |scene| set_next(scene, 3, None)),
    ("next of the first cut off", |scene| {
        set_next(scene, 0, None)
    }),
    ("next of the last", |scene| {
        set_next(scene, 7, Some(page(scene, 0)))
    }),
    ("previous out of the heap", |scene| {
        set_previous(scene, 4, Some(1 << 30))
    }),
    ("previous cut off", |scene| set_previous(scene, 4, None)),
];

#[track_caller]
fn assert_told(scene: &Scene, name: &str) {
    let health = &scene.lab.health;
    let told = health.count(Check::SpanList);
    assert!((1..=2).contains(&told), "{name}: {told}");
    assert_eq!(health.total(), told, "{name}: {:?}", health.recent());
    let violation = health.first().unwrap();
    assert!(!violation.reason.is_empty() && violation.type_name == Some("Specimen"));
    scene.lab.assert_balanced();
}

#[test]
fn a_broken_link_costs_the_sweep_nothing() {
    for (name, break_link) in BREAKS {
        let mut scene = scene();
        let live: Vec<usize> = scene
            .objects
            .iter()
            .copied()
            .step_by(2)
            .chain([scene.stranger])
            .collect();
        scene.lab.open_cycle();
        live.iter().for_each(|object| scene.lab.mark(*object));
        scene.lab.flip();
        break_link(&scene);
        let progress = scene.lab.sweep();
        assert_eq!(
            (progress.spans_swept, progress.bytes_freed),
            (9, 400 * 64),
            "{name}"
        );
        assert_told(&scene, name);
        let mut objects = live;
        objects.sort_unstable();
        assert_eq!(scene.lab.objects(), objects, "{name}");
        // Everything that is free serves, and nothing twice.
        let mut born = scene.lab.alloc_many(scene.class, 8 * 128 - 400);
        born.sort_unstable();
        born.dedup();
        assert_eq!(born.len(), 8 * 128 - 400);
        assert_eq!(scene.lab.space.usage().spans, 9, "{name}: no span is lost");
        scene.lab.retire_all();
        scene.lab.collect(&[]);
        assert_eq!(scene.lab.space.usage().spans, 0, "{name}");
        assert_told(&scene, name);
    }
}

#[test]
fn a_broken_link_costs_allocation_nothing() {
    for unswept in [false, true] {
        for (name, break_link) in BREAKS {
            let mut scene = scene();
            if unswept {
                scene.lab.open_cycle();
                scene
                    .objects
                    .iter()
                    .for_each(|object| scene.lab.mark(*object));
                scene.lab.mark(scene.stranger);
                scene.lab.flip();
            }
            break_link(&scene);
            let mut born = scene.lab.alloc_many(scene.class, 8 * 28);
            born.extend(&scene.objects);
            born.sort_unstable();
            born.dedup();
            assert_eq!(born.len(), 8 * 128, "{name}");
            assert_eq!(scene.lab.space.usage().spans, 9, "{name}: no span is lost");
            scene.lab.retire_all();
            assert_told(&scene, name);
            scene.lab.sweep();
            scene.lab.collect(&scene.objects);
            assert_eq!(scene.lab.objects(), scene.objects, "{name}");
            assert_told(&scene, name);
        }
    }
}

#[test]
fn a_span_taken_out_of_the_middle_finds_its_broken_neighbours() {
    for (name, break_link) in BREAKS {
        let mut scene = scene();
        break_link(&scene);
        for at in [4, 3, 5, 2, 6, 0, 7, 1] {
            scene.lab.space.quarantine_span_of(scene.spans[at]);
            scene.lab.assert_balanced();
        }
        assert_told(&scene, name);
        assert_eq!(scene.lab.space.usage().spans_quarantined, 8, "{name}");
        scene.lab.collect(&[]);
        assert_eq!(scene.lab.objects(), scene.objects, "{name}");
        assert_told(&scene, name);
    }
}

#[test]
fn a_span_that_says_it_stands_elsewhere_is_told_and_put_right() {
    for place in [0, 2, 4, 5, 77] {
        for is_due in [false, true] {
            let mut scene = scene();
            if is_due {
                scene.lab.open_cycle();
                scene
                    .objects
                    .iter()
                    .for_each(|object| scene.lab.mark(*object));
                scene.lab.flip();
                // A due span of the swept lists says so by its epoch.
                if place == 2 {
                    continue;
                }
            }
            scene.lab.space.fault().set_place(scene.spans[0], place);
            let mut born = scene.lab.alloc_many(scene.class, 8 * 28);
            born.extend(&scene.objects);
            born.sort_unstable();
            born.dedup();
            assert_eq!(born.len(), 8 * 128, "{place}");
            let violation = scene.lab.assert_only(Check::SpanList, 1);
            assert_eq!(violation.reason, "span that says it stands elsewhere");
            scene.lab.retire_all();
            scene.lab.sweep();
            scene.lab.collect(&scene.objects);
            assert_eq!(scene.lab.objects(), scene.objects);
            scene.lab.assert_balanced();
            scene.lab.assert_only(Check::SpanList, 1);
        }
    }
}

#[test]
fn the_lists_of_leased_and_quarantined_spans_are_made_anew_too() {
    for at in [0, 1] {
        let mut scene = scene();
        scene.lab.space.quarantine_span_of(scene.spans[6]);
        scene.lab.space.quarantine_span_of(scene.spans[7]);
        scene.lab.alloc(scene.class);
        scene.lab.open_cycle();
        scene
            .objects
            .iter()
            .for_each(|object| scene.lab.mark(*object));
        scene.lab.flip();
        set_next(&scene, 6 * at, Some(1 << 29));
        scene.lab.sweep();
        assert_told(&scene, "leased or quarantined");
        scene.lab.retire_all();
        scene.lab.collect(&scene.objects);
        assert_eq!(scene.lab.objects(), scene.objects);
        assert_eq!(scene.lab.space.usage().spans_quarantined, 2);
        assert_told(&scene, "leased or quarantined");
    }
}
