//! Several mutators and a sweeper at once. What they do is not ordered; what must hold at the end is.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use gc_hooks::{Hooks, Policy};
use gc_sweep::{
    ClassId, ClassSpec, Colour, DropGlue, Run, Scan, SizeClass, SlotSize, Space, SweepMode,
};
use support::{CONFIG, Undertaker};

const MUTATORS: usize = 3;

fn register(space: &Space, bytes: usize) -> ClassId {
    space.register(ClassSpec {
        type_index: 0,
        type_name: "Shared",
        slot: SlotSize::Class(SizeClass::for_bytes(bytes).unwrap()),
        scan: Scan::PointerFree,
        drop: DropGlue::None,
    })
}

fn alloc(space: &Space, class: ClassId, run: &mut Run, colour: Colour) -> usize {
    loop {
        match run.take() {
            Some(slot) => {
                let address = slot.address();
                space.states().publish(slot, colour);
                return address;
            }
            None => space.refill(class, run).unwrap(),
        }
    }
}

fn sweep_all(space: &Space) {
    sweep_by(space, 8);
}

fn sweep_by(space: &Space, spans: usize) {
    while space
        .sweep_step(spans, SweepMode::Any, &mut Undertaker::default())
        .remaining
        > 0
    {}
}

/// Every mutator allocates on a thread of its own while the cycle before is still being swept.
fn allocate_while_sweeping(
    space: &Space,
    classes: [ClassId; 2],
    runs: &mut [[Run; 2]],
    colour: Colour,
) -> Vec<usize> {
    std::thread::scope(|scope| {
        let mutators: Vec<_> = runs
            .iter_mut()
            .map(|runs| {
                scope.spawn(move || -> Vec<usize> {
                    (0..4000_usize)
                        .map(|at| alloc(space, classes[at % 2], &mut runs[at % 2], colour))
                        .collect()
                })
            })
            .collect();
        sweep_by(space, 1);
        let mutators = mutators.into_iter();
        mutators
            .flat_map(|mutator| mutator.join().unwrap())
            .collect()
    })
}

#[test]
fn mutators_share_classes_with_a_sweep_going_on() {
    let hooks = Arc::new(Hooks::new(Policy::MARK_UNHEALTHY));
    let health = hooks.health();
    let space = Space::new(CONFIG, hooks).unwrap();
    let classes = [register(&space, 64), register(&space, 400)];
    let mut colour = Colour::FIRST;
    let mut runs: Vec<[Run; 2]> = (0..MUTATORS).map(|_| Default::default()).collect();
    for cycle in 1..=8 {
        let before = colour;
        colour = colour.next();
        let born = allocate_while_sweeping(&space, classes, &mut runs, before);
        sweep_all(&space);
        let distinct: BTreeSet<usize> = born.iter().copied().collect();
        assert_eq!(distinct.len(), born.len(), "no slot was handed out twice");
        assert!(
            born.iter()
                .all(|object| space.states().load(*object).unwrap().has_colour(before))
        );
        assert!(space.ledger().is_balanced(), "{:?}", space.ledger());
        for object in born.iter().step_by(3) {
            let state = space.states().load(*object).unwrap();
            assert!(space.states().mark(*object, state, colour));
        }
        if cycle % 3 == 0 {
            runs.iter_mut().flatten().for_each(|run| space.retire(run));
        }
        space.flip(cycle, colour);
    }
    sweep_all(&space);
    runs.iter_mut().flatten().for_each(|run| space.retire(run));
    let ledger = space.ledger();
    assert!(ledger.is_balanced(), "{ledger:?}");
    assert_eq!(ledger.objects, 4000);
    assert_eq!(health.total(), 0, "{:?}", health.recent());
}
