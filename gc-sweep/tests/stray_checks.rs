//! A span that no list leads to is found when everybody is stopped, told, and put back; the sweep that waited for it ends.

mod support;

use gc_hooks::Check;
use gc_sweep::SpaceConfig;
use support::{CONFIG, Class, Lab};

/// Eight spans of one page, each with 100 objects of 128, swept and in the list of those with room.
struct Scene {
    lab: Lab,
    class: Class,
    objects: Vec<usize>,
    /// An object in each span, in the order of their list.
    spans: Vec<usize>,
}

fn scene() -> Scene {
    let mut lab = Lab::with(SpaceConfig {
        span_pages_max: 1,
        ..CONFIG
    });
    let class = lab.class(64);
    let all = lab.alloc_many(class, 8 * 128);
    lab.retire_all();
    let is_kept = |(at, _): &(usize, usize)| at % 128 < 100;
    let kept = all.into_iter().enumerate().filter(is_kept);
    let objects: Vec<usize> = kept.map(|(_, object)| object).collect();
    lab.collect(&objects);
    lab.assert_silent();
    let spans = objects.iter().copied().step_by(100).collect();
    Scene {
        lab,
        class,
        objects,
        spans,
    }
}

impl Scene {
    /// Begins a cycle in which every second object is alive, and flips.
    fn flip(&mut self) {
        self.objects = self.objects.iter().copied().step_by(2).collect();
        self.lab.open_cycle();
        self.objects
            .iter()
            .for_each(|object| self.lab.mark(*object));
        self.lab.flip();
    }

    fn first_page(&self, at: usize) -> u32 {
        self.lab.first_page(self.spans[at])
    }

    /// Everything that is alive is there, everything else serves, and nothing twice; nothing more is told.
    #[track_caller]
    fn assert_whole(&mut self) {
        let told = self.lab.health.total();
        assert!(self.lab.objects() == self.objects, "what lives");
        let free = 8 * 128 - self.objects.len();
        let mut born = self.lab.alloc_many(self.class, free);
        born.sort_unstable();
        born.dedup();
        assert_eq!(born.len(), free);
        assert_eq!(self.lab.space.usage().spans, 8, "no span is lost");
        self.lab.retire_all();
        self.lab.collect(&[]);
        assert_eq!(self.lab.space.usage().spans, 0);
        self.lab.assert_balanced();
        assert_eq!(self.lab.health.total(), told);
    }
}

#[test]
fn a_sweep_that_waits_for_a_span_in_no_list_finds_it_and_ends() {
    for at in [0, 3, 7] {
        let mut scene = scene();
        assert!(scene.lab.space.fault().unlist(scene.spans[at]));
        scene.flip();
        let progress = scene.lab.sweep_step(usize::MAX);
        assert_eq!((progress.spans_swept, progress.remaining), (7, 1));
        assert!(scene.lab.space.is_sweep_stuck() && !scene.lab.space.is_swept());
        scene.lab.assert_silent();
        assert!(scene.lab.space.mend_lists());
        let violation = scene.lab.assert_only(Check::SpanList, 1);
        assert_eq!(violation.reason, "span that no list leads to");
        assert_eq!(violation.span, Some(scene.first_page(at)));
        assert_eq!(violation.type_name, Some("Specimen"));
        assert!(!scene.lab.space.is_sweep_stuck());
        assert_eq!(scene.lab.sweep().spans_swept, 1);
        scene.assert_whole();
    }
}

#[test]
fn a_recount_finds_a_span_in_no_list_at_any_time() {
    for is_due in [false, true] {
        let mut scene = scene();
        if is_due {
            scene.flip();
        }
        scene.lab.space.fault().unlist(scene.spans[4]);
        scene.lab.assert_balanced();
        let violation = scene.lab.assert_only(Check::SpanList, 1);
        assert_eq!(violation.reason, "span that no list leads to");
        assert_eq!(violation.span, Some(scene.first_page(4)));
        scene.lab.sweep();
        scene.assert_whole();
    }
}

