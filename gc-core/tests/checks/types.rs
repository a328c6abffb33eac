//! Objects that their span or their shape does not describe: a second copy does, or the cycle frees nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gc_core::fault::sweep::RecordField;
use gc_core::raw::{self, RawGc, Shape, Stack};
use gc_core::{Check, CheckLevel, CollectError, Heap, Mutator, Root, Trace, Violation};

use crate::support::{Witness, heap_at, node, only};

const FORGED: u32 = 60_000;

/// An untyped object on a value stack, which alone leads to a node of another type.
struct Scene {
    heap: Heap,
    mutator: Mutator,
    witness: Witness,
    shape: Shape,
    object: RawGc,
    child: usize,
    _stack: Stack,
}

impl Scene {
    fn new(level: CheckLevel) -> Scene {
        let (heap, mut mutator) = heap_at(level);
        let witness = Witness::new(&mut mutator);
        let shape = heap.register_shape("record", 4, &[0, 1]).unwrap();
        let stack = mutator.stack(4);
        stack.push_frame(1).unwrap();
        let (object, child) = mutator.enter(|scope| {
            let object = scope.alloc_shape(shape).unwrap();
            let child = scope.alloc(node(5)).into_raw();
            // SAFETY: both were just allocated in this heap, and word 1 is a pointer word.
            unsafe { raw::init_word(object, 1, Some(child)) };
            (object, child.address())
        });
        // SAFETY: the object was just allocated in this heap, whose mutator owns the stack.
        unsafe { stack.init(0, Some(object)) }.unwrap();
        Scene {
            heap,
            mutator,
            witness,
            shape,
            object,
            child,
            _stack: stack,
        }
    }

    fn forge(&self) {
        let space = self.heap.fault().space();
        assert!(space.set_type_index(self.object.address(), FORGED));
    }

    #[track_caller]
    fn assert_nothing_lost(&mut self) {
        assert!(self.heap.locate(self.object.address()).is_object());
        assert!(self.heap.locate(self.child).is_object());
        self.witness.check(&self.heap, &mut self.mutator);
    }
}

fn number(violation: &Violation, label: &str) -> u64 {
    let mut numbers = violation.numbers.iter();
    let number = numbers.find(|number| number.label == label);
    number.unwrap().value
}

#[test]
fn a_span_that_names_no_registered_type_is_read_by_its_second_copy() {
    for &level in CheckLevel::ALL {
        let mut scene = Scene::new(level);
        scene.forge();
        scene.heap.collect().unwrap();
        let violation = only(&scene.heap, Check::SpanSeal);
        assert_eq!(violation.reason, "restored from its second copy");
        assert_eq!(number(&violation, "type index"), FORGED.into());
        assert_eq!(scene.heap.stats().cycles_voided, 1, "{level}");
        scene.assert_nothing_lost();
        scene.heap.collect().unwrap();
        assert!(scene.heap.verify().unwrap().is_clean());
        scene.assert_nothing_lost();
        assert_eq!(scene.heap.health().total(), 1, "{level}: told once");
        assert_eq!(scene.heap.stats().bytes_quarantined, 0);
    }
}

#[test]
fn a_span_of_which_both_copies_are_broken_is_read_by_the_class_that_has_it() {
    let mut scene = Scene::new(CheckLevel::Default);
    scene.mutator.parked(|| {});
    let address = scene.object.address();
    scene.forge();
    assert!(scene.heap.fault().space().flip_deed_bit(address, 3));
    scene.heap.collect().unwrap();
    let violation = only(&scene.heap, Check::SpanSeal);
    assert_eq!(violation.reason, "its second copy is broken too");
    assert!(scene.heap.stats().bytes_quarantined > 0);
    scene.assert_nothing_lost();
    scene.heap.collect().unwrap();
    scene.assert_nothing_lost();
    assert_eq!(scene.heap.health().total(), 1, "told once");
}

