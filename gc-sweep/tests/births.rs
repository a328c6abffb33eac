//! Young flips: what was born since the last one and is not marked dies, spans without births are passed over, and
//! leases, destructors and quarantine are as in full ones.

mod support;

use std::collections::BTreeMap;

use gc_sweep::{Colour, CycleKind, SpanState, StateByte};
use support::{Class, Lab};

use CycleKind::{Full, Young};

/// Slots of 64 bytes in a span.
const SLOTS: usize = 128;

/// A colour that no object of a swept space has, and none will have for a few cycles.
fn strange_colour(lab: &Lab) -> Colour {
    *lab.unused_colours().last().unwrap()
}

#[test]
fn newborn_dead_are_freed_where_the_old_live_on() {
    let mut lab = Lab::new();
    let class = lab.class(64);
    let old = lab.alloc_many(class, 40);
    lab.collect_generation(Full, &old);
    for round in 0..20 {
        let born = lab.alloc_many(class, 60);
        lab.retire(class);
        let freed = lab
            .collect_generation(Young, &born[..round % 3])
            .bytes_freed;
        let died = born.len() - round % 3;
        assert_eq!(freed, died * 64);
        assert!(old.iter().all(|object| lab.is_object(*object)));
        assert!(
            born[..round % 3]
                .iter()
                .all(|object| lab.is_object(*object))
        );
        assert_eq!(
            lab.objects().len(),
            40 + (0..=round).map(|at| at % 3).sum::<usize>()
        );
        lab.assert_balanced();
    }
    lab.collect_generation(Full, &old[..1]);
    assert_eq!(lab.objects(), old[..1]);
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn spans_without_births_are_passed_over_by_young_sweeps_alone() {
    let mut lab = Lab::new();
    let class = lab.class(64);
    let old = lab.alloc_many(class, SLOTS);
    lab.retire(class);
    lab.collect_generation(Full, &old);
    // The second sweep may still find what was born before the first and after its snapshot.
    lab.collect_generation(Young, &[]);
    let white = StateByte::object(strange_colour(&lab));
    assert!(lab.space.fault().set_state_byte(old[7], white));
    for _ in 0..2 {
        let progress = lab.collect_generation(Young, &[]);
        assert_eq!((progress.spans_swept, progress.bytes_freed), (1, 0));
        assert_eq!(lab.objects(), old, "nobody looks at it");
        lab.assert_balanced();
    }
    assert_eq!(lab.collect_generation(Full, &old[8..]).bytes_freed, 8 * 64);
    assert_eq!(lab.objects(), old[8..]);
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn a_lease_makes_a_span_one_with_births_for_two_sweeps() {
    for sweeps in 0..3 {
        let mut lab = Lab::new();
        let class = lab.class(64);
        let old = lab.alloc_many(class, 40);
        lab.retire(class);
        lab.collect_generation(Full, &old);
        lab.collect_generation(Young, &[]);
        let born = lab.alloc(class);
        lab.retire(class);
        for _ in 0..sweeps {
            lab.collect_generation(Young, &[born]);
        }
        let white = StateByte::object(strange_colour(&lab));
        assert!(lab.space.fault().set_state_byte(born, white));
        lab.collect_generation(Young, &[]);
        assert_eq!(lab.is_object(born), sweeps == 2);
        lab.assert_silent();
    }
}

#[test]
fn what_is_born_while_a_cycle_marks_or_sweeps_is_newborn_in_the_next() {
    for kind in [Full, Young] {
        let mut lab = Lab::new();
        let class = lab.class(64);
        let old = lab.alloc_many(class, 10);
        lab.collect_generation(Full, &old);
        lab.open_generation(kind);
        old.iter().for_each(|object| lab.mark(*object));
        let while_marking = lab.alloc_many(class, 10);
        lab.retire(class);
        lab.flip_as(kind);
        let while_sweeping = lab.alloc_many(class, 10);
        lab.retire(class);
        lab.sweep();
        let born = [while_marking, while_sweeping].concat();
        assert!(
            born.iter()
                .all(|object| lab.state(*object).has_colour(lab.kept().born()))
        );
        lab.collect_generation(Young, &born[5..15]);
        assert_eq!(lab.objects(), [&old[..], &born[5..15]].concat());
        lab.assert_balanced();
        lab.assert_silent();
    }
}

#[test]
fn a_lease_goes_on_across_young_flips() {
    let mut lab = Lab::new();
    let class = lab.class(64);
    let mut alive = lab.alloc_many(class, 10);
    lab.collect_generation(Full, &alive.clone());
    for _ in 0..5 {
        let born = lab.alloc_many(class, 10);
        assert!(lab.is_leased(class));
        lab.open_generation(Young);
        lab.mark(born[3]);
        let black = lab.alloc_many(class, 5);
        lab.flip_as(Young);
        let late = lab.alloc_many(class, 5);
        assert_eq!(lab.sweep().bytes_freed, 9 * 64);
        assert_eq!(
            lab.space.span_of(born[0]).unwrap().state(),
            Some(SpanState::Leased)
        );
        alive.push(born[3]);
        alive.extend(black.iter().chain(&late));
        assert_eq!(lab.objects(), alive);
        lab.assert_balanced();
        // Born in the cycle, so that the next one decides: half of them live.
        let found: Vec<_> = [&black[..3], &late[..2]].concat();
        assert_eq!(lab.collect_generation(Young, &found).bytes_freed, 5 * 64);
        alive.retain(|object| {
            found.contains(object) || !(black.contains(object) || late.contains(object))
        });
        assert_eq!(lab.objects(), alive);
        lab.assert_balanced();
    }
    lab.retire(class);
    let count = lab.space.span_of(alive[0]).unwrap().alloc_count();
    assert_eq!(count as usize, alive.len());
    lab.collect_generation(Young, &[]);
    assert_eq!(lab.objects(), alive);
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn destructors_run_once_for_each_newborn_dead_and_for_no_other() {
    let mut lab = Lab::new();
    let class = lab.class_with_drop(64);
    let old = lab.alloc_many(class, 2 * SLOTS);
    lab.retire(class);
    lab.collect_generation(Full, &old);
    let mut dead = Vec::new();
    for _ in 0..5 {
        let born = lab.alloc_many(class, 30);
        lab.retire(class);
        lab.collect_generation(Young, &born[..1]);
        dead.extend_from_slice(&born[1..]);
        assert_eq!(lab.reaper.buried, dead);
        lab.assert_balanced();
    }
    assert!(old.iter().all(|object| lab.is_object(*object)));
    lab.assert_silent();
}

#[test]
fn large_objects_die_young_or_are_passed_over() {
    let mut lab = Lab::new();
    let class = lab.large_class();
    let old = lab.alloc_large(class, 100_000).unwrap();
    lab.collect_generation(Full, &[old]);
    for is_kept in [false, true, false] {
        let born = lab.alloc_large(class, 100_000).unwrap();
        let found = if is_kept { vec![born] } else { vec![] };
        lab.collect_generation(Young, &found);
        assert!(lab.is_object(old));
        assert_eq!(lab.is_object(born), is_kept);
        lab.collect_generation(Young, &[]);
        assert_eq!(lab.is_object(born), is_kept);
        lab.assert_balanced();
    }
    lab.collect_generation(Full, &[old]);
    assert_eq!(lab.objects(), [old]);
    lab.assert_silent();
}

#[test]
fn a_quarantined_span_keeps_the_colour_of_newborn_objects() {
    let mut lab = Lab::new();
    let class = lab.class(64);
    let old = lab.alloc_many(class, 10);
    lab.collect_generation(Full, &old);
    let white = lab.alloc_many(class, 10);
    lab.open_generation(Young);
    let born = lab.alloc_many(class, 10);
    lab.retire(class);
    lab.space.quarantine_span_of(old[0]);
    lab.flip_as(Young);
    lab.sweep();
    let kept = lab.kept();
    let all_are = |objects: &[usize], colour| {
        let mut states = objects.iter().map(|object| lab.state(*object));
        states.all(|state| state.has_colour(colour))
    };
    assert!(all_are(&old, kept.marked()) && all_are(&white, kept.marked()));
    assert!(all_are(&born, kept.born()));
    for kind in [Young, Young, Full, Young] {
        lab.collect_generation(kind, &[]);
        let kept = lab.kept();
        for object in old.iter().chain(&white).chain(&born) {
            assert!(
                lab.state(*object).has_colour(kept.marked()),
                "after a {} cycle",
                kind.id()
            );
        }
        lab.assert_balanced();
    }
}

/// What the model knows of an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Newborn,
    Old,
}

/// A lab, what must be in it, and the source of what happens.
struct Play {
    lab: Lab,
    classes: Vec<Class>,
    model: BTreeMap<usize, Age>,
    seed: u64,
}

impl Play {
    fn draw(&mut self, below: usize) -> usize {
        self.seed = self
            .seed
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        (self.seed >> 33) as usize % below
    }

    /// Objects of some class are born; sometimes the lease ends.
    fn bear(&mut self, most: usize) -> Vec<usize> {
        let at = self.draw(self.classes.len());
        let class = self.classes[at];
        let count = self.draw(most) + 1;
        let born = self.lab.alloc_many(class, count);
        if self.draw(3) == 0 {
            self.lab.retire(class);
        }
        born
    }

    fn know(&mut self, born: Vec<usize>) {
        self.model
            .extend(born.into_iter().map(|object| (object, Age::Newborn)));
    }

    /// Some of those that the cycle looks at die, the others are marked.
    fn mark(&mut self, kind: CycleKind) {
        let share = 2 + self.draw(3);
        let model = std::mem::take(&mut self.model);
        for (object, age) in model {
            let is_looked_at = kind == Full || age == Age::Newborn;
            if !is_looked_at || self.draw(share) == 0 {
                self.lab.mark(object);
                self.model.insert(object, Age::Old);
            }
        }
    }

    fn cycle(&mut self, kind: CycleKind) {
        for _ in 0..3 {
            let born = self.bear(60);
            self.know(born);
        }
        self.lab.open_generation(kind);
        let black = self.bear(30);
        self.mark(kind);
        self.lab.flip_as(kind);
        let late = self.bear(30);
        let spans = self.draw(4);
        self.lab.sweep_step(spans);
        let later = self.bear(30);
        self.lab.sweep();
        self.know([black, late, later].concat());
    }
}

#[test]
fn random_cycles_agree_with_a_model() {
    let mut lab = Lab::new();
    let classes = [16, 64, 1024].map(|bytes| lab.class(bytes)).to_vec();
    let mut play = Play {
        classes: [classes, vec![lab.class_with_drop(64)]].concat(),
        lab,
        model: BTreeMap::new(),
        seed: 0x5eed,
    };
    for cycle in 0..400 {
        let kind = if cycle == 0 || play.draw(6) == 0 {
            Full
        } else {
            Young
        };
        play.cycle(kind);
        let expected: Vec<_> = play.model.keys().copied().collect();
        assert!(play.lab.objects() == expected, "cycle {cycle}");
        play.lab.assert_balanced();
    }
    assert!(!play.lab.reaper.buried.is_empty());
    play.lab.assert_silent();
}