#[test]
fn a_leased_and_a_quarantined_span_go_back_to_their_own_lists() {
    let mut scene = scene();
    let born = scene.lab.alloc(scene.class);
    scene.objects.push(born);
    scene.objects.sort_unstable();
    let withdrawn = scene.spans[5];
    scene.lab.space.quarantine_span_of(withdrawn);
    for lost in [born, withdrawn] {
        assert!(scene.lab.space.fault().unlist(lost));
    }
    scene.lab.open_cycle();
    let objects = scene.objects.iter();
    objects.for_each(|object| scene.lab.mark(*object));
    scene.lab.flip();
    assert_eq!(scene.lab.sweep_step(usize::MAX).remaining, 2);
    assert!(scene.lab.space.mend_lists());
    scene.lab.assert_only(Check::SpanList, 1);
    scene.lab.sweep();
    scene.lab.retire_all();
    scene.lab.assert_balanced();
    assert_eq!(scene.lab.space.usage().spans_quarantined, 1);
    scene.lab.collect(&scene.objects);
    assert_eq!(scene.lab.objects(), scene.objects);
    scene.lab.assert_balanced();
    scene.lab.assert_only(Check::SpanList, 1);
}

#[test]
fn a_span_that_its_neighbours_pass_by_is_missing_at_the_end_of_the_list() {
    for is_due in [false, true] {
        let mut scene = scene();
        if is_due {
            scene.flip();
        }
        assert!(scene.lab.space.fault().unlink(scene.spans[3]));
        if !is_due {
            scene.flip();
        }
        assert_eq!(scene.lab.sweep().spans_swept, 8, "nothing is waited for");
        let violation = scene.lab.assert_only(Check::SpanList, 1);
        assert_eq!(violation.reason, "list that ends before its spans do");
        scene.assert_whole();
    }
}

#[test]
fn spans_that_are_counted_as_due_and_are_not_there_are_not_waited_for() {
    let mut scene = scene();
    scene.flip();
    scene.lab.space.fault().add_due(3);
    assert_eq!(scene.lab.sweep_step(usize::MAX).remaining, 3);
    assert!(scene.lab.space.is_sweep_stuck());
    assert!(scene.lab.space.mend_lists());
    let violation = scene.lab.assert_only(Check::SpanList, 1);
    assert_eq!(violation.reason, "number of spans to be swept");
    let numbers: Vec<_> = violation.numbers.iter().collect();
    let told = |at: usize| (numbers[at].label, numbers[at].value);
    assert_eq!((told(0), told(1)), (("counted", 3), ("due", 0)));
    assert!(scene.lab.space.is_swept());
    scene.assert_whole();
}

#[test]
fn a_leased_span_that_says_it_stands_elsewhere_is_found_when_its_lease_ends() {
    for place in [0, 1, 5, 77] {
        let mut scene = scene();
        let born = scene.lab.alloc(scene.class);
        scene.objects.push(born);
        scene.objects.sort_unstable();
        assert!(scene.lab.space.fault().set_place(born, place));
        scene.lab.retire_all();
        let violation = scene.lab.assert_only(Check::SpanList, 1);
        assert_eq!(violation.reason, "span that says it stands elsewhere");
        scene.lab.assert_balanced();
        scene.assert_whole();
    }
}

#[test]
fn nothing_is_told_of_lists_that_are_whole() {
    let mut scene = scene();
    scene.lab.alloc(scene.class);
    assert!(!scene.lab.space.mend_lists() && !scene.lab.space.is_sweep_stuck());
    scene.lab.retire_all();
    scene.flip();
    assert!(!scene.lab.space.mend_lists() && !scene.lab.space.is_sweep_stuck());
    scene.lab.sweep_step(3);
    assert!(!scene.lab.space.mend_lists() && !scene.lab.space.is_sweep_stuck());
    scene.lab.sweep();
    scene.lab.assert_silent();
}
