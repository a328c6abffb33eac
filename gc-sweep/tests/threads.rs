//! Mutators, sweepers and late barriers at once. What they do is not ordered; what must hold at the end is.
//!
//! Objects carry their own address, written and read as plain memory, so that a slot in two hands shows as a wrong
//! value, and under ThreadSanitizer as a race.
#![allow(unsafe_code)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use gc_hooks::sync::Mutex;
use gc_hooks::{Health, Hooks, Policy};
use gc_sweep::{
    ClassId, ClassSpec, Colour, CycleKind, DropGlue, FreshSlot, Kept, Run, Scan, SizeClass,
    SlotSize, Space, SweepMode,
};
use support::{CONFIG, Undertaker};

const MUTATORS: usize = 3;
const SWEEPERS: usize = 2;
const CYCLES: u32 = 9;
/// What each mutator allocates in a cycle, at least and at most.
const BIRTHS_MIN: usize = 600;
const BIRTHS_MAX: usize = 1200;
const SLOT_BYTES: [usize; 3] = [64, 400, 32];
const LARGE_BYTES: usize = 40_000;

/// A heap in miniature: one handshake, no pointers.
struct World {
    space: Space,
    health: Health,
    classes: [ClassId; 3],
    large: ClassId,
    /// The cycle whose colour mutators are to allocate in.
    request: AtomicU32,
    mutators: [Post; MUTATORS],
    is_over: AtomicBool,
}

/// What a mutator and the driver tell one another.
#[derive(Default)]
struct Post {
    answered: AtomicU32,
    /// The objects the mutator kept when it answered, and those it let go.
    kept: Mutex<(Vec<usize>, Vec<usize>)>,
}

fn colour_of(cycle: u32) -> Colour {
    (0..cycle).fold(Colour::FIRST, |colour, _| colour.next())
}

fn write(slot: &FreshSlot) {
    let pointer = std::ptr::with_exposed_provenance_mut::<usize>(slot.address());
    // SAFETY: a fresh slot is committed memory that nobody else uses.
    unsafe { pointer.write(slot.address()) };
}

fn is_intact(object: usize) -> bool {
    // SAFETY: the caller keeps the object alive, and nobody writes it any more.
    unsafe { std::ptr::with_exposed_provenance::<usize>(object).read() == object }
}

impl World {
    fn new() -> World {
        let hooks = Arc::new(Hooks::new(Policy::MARK_UNHEALTHY));
        let health = hooks.health();
        let space = Space::new(CONFIG, hooks).unwrap();
        let register = |slot, drop| {
            space.register(ClassSpec {
                type_index: 0,
                type_name: "Shared",
                slot,
                scan: Scan::PointerFree,
                drop,
            })
        };
        let drops = [DropGlue::None, DropGlue::None, DropGlue::Needed];
        let classes = std::array::from_fn(|at| {
            let size = SizeClass::for_bytes(SLOT_BYTES[at]).unwrap();
            register(SlotSize::Class(size), drops[at])
        });
        World {
            large: register(SlotSize::Large, DropGlue::None),
            space,
            health,
            classes,
            request: AtomicU32::new(0),
            mutators: Default::default(),
            is_over: AtomicBool::new(false),
        }
    }

    /// Allocates until the end, keeping every third object at each handshake.
    fn mutate(&self, post: &Post) -> Vec<usize> {
        let mut runs: [Run; 3] = Default::default();
        let (mut objects, mut cycle, mut births) = (Vec::new(), 0, 0);
        while !self.is_over.load(Ordering::Acquire) {
            let request = self.request.load(Ordering::Acquire);
            // Every cycle sees some births beside its sweep.
            if request != cycle && births >= BIRTHS_MIN {
                cycle = request;
                births = 0;
                assert!(objects.iter().all(|object| is_intact(*object)));
                let (mut kept, mut gone) = (Vec::new(), Vec::new());
                for (at, object) in objects.drain(..).enumerate() {
                    let list = if at % 3 == 0 { &mut kept } else { &mut gone };
                    list.push(object);
                }
                objects.clone_from(&kept);
                *post.kept.lock().unwrap() = (kept, gone);
                if request % 3 == 2 {
                    runs.iter_mut().for_each(|run| self.space.retire(run));
                }
                post.answered.store(request, Ordering::Release);
            }
            if births < BIRTHS_MAX {
                births += 1;
                objects.push(self.bear(births, &mut runs, colour_of(cycle)));
            } else {
                thread::yield_now();
            }
        }
        assert!(objects.iter().all(|object| is_intact(*object)));
        runs.iter_mut().for_each(|run| self.space.retire(run));
        objects
    }

