//! Mutators, sweepers and a marker that comes too late, over one flip, under shuttle's schedulers.
//!
//! Threads give way at locks and wherever `gc_hooks::sync::point` stands: before each access to a state byte or to the
//! state word of a span. Run as `RUSTFLAGS="--cfg shuttle" cargo test -p gc-sweep --test shuttle`.
//!
//! A failure prints its schedule. `SHUTTLE_SCHEDULE=<schedule>` in the environment makes the test of that name
//! run this schedule alone; give the name of the test too, since a schedule fits one test.
#![cfg(shuttle)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use gc_hooks::{Health, Hooks, Policy};
use gc_sweep::{
    ClassId, ClassSpec, Colour, CycleKind, DropGlue, Kept, Run, Scan, SizeClass, SlotSize, Space,
    SpaceConfig, StateByte, SweepMode,
};
use shuttle::thread;
use support::{CONFIG, Undertaker};

const SCHEDULE_VARIABLE: &str = "SHUTTLE_SCHEDULE";
/// Slots of each class to a span of one page.
const SLOT_BYTES: usize = 2048;
const WHITE: Colour = Colour::FIRST;
const BLACK: Colour = Colour::FIRST.next();

/// Which scheduler, and how often.
enum Search {
    Random(usize),
    /// With so many preemptions at the worst places.
    Pct(usize, usize),
}

fn explore(search: Search, scenario: fn()) {
    if let Ok(schedule) = std::env::var(SCHEDULE_VARIABLE) {
        return shuttle::replay(scenario, &schedule);
    }
    match search {
        Search::Random(times) => shuttle::check_random(scenario, times),
        Search::Pct(times, depth) => shuttle::check_pct(scenario, times, depth),
    }
}

/// A space with white objects, some of them marked, in leased and in other spans.
struct Scene {
    space: Arc<Space>,
    health: Health,
    classes: [ClassId; 2],
    /// A run of each class for each of two mutators.
    runs: Vec<[Run; 2]>,
    marked: Vec<usize>,
    /// Dead objects of the class without drop glue, and with.
    dead: [Vec<usize>; 2],
}

impl Scene {
    fn new() -> Scene {
        let hooks = Arc::new(Hooks::new(Policy::MARK_UNHEALTHY));
        let health = hooks.health();
        let config = SpaceConfig {
            reserve_bytes: 4 << 20,
            span_pages_max: 1,
            ..CONFIG
        };
        let space = Arc::new(Space::new(config, hooks).unwrap());
        let classes = [DropGlue::None, DropGlue::Needed].map(|drop| {
            space.register(ClassSpec {
                type_index: 0,
                type_name: "Shuttled",
                slot: SlotSize::Class(SizeClass::for_bytes(SLOT_BYTES).unwrap()),
                scan: Scan::PointerFree,
                drop,
            })
        });
        let mut scene = Scene {
            space,
            health,
            classes,
            runs: Vec::new(),
            marked: Vec::new(),
            dead: [Vec::new(), Vec::new()],
        };
        for mutator in 0..2 {
            let mut runs: [Run; 2] = Default::default();
            for at in 0..2 {
                // A span and a half of one class, half a span of the other.
                let slots = if at == mutator { 6 } else { 2 };
                for number in 0..slots {
                    let object = alloc(&scene.space, classes[at], &mut runs[at], WHITE);
                    if number % 2 == 0 {
                        scene.dead[at].push(object);
                    } else {
                        let white = StateByte::object(WHITE);
                        assert!(scene.space.states().mark(object, white, BLACK));
                        scene.marked.push(object);
                    }
                }
            }
            scene.runs.push(runs);
        }
        scene
    }

    /// What must hold when everyone has ended. The answer is the number of objects.
    fn check(&self, born: &[usize], buried: &[usize]) -> usize {
        assert!(self.space.is_swept());
        let ledger = self.space.ledger();
        assert!(ledger.is_balanced(), "{ledger:?}");
        assert_eq!(self.health.total(), 0, "{:?}", self.health.recent());
        let distinct: BTreeSet<usize> = born.iter().chain(&self.marked).copied().collect();
        assert_eq!(
            distinct.len(),
            born.len() + self.marked.len(),
            "no slot is handed out twice"
        );
        for object in &distinct {
            assert!(self.space.states().load(*object).unwrap().has_colour(BLACK));
        }
        let mut buried = buried.to_vec();
        buried.sort_unstable();
        let mut dead = self.dead[1].clone();
        dead.sort_unstable();
        assert_eq!(buried, dead, "each is buried once");
        ledger.objects as usize
    }
}

