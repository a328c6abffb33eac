//! A space beside a naive model of it: a map of addresses to objects.

mod support;

use std::collections::BTreeMap;

use gc_sweep::{SpaceConfig, SweepMode};
use proptest::prelude::*;
use support::{CONFIG, Class, Lab};

#[derive(Clone, Debug)]
enum Op {
    Alloc {
        class: usize,
        count: usize,
    },
    AllocLarge {
        bytes: usize,
    },
    /// Opens a cycle, flips it, or ends its sweep, whichever is next.
    Advance,
    /// Marks every object whose number, by address, modulo `of` is `rest`.
    Mark {
        of: usize,
        rest: usize,
    },
    Sweep {
        spans: usize,
        with_drop: bool,
    },
    Retire {
        class: usize,
    },
    Sync,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        5 => (0..CLASSES.len(), 1..400_usize).prop_map(|(class, count)| Op::Alloc { class, count }),
        1 => (1..300_000_usize).prop_map(|bytes| Op::AllocLarge { bytes }),
        4 => Just(Op::Advance),
        3 => (1..5_usize, 0..5_usize).prop_map(|(of, rest)| Op::Mark { of, rest: rest % of }),
        3 => (1..6_usize, any::<bool>()).prop_map(|(spans, with_drop)| Op::Sweep { spans, with_drop }),
        2 => (0..CLASSES.len()).prop_map(|class| Op::Retire { class }),
        1 => Just(Op::Sync),
    ];
    prop::collection::vec(op, 1..60)
}

/// Slot sizes, and whether the class has drop glue.
const CLASSES: [(usize, bool); 6] = [
    (16, false),
    (48, true),
    (64, false),
    (448, false),
    (1024, true),
    (20_000, false),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Idle,
    Open,
    Sweeping,
}

#[derive(Clone, Copy, Debug)]
struct Object {
    class: usize,
    bytes: usize,
    is_marked: bool,
}

struct Model {
    lab: Lab,
    classes: Vec<Class>,
    large: Class,
    stage: Stage,
    objects: BTreeMap<usize, Object>,
    /// Objects with drop glue that died, in no order.
    dead: Vec<usize>,
}

impl Model {
    fn new(span_pages_max: u32) -> Model {
        let mut lab = Lab::with(SpaceConfig {
            span_pages_max,
            ..CONFIG
        });
        let classes = CLASSES
            .iter()
            .map(|(bytes, drop)| {
                if *drop {
                    lab.class_with_drop(*bytes)
                } else {
                    lab.class(*bytes)
                }
            })
            .collect();
        let large = lab.large_class();
        Model {
            lab,
            classes,
            large,
            stage: Stage::Idle,
            objects: BTreeMap::new(),
            dead: Vec::new(),
        }
    }

    /// A new object overlaps no other.
    fn add(&mut self, address: usize, class: usize, bytes: usize) {
        if let Some((before, object)) = self.objects.range(..=address).next_back() {
            assert!(
                before + object.bytes <= address,
                "{address:#x} lies in {before:#x}"
            );
        }
        if let Some((after, _)) = self.objects.range(address..).next() {
            assert!(
                address + bytes <= *after,
                "{address:#x} reaches into {after:#x}"
            );
        }
        let span = self.lab.space.span_of(address).unwrap();
        assert!(span.slot_bytes() >= bytes);
        self.objects.insert(
            address,
            Object {
                class,
                bytes,
                is_marked: self.stage == Stage::Open,
            },
        );
    }

    fn alive_at_flip(&mut self) {
        let dead = self.objects.extract_if_unmarked();
        self.dead.extend(
            dead.iter()
                .filter(|(_, object)| CLASSES.get(object.class).is_some_and(|class| class.1))
                .map(|(at, _)| at),
        );
    }

    fn advance(&mut self) {
        self.stage = match self.stage {
            Stage::Idle => {
                self.lab.open_cycle();
                Stage::Open
            }
            Stage::Open => {
                self.lab.flip();
                self.alive_at_flip();
                Stage::Sweeping
            }
            Stage::Sweeping => {
                self.lab.sweep();
                self.compare();
                Stage::Idle
            }
        };
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Alloc { class, count } => {
                for _ in 0..count {
                    let address = self.lab.alloc(self.classes[class]);
                    self.add(address, class, CLASSES[class].0);
                }
            }
            Op::AllocLarge { bytes } => {
                if let Ok(address) = self.lab.alloc_large(self.large, bytes) {
                    self.add(address, CLASSES.len(), bytes);
                }
            }
            Op::Advance => self.advance(),
            Op::Mark { of, rest } if self.stage == Stage::Open => {
                for (_, (address, object)) in self
                    .objects
                    .iter_mut()
                    .enumerate()
                    .filter(|(index, _)| index % of == rest)
                {
                    self.lab.mark(*address);
                    object.is_marked = true;
                }
            }
            Op::Sweep { spans, with_drop } if self.stage == Stage::Sweeping => {
                let mode = if with_drop {
                    SweepMode::Any
                } else {
                    SweepMode::WithoutDrop
                };
                self.lab.space.sweep_step(spans, mode, &mut self.lab.reaper);
                if self.lab.space.is_swept() {
                    self.advance();
                }
            }
            Op::Mark { .. } | Op::Sweep { .. } => {}
            Op::Retire { class } => self.lab.retire(self.classes[class]),
            Op::Sync => self.lab.sync_all(),
        }
        assert!(
            self.objects
                .keys()
                .all(|address| self.lab.is_object(*address))
        );
        self.lab.assert_balanced();
    }

    /// After a sweep the space holds what the model holds, and has buried what the model has.
    fn compare(&mut self) {
        let objects: Vec<usize> = self.objects.keys().copied().collect();
        assert_eq!(self.lab.objects(), objects);
        self.dead.sort_unstable();
        self.lab.reaper.buried.sort_unstable();
        assert_eq!(self.lab.reaper.buried, self.dead);
    }

    fn finish(mut self) {
        while self.stage != Stage::Idle {
            self.advance();
        }
        self.lab.retire_all();
        self.compare();
        let slots: usize = self
            .objects
            .keys()
            .map(|at| self.lab.space.span_of(*at).unwrap().slot_bytes())
            .sum();
        let ledger = self.lab.space.ledger();
        assert_eq!(
            (ledger.bytes_live, ledger.objects),
            (slots as u64, self.objects.len() as u64)
        );
        assert_eq!(self.lab.space.usage().bytes_live, slots as u64);
        self.objects.clear();
        self.lab.collect(&[]);
        let usage = self.lab.space.usage();
        assert_eq!(
            (usage.spans, usage.bytes_in_spans, usage.bytes_live),
            (0, 0, 0),
            "everything went back"
        );
        assert_eq!(usage.bytes_allocated_total, usage.bytes_freed_total);
        self.lab.assert_balanced();
        self.lab.assert_silent();
    }
}

trait Extract {
    fn extract_if_unmarked(&mut self) -> BTreeMap<usize, Object>;
}

impl Extract for BTreeMap<usize, Object> {
    /// Takes the unmarked objects out and clears the marks of the others.
    fn extract_if_unmarked(&mut self) -> BTreeMap<usize, Object> {
        let (marked, dead) = std::mem::take(self)
            .into_iter()
            .partition(|(_, object)| object.is_marked);
        *self = marked;
        self.values_mut()
            .for_each(|object| object.is_marked = false);
        dead
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_space_does_what_a_map_of_objects_does(ops in ops(), span_pages_max in 1..10_u32) {
        let mut model = Model::new(span_pages_max);
        for op in &ops {
            model.apply(op);
        }
        model.finish();
    }
}
