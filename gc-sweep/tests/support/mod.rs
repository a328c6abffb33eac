//! A mutator and a collector in miniature, for the tests of a space: classes by slot size, allocation, marking by hand.
#![allow(dead_code, unsafe_code)]

use std::sync::Arc;

use gc_hooks::{Check, CheckLevel, Checks, Health, Hooks, Phase, Policy, Violation};
use gc_sweep::{
    AllocError, ClassId, ClassSpec, Colour, CycleKind, DeadSlot, DropGlue, FreshSlot, Kept, Reaped,
    Reaper, Run, Scan, SizeClass, SlotSize, Space, SpaceConfig, SpanState, StateByte, SweepMode,
    SweepProgress,
};

/// A small reservation, so that tests can reach its end.
pub const CONFIG: SpaceConfig = SpaceConfig {
    reserve_bytes: 64 << 20,
    limit_bytes: None,
    quarantine_limit_bytes: 64 << 20,
    release_chunks_per_cycle: 4,
    chunks_kept_min: 0,
    span_pages_max: u32::MAX,
    checks: Checks::at(CheckLevel::Default),
};

pub struct Lab {
    pub space: Space,
    pub health: Health,
    /// The last cycle that was flipped.
    pub cycle: u32,
    /// The colour in which the mutator allocates, and the marker marks unless `marked` says otherwise.
    pub colour: Colour,
    /// The colour in which the marker marks where births are to be told apart.
    marked: Option<Colour>,
    classes: Vec<(ClassId, Run)>,
    pub reaper: Undertaker,
}

/// Index of a class of a lab.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Class(pub usize);

/// Remembers whom it buried; panics in its way at the addresses it is told.
#[derive(Default)]
pub struct Undertaker {
    pub buried: Vec<usize>,
    pub panics_at: Vec<usize>,
}

impl Reaper for Undertaker {
    fn reap(&mut self, dead: DeadSlot) -> Reaped {
        self.buried.push(dead.address());
        if self.panics_at.contains(&dead.address()) {
            Reaped::Panicked
        } else {
            Reaped::Done
        }
    }
}

impl Lab {
    pub fn new() -> Lab {
        Lab::with(CONFIG)
    }

    pub fn with(config: SpaceConfig) -> Lab {
        let hooks = Arc::new(Hooks::new(Policy::MARK_UNHEALTHY));
        let health = hooks.health();
        let space = Space::new(config, hooks).unwrap();
        Lab {
            space,
            health,
            cycle: 0,
            colour: Colour::FIRST,
            marked: None,
            classes: Vec::new(),
            reaper: Undertaker::default(),
        }
    }

    fn register(&mut self, slot: SlotSize, drop: DropGlue) -> Class {
        let type_index = self.classes.len() as u32;
        let spec = ClassSpec {
            type_index,
            type_name: "Specimen",
            slot,
            scan: Scan::PointerFree,
            drop,
        };
        let id = self.space.register(spec);
        assert_eq!(id.index(), self.classes.len());
        self.classes.push((id, Run::new()));
        Class(self.classes.len() - 1)
    }

    pub fn class(&mut self, bytes: usize) -> Class {
        self.register(
            SlotSize::Class(SizeClass::for_bytes(bytes).unwrap()),
            DropGlue::None,
        )
    }

    pub fn class_with_drop(&mut self, bytes: usize) -> Class {
        self.register(
            SlotSize::Class(SizeClass::for_bytes(bytes).unwrap()),
            DropGlue::Needed,
        )
    }

    pub fn large_class(&mut self) -> Class {
        self.register(SlotSize::Large, DropGlue::None)
    }

    pub fn id(&self, class: Class) -> ClassId {
        self.classes[class.0].0
    }

    /// Takes a slot, writes all of it and publishes it.
    pub fn try_alloc(&mut self, class: Class) -> Result<usize, AllocError> {
        let (id, run) = &mut self.classes[class.0];
        let slot = loop {
            match run.take() {
                Some(slot) => break slot,
                None => self.space.refill(*id, run)?,
            }
        };
        Ok(self.publish(slot))
    }

