//! Ephemerons: the value lives as long as its key is reachable otherwise, and not longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gc_core::{
    CheckLevel, Driver, Edge, Ephemeron, Gc, Heap, Mutator, Phase, Policy, Root, StepProgress,
    Trace, Weak,
};

#[derive(Trace)]
struct Node<'gc> {
    id: usize,
    next: Edge<'gc, Node<'gc>>,
}

fn node<'gc>(id: usize) -> Node<'gc> {
    Node {
        id,
        next: Edge::none(),
    }
}

type Pair<'gc> = Ephemeron<'gc, Node<'gc>, Node<'gc>>;

/// Objects that hold ephemerons, as a weak map does.
#[derive(Trace)]
struct Table<'gc> {
    pairs: Vec<Pair<'gc>>,
}

/// A list whose links are ephemerons: each value holds the next pair.
#[derive(Trace)]
struct Link<'gc> {
    id: usize,
    next: Option<Ephemeron<'gc, Link<'gc>, Link<'gc>>>,
}

/// Counts drops; holds no managed pointer.
#[derive(Trace)]
#[trace(leaf)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn heap_at(level: CheckLevel) -> (Heap, Mutator) {
    let heap = Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::STRICT)
        .checks(level)
        .build()
        .unwrap();
    let mutator = heap.mutator();
    (heap, mutator)
}

fn heap() -> (Heap, Mutator) {
    heap_at(CheckLevel::Paranoid)
}

/// A table with one pair, and a root of its key.
fn one_pair(mutator: &mut Mutator) -> (Root<Table<'static>>, Root<Node<'static>>) {
    mutator.enter(|scope| {
        let (key, value) = (scope.alloc(node(1)), scope.alloc(node(2)));
        let pairs = vec![scope.ephemeron(key, value)];
        (scope.root(scope.alloc(Table { pairs })), scope.root(key))
    })
}

/// The ids of keys and values of a table, pair by pair.
fn ids(mutator: &mut Mutator, table: &Root<Table<'static>>) -> Vec<Option<(usize, usize)>> {
    mutator.enter(|scope| {
        let table = scope.get(table).unwrap();
        let entries = table.pairs.iter().map(|pair| scope.ephemeron_entry(*pair));
        entries
            .map(|entry| entry.map(|(key, value)| (key.id, value.id)))
            .collect()
    })
}

fn step_to(heap: &Heap, phase: Phase) {
    for _ in 0..100_000 {
        if heap.phase() == phase {
            return;
        }
        heap.step(1).unwrap();
    }
    panic!("the cycle never came to {phase}");
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

/// Cells in both orders of address: one is decided in a single pass, the other needs the index.
#[test]
fn long_chains_of_keys_and_values_are_decided_in_either_order() {
    const LINKS: usize = 10_000;
    for reversed in [false, true] {
        let (heap, mut mutator) = heap_at(CheckLevel::Default);
        let (table, key) = mutator.enter(|scope| {
            let nodes: Vec<_> = (0..=LINKS).map(|id| scope.alloc(node(id))).collect();
            let pair = |at: usize| scope.ephemeron(nodes[at], nodes[at + 1]);
            let pairs = if reversed {
                (0..LINKS).rev().map(pair).collect()
            } else {
                (0..LINKS).map(pair).collect()
            };
            (
                scope.root(scope.alloc(Table { pairs })),
                scope.root(nodes[0]),
            )
        });
        heap.collect().unwrap();
        let mut alive = ids(&mut mutator, &table);
        alive.sort_unstable();
        let wanted: Vec<_> = (0..LINKS).map(|id| Some((id, id + 1))).collect();
        assert_eq!(alive, wanted);
        drop(key);
        let report = heap.collect().unwrap();
        assert_eq!(report.objects_marked, LINKS as u64 + 1, "table and cells");
        assert_eq!(ids(&mut mutator, &table), vec![None; LINKS]);
    }
}

/// No pass over the cells knows more than the next link: each cell is found in the value before it.
#[test]
fn a_list_linked_by_ephemerons_is_followed_to_its_end() {
    const LINKS: usize = 10_000;
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let (list, keys) = mutator.enter(|scope| {
        let keys: Vec<_> = (0..LINKS)
            .map(|id| scope.alloc(Link { id, next: None }))
            .collect();
        let mut head = scope.alloc(Link {
            id: LINKS,
            next: None,
        });
        for (id, key) in keys.iter().enumerate().rev() {
            let next = Some(scope.ephemeron(*key, head));
            head = scope.alloc(Link { id, next });
        }
        (scope.root(head), scope.root(scope.alloc_slice(keys)))
    });
    let length = |mutator: &mut Mutator| {
        mutator.enter(|scope| {
            let mut at = scope.get(&list).unwrap();
            let mut length = 0;
            while let Some((key, next)) = at.next.and_then(|next| scope.ephemeron_entry(next)) {
                assert_eq!((key.id, next.id), (length, length + 1));
                (at, length) = (next, length + 1);
            }
            length
        })
    };
    heap.collect().unwrap();
    assert_eq!(length(&mut mutator), LINKS);
    drop(keys);
    let report = heap.collect().unwrap();
    assert_eq!(length(&mut mutator), 0);
    assert_eq!(report.objects_marked, 2, "the head and its cell");
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

/// Reading a pair makes key and value reachable: in every phase but the last they then survive, and
/// in the last the answer is that they are dead.
#[test]
fn what_is_read_in_any_phase_is_whole_and_stays() {
    for phase in [
        Phase::Arm,
        Phase::Settle,
        Phase::Snapshot,
        Phase::Mark,
        Phase::Clear,
        Phase::Sweep,
    ] {
        let (heap, mut mutator) = heap();
        let (table, key) = one_pair(&mut mutator);
        drop(key);
        heap.request_collect();
        step_to(&heap, phase);
        let kept = mutator.enter(|scope| {
            let pair = scope.get(&table).unwrap().pairs[0];
            scope
                .ephemeron_entry(pair)
                .map(|(key, value)| (scope.root(key), scope.root(value)))
        });
        while heap.step(1000).unwrap().progress != StepProgress::Idle {}
        heap.collect().unwrap();
        let is_last = matches!(phase, Phase::Clear | Phase::Sweep);
        assert_eq!(kept.is_none(), is_last, "{phase}");
        let Some((key, value)) = kept else {
            assert_eq!(ids(&mut mutator, &table), [None]);
            continue;
        };
        assert_eq!(ids(&mut mutator, &table), [Some((1, 2))]);
        mutator.enter(|scope| {
            let ids = (scope.get(&key).unwrap().id, scope.get(&value).unwrap().id);
            assert_eq!(ids, (1, 2));
        });
    }
}

#[test]
fn pairs_made_while_a_cycle_marks_are_kept() {
    let (heap, mut mutator) = heap();
    for phase in [Phase::Arm, Phase::Snapshot, Phase::Mark, Phase::Clear] {
        heap.request_collect();
        step_to(&heap, phase);
        let (table, key) = one_pair(&mut mutator);
        while heap.step(1000).unwrap().progress != StepProgress::Idle {}
        assert_eq!(ids(&mut mutator, &table), [Some((1, 2))], "{phase}");
        heap.collect().unwrap();
        assert_eq!(ids(&mut mutator, &table), [Some((1, 2))], "{phase}");
        drop(key);
        heap.collect().unwrap();
        assert_eq!(ids(&mut mutator, &table), [None], "{phase}");
    }
}
