//! Who keeps whom alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gc_core::{Gc, Mutator, Trace, Weak};

use crate::{Node, Pair, Table, heap, ids, node, one_pair};

/// Counts drops; holds no managed pointer.
#[derive(Trace)]
#[trace(leaf)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_key_keeps_the_value_and_the_pair_keeps_neither() {
    let (heap, mut mutator) = heap();
    let (table, key) = one_pair(&mut mutator);
    for _ in 0..3 {
        heap.collect().unwrap();
        assert_eq!(ids(&mut mutator, &table), [Some((1, 2))]);
    }
    drop(key);
    heap.collect().unwrap();
    assert_eq!(ids(&mut mutator, &table), [None]);
    mutator.enter(|scope| {
        let pair = scope.get(&table).unwrap().pairs[0];
        assert!(scope.ephemeron_key(pair).is_none());
        assert!(scope.ephemeron_value(pair).is_none());
        assert_eq!(format!("{pair:?}"), "Ephemeron(dead)");
        // Slots of the dead are handed out again; the pair must not see who comes after.
        for id in 0..1000 {
            scope.alloc(node(id));
        }
        assert!(scope.ephemeron_entry(pair).is_none());
    });
    let report = heap.collect().unwrap();
    assert_eq!(report.objects_marked, 2, "the table and the cell are left");
}

#[test]
fn the_value_goes_with_the_key() {
    let (heap, mut mutator) = heap();
    let drops = Arc::<AtomicUsize>::default();
    let count = || drops.load(Ordering::Relaxed);
    let (key, pair) = mutator.enter(|scope| {
        let (key, value) = (
            scope.alloc(node(1)),
            scope.alloc(Counted(Arc::clone(&drops))),
        );
        (
            scope.root(key),
            scope.root(scope.alloc(scope.ephemeron(key, value))),
        )
    });
    heap.collect().unwrap();
    assert_eq!(count(), 0);
    drop(key);
    heap.collect().unwrap();
    assert_eq!(count(), 1);
    drop(pair);
    assert_eq!(heap.collect().unwrap().bytes_live, 0);
}

#[test]
fn a_pair_that_nobody_holds_keeps_nothing() {
    let (heap, mut mutator) = heap();
    let drops = Arc::<AtomicUsize>::default();
    let key = mutator.enter(|scope| {
        let key = scope.alloc(node(1));
        scope.ephemeron(key, scope.alloc(Counted(Arc::clone(&drops))));
        scope.root(key)
    });
    let report = heap.collect().unwrap();
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    assert_eq!(report.objects_marked, 1);
    drop(key);
}

#[test]
fn a_key_that_only_its_own_value_reaches_dies() {
    let (heap, mut mutator) = heap();
    let (table, key) = mutator.enter(|scope| {
        let (key, value) = (scope.alloc(node(1)), scope.alloc(node(2)));
        value.next.set(scope, key);
        let pairs = vec![scope.ephemeron(key, value)];
        (scope.root(scope.alloc(Table { pairs })), scope.root(key))
    });
    heap.collect().unwrap();
    assert_eq!(ids(&mut mutator, &table), [Some((1, 2))]);
    drop(key);
    heap.collect().unwrap();
    assert_eq!(ids(&mut mutator, &table), [None]);
}

#[test]
fn pairs_whose_values_are_each_others_keys_die_together() {
    let (heap, mut mutator) = heap();
    let (table, key) = mutator.enter(|scope| {
        let (a, b, c) = (
            scope.alloc(node(1)),
            scope.alloc(node(2)),
            scope.alloc(node(3)),
        );
        let pairs = vec![
            scope.ephemeron(a, b),
            scope.ephemeron(b, c),
            scope.ephemeron(c, a),
        ];
        (scope.root(scope.alloc(Table { pairs })), scope.root(b))
    });
    heap.collect().unwrap();
    assert_eq!(
        ids(&mut mutator, &table),
        [Some((1, 2)), Some((2, 3)), Some((3, 1))]
    );
    drop(key);
    heap.collect().unwrap();
    assert_eq!(ids(&mut mutator, &table), [None; 3]);
}

