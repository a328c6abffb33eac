//! Pairs whose keys are values of other pairs.

use gc_core::{CheckLevel, Ephemeron, Mutator, Trace};

use crate::{Table, heap_at, ids, node};

/// A list whose links are ephemerons: each value holds the next pair.
#[derive(Trace)]
struct Link<'gc> {
    id: usize,
    next: Option<Ephemeron<'gc, Link<'gc>, Link<'gc>>>,
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
