//! Several threads make, read and drop pairs of one heap while cycles run.

use std::collections::VecDeque;

use gc_core::{CheckLevel, Driver, Heap, Mutator, Policy, Root};

use crate::{Node, Table, node};

const THREADS: usize = 4;
const ROUNDS: usize = 3000;
/// Pairs that a thread keeps, the older half of them without their keys.
const KEPT: usize = 64;

/// A table of one pair, the id of its key, and the key while it is held.
struct Kept {
    table: Root<Table<'static>>,
    id: usize,
    key: Option<Root<Node<'static>>>,
}

fn add(mutator: &mut Mutator, id: usize) -> Kept {
    mutator.enter(|scope| {
        let (key, value) = (scope.alloc(node(id)), scope.alloc(node(id + 1)));
        value.next.set(scope, key);
        let pairs = vec![scope.ephemeron(key, value)];
        let table = scope.root(scope.alloc(Table { pairs }));
        let key = Some(scope.root(key));
        Kept { table, id, key }
    })
}

/// A pair whose key is held is there; any other is whole or gone, and stays gone.
fn check(mutator: &mut Mutator, kept: &Kept) {
    mutator.enter(|scope| {
        let pair = scope.get(&kept.table).unwrap().pairs[0];
        let entry = scope.ephemeron_entry(pair);
        assert!(entry.is_some() || kept.key.is_none());
        if let Some((key, value)) = entry {
            assert_eq!((key.id, value.id), (kept.id, kept.id + 1));
            assert_eq!(value.next.get().map(|next| next.id), Some(kept.id));
            scope.poll();
            assert_eq!((key.id, value.id), (kept.id, kept.id + 1));
        } else {
            scope.poll();
            assert!(scope.ephemeron_entry(pair).is_none());
        }
    });
}

fn work(heap: &Heap, thread: usize) -> VecDeque<Kept> {
    let mut mutator = heap.mutator();
    let mut all: VecDeque<Kept> = VecDeque::new();
    for round in 0..ROUNDS {
        all.push_back(add(&mut mutator, (thread * ROUNDS + round) * 2));
        if all.len() > KEPT {
            all.pop_front();
        }
        let keyless = all.len().saturating_sub(KEPT / 2);
        all.iter_mut()
            .take(keyless)
            .for_each(|kept| kept.key = None);
        check(&mut mutator, &all[round * 7 % all.len()]);
        if round % 100 == 0 {
            heap.request_collect();
        }
    }
    all.iter().for_each(|kept| check(&mut mutator, kept));
    all
}

fn pairs_are_whole_or_gone(driver: Driver) {
    let heap = Heap::builder()
        .driver(driver)
        .policy(Policy::STRICT)
        .checks(CheckLevel::Paranoid)
        .build()
        .unwrap();
    let all: Vec<Kept> = std::thread::scope(|threads| {
        let spawn = |thread| {
            threads.spawn({
                let heap = &heap;
                move || work(heap, thread)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(spawn).collect();
        let kept = threads.into_iter().map(|thread| thread.join().unwrap());
        kept.flatten().collect()
    });
    heap.collect().unwrap();
    let mut mutator = heap.mutator();
    for kept in &all {
        check(&mut mutator, kept);
        mutator.enter(|scope| {
            let pair = scope.get(&kept.table).unwrap().pairs[0];
            assert_eq!(scope.ephemeron_key(pair).is_some(), kept.key.is_some());
        });
    }
    assert_eq!(all.len(), THREADS * KEPT);
    drop(all);
    let report = heap.collect().unwrap();
    assert_eq!((report.objects_marked, report.bytes_live), (0, 0));
    assert!(heap.verify().unwrap().is_clean());
    assert!(heap.stats().cycles_finished > 1);
    assert!(heap.health().is_healthy());
}

#[test]
fn pairs_are_whole_or_gone_when_mutators_collect() {
    pairs_are_whole_or_gone(Driver::Incremental);
}

#[test]
fn pairs_are_whole_or_gone_when_threads_collect() {
    pairs_are_whole_or_gone(Driver::Background(2));
}
