//! Objects with drop glue: who is reaped, when, and what happens to a destructor that panics or allocates.

mod support;

use std::sync::Arc;

use gc_hooks::{Hooks, Policy};
use gc_sweep::{
    ClassId, ClassSpec, Colour, CycleKind, DeadSlot, DropGlue, Found, Kept, Reaped, Reaper, Run,
    Scan, SizeClass, SlotSize, Space, StateByte, SweepMode,
};
use support::{CONFIG, Lab};

#[test]
fn the_reaper_sees_each_dead_object_once_and_no_live_one() {
    let mut lab = Lab::new();
    let class = lab.class_with_drop(48);
    let mut born = Vec::new();
    let mut live = Vec::new();
    for round in 0..9 {
        let objects = lab.alloc_many(class, 400);
        live.extend(objects.iter().copied().step_by(3 + round));
        born.extend(objects);
        lab.collect(&live);
        live.retain(|address| address % (48 * 5) != 0);
    }
    lab.retire(class);
    lab.collect(&[]);
    assert_eq!(lab.reaper.buried.len(), born.len());
    let (mut buried, mut born) = (lab.reaper.buried.clone(), born);
    buried.sort_unstable();
    born.sort_unstable();
    assert_eq!(buried, born, "each as often as it was born");
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn objects_with_drop_glue_wait_for_a_sweep_that_may_run_it() {
    let mut lab = Lab::new();
    let (plain, dropping) = (lab.class(64), lab.class_with_drop(64));
    lab.alloc_many(plain, 500);
    lab.alloc_many(dropping, 500);
    lab.open_cycle();
    lab.flip();
    let progress = lab
        .space
        .sweep_step(usize::MAX, SweepMode::WithoutDrop, &mut lab.reaper);
    assert!(lab.reaper.buried.is_empty() && progress.remaining > 0);
    assert_eq!(progress.bytes_freed, 500 * 64);
    assert_eq!(lab.sweep().bytes_freed, 500 * 64);
    assert_eq!(lab.reaper.buried.len(), 500);
    lab.assert_balanced();
}

#[test]
fn a_panicking_destructor_pins_its_slot() {
    for is_leased in [false, true] {
        let mut lab = Lab::new();
        let class = lab.class_with_drop(64);
        let objects = lab.alloc_many(class, 20);
        if !is_leased {
            lab.retire(class);
        }
        lab.reaper.panics_at = vec![objects[4], objects[9]];
        assert_eq!(lab.collect(&[]).bytes_freed, 18 * 64);
        assert_eq!(lab.reaper.buried, objects);
        for pinned in [objects[4], objects[9]] {
            assert_eq!(lab.state(pinned), StateByte::QUARANTINED);
            assert!(
                matches!(lab.space.find(pinned), Found::QuarantinedSlot(place) if place.base == pinned)
            );
        }
        let usage = lab.space.usage();
        assert_eq!((usage.slots_quarantined, usage.bytes_quarantined), (2, 128));
        assert_eq!(usage.bytes_freed_total, 18 * 64);
        lab.assert_balanced();
        for _ in 0..3 {
            lab.retire(class);
            let again = lab.alloc_many(class, 126);
            assert!(!again.contains(&objects[4]) && !again.contains(&objects[9]));
            lab.retire(class);
            lab.assert_balanced();
            lab.collect(&[]);
        }
        assert_eq!(
            lab.reaper.buried.len(),
            20 + 3 * 126,
            "a pinned slot is not reaped again"
        );
        assert_eq!(lab.space.usage().bytes_quarantined, 128);
        assert_eq!(
            lab.space.usage().spans,
            1,
            "its span stays, everything else went back"
        );
        lab.assert_balanced();
        lab.assert_silent();
    }
}

/// Allocates in the class it reaps from, as a destructor may.
struct Heir<'a> {
    space: &'a Space,
    class: ClassId,
    run: Run,
    colour: Colour,
    born: Vec<usize>,
    buried: usize,
}

impl Reaper for Heir<'_> {
    fn reap(&mut self, dead: DeadSlot) -> Reaped {
        self.buried += 1;
        assert!(
            self.space
                .states()
                .load(dead.address())
                .unwrap()
                .is_object(),
            "not yet free"
        );
        for _ in 0..3 {
            let slot = loop {
                match self.run.take() {
                    Some(slot) => break slot,
                    None => self.space.refill(self.class, &mut self.run).unwrap(),
                }
            };
            assert_ne!(slot.address(), dead.address());
            self.born.push(slot.address());
            self.space.states().publish(slot, self.colour);
        }
        Reaped::Done
    }
}

#[test]
fn a_destructor_may_allocate_in_its_own_class() {
    let hooks = Arc::new(Hooks::new(Policy::MARK_UNHEALTHY));
    let health = hooks.health();
    let space = Space::new(CONFIG, hooks).unwrap();
    let class = space.register(ClassSpec {
        type_index: 0,
        type_name: "Heir",
        slot: SlotSize::Class(SizeClass::for_bytes(64).unwrap()),
        scan: Scan::Traced,
        drop: DropGlue::Needed,
    });
    let colour = Colour::FIRST.next();
    let mut run = Run::new();
    for _ in 0..700 {
        let slot = loop {
            match run.take() {
                Some(slot) => break slot,
                None => space.refill(class, &mut run).unwrap(),
            }
        };
        space.states().publish(slot, Colour::FIRST);
    }
    space.flip(1, Kept::alike(colour), CycleKind::Full);
    // The run that is being swept under is the one that the destructor goes on with.
    let mut heir = Heir {
        space: &space,
        class,
        run,
        colour,
        born: Vec::new(),
        buried: 0,
    };
    while space.sweep_step(1, SweepMode::Any, &mut heir).remaining > 0 {}
    assert_eq!((heir.buried, heir.born.len()), (700, 2100));
    let mut objects = Vec::new();
    space.for_each_object(&mut |address, _, _| objects.push(address));
    heir.born.sort_unstable();
    assert_eq!(objects, heir.born);
    assert!(space.ledger().is_balanced());
    space.retire(&mut heir.run);
    assert!(
        space.ledger().is_balanced(),
        "{:?}",
        space.ledger().imbalance()
    );
    assert_eq!(space.ledger().objects, 2100);
    assert_eq!(health.total(), 0);
}