fn alloc(space: &Space, class: ClassId, run: &mut Run, colour: Colour) -> usize {
    loop {
        if let Some(slot) = run.take() {
            let address = slot.address();
            space.states().publish(slot, colour);
            return address;
        }
        if !space.refill_in_lease(run) {
            space.refill(class, run).unwrap();
        }
    }
}

fn mutate(space: &Space, classes: [ClassId; 2], mut runs: [Run; 2]) -> Vec<usize> {
    let mut born = Vec::new();
    for number in 0..6 {
        let at = number % 2;
        born.push(alloc(space, classes[at], &mut runs[at], BLACK));
        if number == 3 {
            space.retire(&mut runs[0]);
        }
    }
    for run in &mut runs {
        space.retire(run);
    }
    born
}

fn sweep(space: &Space) -> Vec<usize> {
    let mut reaper = Undertaker::default();
    while space.sweep_step(1, SweepMode::Any, &mut reaper).remaining > 0 {
        thread::yield_now();
    }
    reaper.buried
}

/// Two mutators allocate while a third thread flips and two sweep.
fn a_flip_among_mutators() {
    let mut scene = Scene::new();
    let (space, classes) = (Arc::clone(&scene.space), scene.classes);
    let mutators: Vec<_> = std::mem::take(&mut scene.runs)
        .into_iter()
        .map(|runs| {
            let space = Arc::clone(&space);
            thread::spawn(move || mutate(&space, classes, runs))
        })
        .collect();
    space.flip(1, Kept::alike(BLACK), CycleKind::Full);
    let other = Arc::clone(&space);
    let sweeper = thread::spawn(move || sweep(&other));
    let mut buried = sweep(&space);
    assert!(space.is_swept(), "what was left was not swept yet");
    buried.extend(sweeper.join().unwrap());
    let born: Vec<usize> = mutators
        .into_iter()
        .flat_map(|mutator| mutator.join().unwrap())
        .collect();
    let objects = scene.check(&born, &buried);
    assert_eq!(objects, born.len() + scene.marked.len());
}

/// As above; besides, someone marks a dead object after the flip, withdraws a slot, and publishes a large object.
fn a_flip_among_latecomers() {
    let mut scene = Scene::new();
    let (space, classes) = (Arc::clone(&scene.space), scene.classes);
    let large = space.register(ClassSpec {
        type_index: 1,
        type_name: "Large",
        slot: SlotSize::Large,
        scan: Scan::PointerFree,
        drop: DropGlue::None,
    });
    let runs = std::mem::take(&mut scene.runs);
    let mut runs = runs.into_iter();
    let (first, mut second) = (runs.next().unwrap(), runs.next().unwrap());
    second.iter_mut().for_each(|run| space.retire(run));
    let mutator = {
        let space = Arc::clone(&space);
        thread::spawn(move || mutate(&space, classes, first))
    };
    let latecomer = {
        let space = Arc::clone(&space);
        let (late, pinned) = (scene.dead[0][1], scene.marked[0]);
        let slot = space.alloc_large(large, 3 * SLOT_BYTES).unwrap();
        thread::spawn(move || {
            let white = StateByte::object(WHITE);
            let marked = space.states().mark(late, white, BLACK);
            let pinned = space.quarantine_slot(pinned);
            space.states().publish(slot, BLACK);
            (marked, pinned)
        })
    };
    space.flip(1, Kept::alike(BLACK), CycleKind::Full);
    let other = Arc::clone(&space);
    let sweeper = thread::spawn(move || sweep(&other));
    let mut buried = sweep(&space);
    buried.extend(sweeper.join().unwrap());
    let born = mutator.join().unwrap();
    let (marked, pinned) = latecomer.join().unwrap();
    let objects = scene.check(&born, &buried);
    // A late mark may be lost to the sweep that it comes too late for. A pinned object is in no account of objects.
    let least = born.len() + scene.marked.len() + 1 - usize::from(pinned);
    assert!((least..=least + usize::from(marked)).contains(&objects));
}

#[test]
fn a_flip_among_mutators_at_random() {
    explore(Search::Random(1500), a_flip_among_mutators);
}

#[test]
fn a_flip_among_mutators_by_priorities() {
    explore(Search::Pct(1000, 3), a_flip_among_mutators);
}

#[test]
fn a_flip_among_latecomers_at_random() {
    explore(Search::Random(1500), a_flip_among_latecomers);
}

#[test]
fn a_flip_among_latecomers_by_priorities() {
    explore(Search::Pct(1000, 3), a_flip_among_latecomers);
}