    fn publish(&self, slot: FreshSlot) -> usize {
        let address = slot.address();
        let bytes = self.space.span_of(address).unwrap().slot_bytes();
        // SAFETY: a fresh slot is committed memory that nobody else uses.
        unsafe { std::ptr::with_exposed_provenance_mut::<u8>(address).write_bytes(0xab, bytes) };
        self.space.states().publish(slot, self.colour);
        address
    }

    pub fn alloc(&mut self, class: Class) -> usize {
        self.try_alloc(class).unwrap()
    }

    pub fn alloc_many(&mut self, class: Class, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.alloc(class)).collect()
    }

    pub fn alloc_large(&mut self, class: Class, bytes: usize) -> Result<usize, AllocError> {
        Ok(self.publish(self.space.alloc_large(self.id(class), bytes)?))
    }

    pub fn retire(&mut self, class: Class) {
        self.space.retire(&mut self.classes[class.0].1);
    }

    pub fn retire_all(&mut self) {
        for (_, run) in &mut self.classes {
            self.space.retire(run);
        }
    }

    pub fn sync_all(&self) {
        for (_, run) in &self.classes {
            self.space.sync(run);
        }
    }

    pub fn is_leased(&self, class: Class) -> bool {
        self.classes[class.0].1.is_leased()
    }

    /// Opens a cycle: from here on objects are born in its colour.
    pub fn open_cycle(&mut self) {
        assert!(self.space.is_swept());
        self.colour = self.colour.next();
        self.space.set_context(self.cycle + 1, Phase::Mark);
    }

    /// Opens a cycle though the one before is not swept.
    pub fn open_cycle_early(&mut self) {
        self.colour = self.colour.next();
    }

    /// Opens a cycle of a space with generations: a full one takes a colour for marks and one for births, a young one
    /// marks on in that of the one before.
    pub fn open_generation(&mut self, kind: CycleKind) {
        assert!(self.space.is_swept());
        let mut unused = self.unused_colours().into_iter();
        if kind == CycleKind::Full {
            self.marked = unused.next();
        }
        self.colour = unused.next().unwrap();
        self.space.set_context(self.cycle + 1, Phase::Mark);
    }

    /// The colours that no object has when everything is swept, in the order in which they will be taken.
    pub fn unused_colours(&self) -> Vec<Colour> {
        let mut colours = vec![self.colour.next()];
        for at in 0..Colour::COUNT - 1 {
            colours.push(colours[at].next());
        }
        let kept = self.kept();
        colours.retain(|colour| *colour != kept.marked() && *colour != kept.born());
        colours
    }

    /// The colours of what the cycle keeps.
    pub fn kept(&self) -> Kept {
        Kept::new(self.marked.unwrap_or(self.colour), self.colour)
    }

    /// Marks an object as the marker does.
    pub fn mark(&self, address: usize) {
        let (state, colour) = (self.state(address), self.kept().marked());
        if !state.has_colour(colour) {
            assert!(state.is_object(), "marking {state:?}");
            assert!(self.space.states().mark(address, state, colour));
        }
    }

    /// Marks whatever stands there, as a marker that checks nothing does.
    pub fn mark_blindly(&self, address: usize) {
        assert!(
            self.space
                .states()
                .mark(address, self.state(address), self.colour)
        );
    }

    pub fn flip(&mut self) {
        self.flip_as(CycleKind::Full);
    }

    pub fn flip_as(&mut self, kind: CycleKind) {
        self.cycle += 1;
        self.space.set_context(self.cycle, Phase::Sweep);
        self.space.flip(self.cycle, self.kept(), kind);
    }

    pub fn sweep_step(&mut self, spans_max: usize) -> SweepProgress {
        self.space
            .sweep_step(spans_max, SweepMode::Any, &mut self.reaper)
    }

    pub fn sweep(&mut self) -> SweepProgress {
        let progress = self.sweep_step(usize::MAX);
        assert_eq!(progress.remaining, 0);
        assert!(self.space.is_swept());
        progress
    }

    /// Sweeps everything and calls `act` with the space and the address of each object that goes to its destructor.
    pub fn sweep_with(&mut self, act: &mut dyn FnMut(&Space, usize)) {
        struct Acting<'a>(&'a Space, &'a mut dyn FnMut(&Space, usize));
        impl Reaper for Acting<'_> {
            fn reap(&mut self, dead: DeadSlot) -> Reaped {
                (self.1)(self.0, dead.address());
                Reaped::Done
            }
        }
        let mut reaper = Acting(&self.space, act);
        self.space
            .sweep_step(usize::MAX, SweepMode::Any, &mut reaper);
        assert!(self.space.is_swept());
    }

    /// A whole cycle with these objects alive.
    pub fn collect(&mut self, live: &[usize]) -> SweepProgress {
        self.open_cycle();
        for address in live {
            self.mark(*address);
        }
        self.flip();
        self.sweep()
    }

    /// A whole cycle of a space with generations, in which these objects are found.
    pub fn collect_generation(&mut self, kind: CycleKind, found: &[usize]) -> SweepProgress {
        self.open_generation(kind);
        for address in found {
            self.mark(*address);
        }
        self.flip_as(kind);
        self.sweep()
    }

    pub fn state(&self, address: usize) -> StateByte {
        self.space.states().load(address).unwrap()
    }

    pub fn is_object(&self, address: usize) -> bool {
        self.state(address).is_object()
    }

    pub fn first_page(&self, address: usize) -> u32 {
        self.space.span_of(address).unwrap().first_page()
    }

    pub fn objects(&self) -> Vec<usize> {
        let mut objects = Vec::new();
        self.space
            .for_each_object(&mut |address, _, _| objects.push(address));
        objects
    }

    /// Two looks at the accounts: what the first finds wrong in the books it also mends.
    #[track_caller]
    pub fn assert_balanced(&self) {
        let ledger = self.space.ledger();
        assert_eq!(ledger.imbalance(), None, "{ledger:?}");
    }

    /// Exactly this check fired, so many times; the violation of the last time.
    #[track_caller]
    pub fn assert_only(&self, check: Check, times: u64) -> Violation {
        for other in Check::ALL {
            let expected = if *other == check { times } else { 0 };
            assert_eq!(
                self.health.count(*other),
                expected,
                "{other}: {:?}",
                self.health.recent()
            );
        }
        self.health.last().unwrap()
    }

    #[track_caller]
    pub fn assert_silent(&self) {
        assert_eq!(self.health.total(), 0, "{:?}", self.health.recent());
    }
}