#[test]
fn a_forged_type_costs_no_destructor() {
    #[derive(Trace)]
    #[trace(leaf)]
    struct Counted(Arc<AtomicU32>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let witness = Witness::new(&mut mutator);
    let dropped = Arc::new(AtomicU32::new(0));
    let (address, kept): (usize, Root<Counted>) = mutator.enter(|scope| {
        for _ in 0..9 {
            scope.alloc(Counted(Arc::clone(&dropped)));
        }
        let kept = scope.alloc(Counted(Arc::clone(&dropped)));
        (kept.address(), scope.root(kept))
    });
    // Objects without pointers are not scanned: the sweep is the first to ask for the type.
    assert!(heap.fault().space().set_type_index(address, FORGED));
    heap.collect().unwrap();
    only(&heap, Check::SpanSeal);
    assert_eq!(dropped.load(Ordering::Relaxed), 9);
    assert_eq!(heap.health().total(), 1, "told once");
    drop(kept);
    heap.collect().unwrap();
    assert_eq!(dropped.load(Ordering::Relaxed), 10);
    witness.check(&heap, &mut mutator);
}

#[test]
fn a_shape_whose_seal_is_broken_is_followed_by_its_second_copy_at_level_paranoid() {
    let mut scene = Scene::new(CheckLevel::Paranoid);
    assert!(scene.heap.verify().unwrap().is_clean());
    assert!(scene.heap.fault().break_shape(scene.shape));
    for _ in 0..3 {
        assert_eq!(scene.heap.verify().unwrap().objects_undescribed, 0);
        scene.heap.collect().unwrap();
        scene.assert_nothing_lost();
    }
    let violation = only(&scene.heap, Check::Descriptor);
    assert_eq!(violation.reason, "its second copy is followed");
    assert_eq!(scene.heap.health().total(), 1, "told once");
    let stats = scene.heap.stats();
    assert_eq!((stats.bytes_quarantined, stats.cycles_voided), (0, 0));
}

#[test]
fn with_both_copies_of_a_shape_broken_nothing_is_followed_and_nothing_freed() {
    let mut scene = Scene::new(CheckLevel::Paranoid);
    let litter = scene.mutator.enter(|scope| scope.alloc(node(6)).address());
    assert!(scene.heap.fault().break_shape(scene.shape));
    assert!(scene.heap.fault().break_spare_shape(scene.shape));
    assert_eq!(scene.heap.verify().unwrap().objects_undescribed, 1);
    assert_eq!(scene.heap.collect(), Err(CollectError::ReclaimingStopped));
    only(&scene.heap, Check::Descriptor);
    assert!(scene.heap.locate(litter).is_object(), "nothing is freed");
    scene.assert_nothing_lost();
    // A leased span is withdrawn when its lease ends.
    let Scene {
        heap,
        mutator,
        witness,
        ..
    } = scene;
    drop(mutator);
    assert!(heap.stats().bytes_quarantined > 0);
    witness.check(&heap, &mut heap.mutator());
}

#[test]
fn a_node_behind_a_forged_span_lives() {
    let (heap, mut mutator) = heap_at(CheckLevel::Lax);
    let witness = Witness::new(&mut mutator);
    let address = mutator.enter(|scope| scope.get(&witness.0).unwrap().address());
    // The chain alone leads to what follows in it.
    assert!(heap.fault().space().set_type_index(address, FORGED));
    heap.collect().unwrap();
    heap.collect().unwrap();
    only(&heap, Check::SpanSeal);
    witness.check(&heap, &mut mutator);
}

#[test]
fn what_a_broken_record_hid_is_not_told_as_missed_besides() {
    let (heap, mut mutator) = heap_at(CheckLevel::Paranoid);
    let witness = Witness::new(&mut mutator);
    let address = mutator.enter(|scope| scope.get(&witness.0).unwrap().address());
    // The books of a lease make sure of their span: this one is not leased.
    mutator.parked(|| {});
    // The span of the chain says that its objects hold no pointers.
    let space = heap.fault().space();
    assert!(space.flip_record_bit(address, RecordField::Flags, 0));
    heap.collect().unwrap();
    only(&heap, Check::SpanSeal);
    assert_eq!(heap.stats().cycles_voided, 1);
    witness.check(&heap, &mut mutator);
}