#[test]
fn a_key_that_its_value_reaches_and_another_pair_too_lives() {
    let (heap, mut mutator) = heap();
    let (table, key) = mutator.enter(|scope| {
        let (held, key, value) = (
            scope.alloc(node(1)),
            scope.alloc(node(2)),
            scope.alloc(node(3)),
        );
        value.next.set(scope, key);
        let pairs = vec![scope.ephemeron(key, value), scope.ephemeron(held, value)];
        (scope.root(scope.alloc(Table { pairs })), scope.root(held))
    });
    heap.collect().unwrap();
    assert_eq!(ids(&mut mutator, &table), [Some((2, 3)), Some((1, 3))]);
    drop(key);
    heap.collect().unwrap();
    assert_eq!(ids(&mut mutator, &table), [None, None]);
}

#[test]
fn one_key_may_have_many_values() {
    let (heap, mut mutator) = heap();
    let (table, key) = mutator.enter(|scope| {
        let key = scope.alloc(node(0));
        let pairs = (1..=100)
            .map(|id| scope.ephemeron(key, scope.alloc(node(id))))
            .collect();
        (scope.root(scope.alloc(Table { pairs })), scope.root(key))
    });
    heap.collect().unwrap();
    let wanted: Vec<_> = (1..=100).map(|id| Some((0, id))).collect();
    assert_eq!(ids(&mut mutator, &table), wanted);
    drop(key);
    heap.collect().unwrap();
    assert_eq!(ids(&mut mutator, &table), vec![None; 100]);
}

#[test]
fn a_weak_reference_to_a_value_lives_as_long_as_the_key() {
    #[derive(Trace)]
    struct Observer<'gc> {
        value: Weak<'gc, Node<'gc>>,
        pair: Pair<'gc>,
    }
    let (heap, mut mutator) = heap();
    let (observer, key) = mutator.enter(|scope| {
        let (key, value) = (scope.alloc(node(1)), scope.alloc(node(2)));
        let observer = Observer {
            value: scope.downgrade(value),
            pair: scope.ephemeron(key, value),
        };
        (scope.root(scope.alloc(observer)), scope.root(key))
    });
    let seen = |mutator: &mut Mutator| {
        mutator.enter(|scope| {
            let observer = scope.get(&observer).unwrap();
            let value = scope.ephemeron_value(observer.pair);
            let upgraded = scope.upgrade(observer.value);
            match (value, upgraded) {
                (Some(value), Some(upgraded)) => Gc::ptr_eq(value, upgraded).then_some(value.id),
                (None, None) => None,
                (value, upgraded) => panic!(
                    "{value:?} but {upgraded:?}",
                    value = value.is_some(),
                    upgraded = upgraded.is_some()
                ),
            }
        })
    };
    heap.collect().unwrap();
    assert_eq!(seen(&mut mutator), Some(2));
    drop(key);
    heap.collect().unwrap();
    assert_eq!(seen(&mut mutator), None);
}

#[test]
fn a_value_may_be_held_by_others_when_its_key_dies() {
    let (heap, mut mutator) = heap();
    let (table, key, value) = mutator.enter(|scope| {
        let (key, value) = (scope.alloc(node(1)), scope.alloc(node(2)));
        let pairs = vec![scope.ephemeron(key, value)];
        (
            scope.root(scope.alloc(Table { pairs })),
            scope.root(key),
            scope.root(value),
        )
    });
    drop(key);
    heap.collect().unwrap();
    assert_eq!(ids(&mut mutator, &table), [None]);
    mutator.enter(|scope| assert_eq!(scope.get(&value).unwrap().id, 2));
}

#[test]
fn strings_and_slices_may_be_keys_and_values() {
    let (heap, mut mutator) = heap();
    let (pair, key) = mutator.enter(|scope| {
        let key = scope.alloc_str("key");
        let pair = scope.ephemeron(key, scope.alloc_slice([1_u32, 2, 3]));
        (scope.root(scope.alloc(pair)), scope.root(key))
    });
    heap.collect().unwrap();
    mutator.enter(|scope| {
        let pair = scope.get(&pair).unwrap();
        assert_eq!(format!("{pair:?}"), "Ephemeron(..)");
        let (key, value) = scope.ephemeron_entry(*pair).unwrap();
        assert_eq!((&*key, &*value), ("key", &[1, 2, 3][..]));
    });
    drop(key);
    heap.collect().unwrap();
    mutator.enter(|scope| {
        assert!(scope.ephemeron_entry(*scope.get(&pair).unwrap()).is_none());
    });
}
