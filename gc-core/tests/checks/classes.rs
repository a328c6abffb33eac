//! Every class of faults that is a call: it breaks something, nothing but its reporters tells of it,
//! from the level on that promises it one of them does, and the heap serves on.

use gc_core::fault::{Aim, CLASSES, Class, How, Moment, Site, Stake, State, Stroke};
use gc_core::raw::Stack;
use gc_core::{Check, CheckLevel, Edge, Heap, Mutator, Phase, Root, StepProgress, Trace};

use crate::support::{Witness, heap_at, node, step_to};

/// Longer than a granule, so that there is a middle to point to.
#[derive(Trace)]
pub(crate) struct Pair<'gc> {
    pub(crate) id: u64,
    nexts: [Edge<'gc, Pair<'gc>>; 3],
}

/// A heap with something to aim at.
pub(crate) struct Range {
    pub(crate) heap: Heap,
    pub(crate) mutator: Mutator,
    pub(crate) witness: Witness,
    pub(crate) live: Vec<(Root<Pair<'static>>, usize)>,
    free: usize,
    shaped: usize,
    _stack: Stack,
}

impl Range {
    pub(crate) fn new(level: CheckLevel) -> Range {
        let (heap, mut mutator) = heap_at(level);
        let witness = Witness::new(&mut mutator);
        let shape = heap.register_shape("record", 4, &[0, 1]).unwrap();
        let stack = mutator.stack(4);
        stack.push_frame(1).unwrap();
        let (live, free, shaped) = mutator.enter(|scope| {
            let live = || {
                let object = scope.alloc(Pair {
                    id: 1,
                    nexts: Default::default(),
                });
                (scope.root(object), object.address())
            };
            let first = live();
            let free = scope.alloc(node(2)).address();
            (vec![first, live()], free, scope.alloc_shape(shape).unwrap())
        });
        // SAFETY: the object was just allocated in this heap, whose mutator owns the stack.
        unsafe { stack.init(0, Some(shaped)) }.unwrap();
        heap.collect().unwrap();
        // Books of a lease are open: what is aimed at stands in spans that nobody leases.
        mutator.parked(|| {});
        let shaped = shaped.address();
        Range {
            heap,
            mutator,
            witness,
            live,
            free,
            shaped,
            _stack: stack,
        }
    }

    pub(crate) fn address(&self, aim: Aim) -> usize {
        match aim {
            Aim::Nothing => 0,
            Aim::Live | Aim::Rooted => self.live[0].1,
            Aim::Shaped => self.shaped,
            Aim::Free => self.free,
        }
    }

    pub(crate) fn wait_for(&self, moment: Moment) {
        let phase = match moment {
            Moment::Idle | Moment::Any => return,
            Moment::Marking => Phase::Mark,
            Moment::Decided => Phase::Clear,
            Moment::Sweeping => Phase::Sweep,
        };
        self.heap.request_collect();
        step_to(&self.heap, phase);
    }

    /// Ends the cycle and runs two more, with every span given back and free slots used again.
    pub(crate) fn settle(&mut self) {
        while self.heap.step(100).unwrap().progress != StepProgress::Idle {}
        for _ in 0..2 {
            self.mutator.parked(|| {});
            self.heap.collect().unwrap();
            self.mutator.enter(|scope| {
                for id in 0..300 {
                    scope.alloc(node(id));
                }
            });
        }
        self.mutator.parked(|| {});
    }
}

pub(crate) fn told(heap: &Heap) -> Vec<Check> {
    let all = Check::ALL.iter().copied();
    all.filter(|check| heap.health().count(*check) > 0)
        .collect()
}

fn try_out(class: &Class, stroke: &Stroke, level: CheckLevel) {
    let context = format!("{class:?} by {} at {level}", stroke.name);
    let mut range = Range::new(level);
    let at = range.address(class.aim);
    range.wait_for(class.moment);
    let struck = stroke.strike(&range.heap, &mut range.mutator, at, 0);
    assert_eq!(struck.state, State::Done, "{context}");
    if class.aim == Aim::Rooted {
        range.live.remove(0);
    }
    range.settle();
    let _reported = range.heap.verify().unwrap();
    let told = told(&range.heap);
    let is_reporter = |check: &Check| class.reporters.contains(check);
    assert!(told.iter().all(is_reporter), "{context}: {told:?}");
    if class.found_from.is_some_and(|from| from <= level) {
        assert!(!told.is_empty(), "{context}: nobody tells");
    }
    drop(struck);
    if class.stake == Stake::Target {
        range.live.remove(0);
    }
    range.settle();
    if matches!(class.stake, Stake::Nothing | Stake::Target) {
        range.mutator.enter(|scope| {
            for (root, _) in &range.live {
                assert_eq!(scope.get(root).unwrap().id, 1, "{context}");
            }
        });
    }
    let _rebuilt = range.heap.ledger().unwrap();
    range.witness.check(&range.heap, &mut range.mutator);
    range.settle();
    let _same = range.heap.ledger().unwrap();
    assert_eq!(
        self::told(&range.heap),
        told,
        "{context}: nothing else follows"
    );
}

#[test]
fn every_stroke_is_told_by_its_reporters_alone_and_contained() {
    let mut strokes = 0;
    for class in CLASSES {
        for stroke in class.strokes {
            if let How::Call(_) = stroke.how {
                strokes += 1;
                for &level in CheckLevel::ALL {
                    let is_open = class.stake == Stake::WithoutSecondOpinion;
                    if !is_open || level == CheckLevel::Paranoid {
                        try_out(class, stroke, level);
                    }
                }
            }
        }
    }
    assert!(strokes > 20, "{strokes}");
}

#[test]
fn names_are_their_own_and_every_site_has_a_class() {
    for (at, class) in CLASSES.iter().enumerate() {
        assert!(core::ptr::eq(Class::from_name(class.name).unwrap(), class));
        assert!(at == 0 || CLASSES[at - 1].id <= class.id, "{class:?}");
        assert!(!class.strokes.is_empty() && class.title.ends_with('.'));
    }
    for &site in Site::ALL {
        let strokes = CLASSES.iter().flat_map(|class| class.strokes);
        let mut sites =
            strokes.filter(|stroke| matches!(stroke.how, How::Site(at, _) if at == site));
        assert!(sites.next().is_some(), "{site} is in no class");
    }
}