    fn bear(&self, number: usize, runs: &mut [Run; 3], colour: Colour) -> usize {
        let at = number % 3;
        let slot = if number % 300 == 7 {
            self.space.alloc_large(self.large, LARGE_BYTES).unwrap()
        } else {
            loop {
                if let Some(slot) = runs[at].take() {
                    break slot;
                }
                if !self.space.refill_in_lease(&mut runs[at]) {
                    self.space.refill(self.classes[at], &mut runs[at]).unwrap();
                }
            }
        };
        write(&slot);
        if number % 100 == 7 {
            thread::yield_now();
        }
        let address = slot.address();
        self.space.states().publish(slot, colour);
        address
    }

    /// A cycle up to its flip. The answer is what mutators let go.
    fn mark_and_flip(&self, cycle: u32) -> Vec<usize> {
        self.request.store(cycle, Ordering::Release);
        let mut gone = Vec::new();
        for post in &self.mutators {
            while post.answered.load(Ordering::Acquire) != cycle {
                thread::yield_now();
            }
            let (kept, dropped) = std::mem::take(&mut *post.kept.lock().unwrap());
            for object in kept {
                self.mark(object, colour_of(cycle));
                assert!(is_intact(object));
            }
            gone.extend(dropped);
        }
        self.space
            .flip(cycle, Kept::alike(colour_of(cycle)), CycleKind::Full);
        gone
    }

    fn mark(&self, object: usize, colour: Colour) {
        let states = self.space.states();
        while let Some(state) = states.load(object)
            && state.is_object()
            && !state.has_colour(colour)
        {
            if states.mark(object, state, colour) {
                break;
            }
        }
    }

    fn sweep(&self, spans: usize) {
        let mut reaper = Undertaker::default();
        while self
            .space
            .sweep_step(spans, SweepMode::Any, &mut reaper)
            .remaining
            > 0
        {
            thread::yield_now();
        }
        assert!(self.space.is_swept());
    }

    #[track_caller]
    fn assert_sound(&self) {
        let ledger = self.space.ledger();
        assert!(ledger.is_balanced(), "{ledger:?}");
        assert_eq!(self.health.total(), 0, "{:?}", self.health.recent());
    }
}

/// Marks what is dead or dying, in an order of its own, as barriers do that began before the flip.
fn mark_late(world: &World, mut gone: Vec<usize>, cycle: u32) {
    let mut seed = u64::from(cycle) | 1;
    while !gone.is_empty() {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let object = gone.swap_remove((seed >> 33) as usize % gone.len());
        world.mark(object, colour_of(cycle));
    }
}

#[test]
fn mutators_sweepers_and_late_barriers_share_a_space() {
    let world = World::new();
    let survivors: Vec<usize> = thread::scope(|scope| {
        let mutators = world.mutators.each_ref();
        let mutators = mutators.map(|post| scope.spawn(|| world.mutate(post)));
        for cycle in 1..=CYCLES {
            let gone = world.mark_and_flip(cycle);
            let world = &world;
            let mut others = vec![scope.spawn(move || mark_late(world, gone, cycle))];
            for spans in 1..=SWEEPERS {
                others.push(scope.spawn(move || world.sweep(spans)));
            }
            // Joined one by one: ThreadSanitizer does not see what the end of a scope orders.
            others.into_iter().for_each(|other| other.join().unwrap());
            assert_eq!(world.health.total(), 0, "{:?}", world.health.recent());
        }
        world.is_over.store(true, Ordering::Release);
        mutators
            .into_iter()
            .flat_map(|mutator| mutator.join().unwrap())
            .collect()
    });
    world.assert_sound();
    let distinct: BTreeSet<usize> = survivors.iter().copied().collect();
    assert_eq!(
        distinct.len(),
        survivors.len(),
        "no slot is handed out twice"
    );
    // A last cycle in peace: what late marks kept alive dies, and nothing else.
    let last = CYCLES + 1;
    for object in &survivors {
        world.mark(*object, colour_of(last));
    }
    world
        .space
        .flip(last, Kept::alike(colour_of(last)), CycleKind::Full);
    world.sweep(8);
    world.assert_sound();
    assert!(survivors.iter().all(|object| is_intact(*object)));
    assert_eq!(world.space.ledger().objects as usize, survivors.len());
}