/// The number with this label.
#[track_caller]
pub fn number(violation: &Violation, label: &str) -> u64 {
    let number = violation
        .numbers
        .iter()
        .find(|number| number.label == label);
    number
        .unwrap_or_else(|| panic!("no {label} in {violation}"))
        .value
}

/// A lab with one unleased span of 64-byte slots, 100 of 128 in use, in cycle 1.
pub fn lab_with_a_span() -> (Lab, Class, Vec<usize>) {
    let mut lab = Lab::new();
    let class = lab.class(64);
    let mut objects = lab.alloc_many(class, 101);
    lab.retire(class);
    let dead = objects.pop().unwrap();
    lab.collect(&objects);
    assert!(!lab.is_object(dead));
    lab.assert_silent();
    (lab, class, objects)
}

/// The span of these objects is withdrawn: nothing of it is freed or handed out, now or later, and its objects stay.
#[track_caller]
pub fn assert_withdrawn(lab: &mut Lab, class: Class, objects: &[usize]) {
    let page = lab.first_page(objects[0]);
    for _ in 0..9 {
        assert_eq!(
            lab.space.span_of(objects[0]).unwrap().state(),
            Some(SpanState::Quarantined)
        );
        lab.assert_balanced();
        lab.collect(&[]);
        for object in lab.alloc_many(class, 300) {
            assert_ne!(
                lab.first_page(object),
                page,
                "a quarantined span is never reused"
            );
        }
        lab.retire_all();
        assert!(
            objects.iter().all(|object| lab.is_object(*object)),
            "its objects stay"
        );
        assert!(
            objects
                .iter()
                .all(|object| !lab.state(*object).has_colour(lab.colour.next()))
        );
    }
    let usage = lab.space.usage();
    assert_eq!(usage.spans_quarantined, 1);
    assert_eq!(
        usage.bytes_quarantined,
        lab.space.span_of(objects[0]).unwrap().bytes() as u64
    );
    lab.assert_balanced();
}
