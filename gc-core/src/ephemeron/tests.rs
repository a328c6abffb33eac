//! Cells, the index, and the number of passes that chains take.

use gc_sweep::Colour;

use super::*;
use crate::grey::Grey;

#[test]
fn values_wait_by_key_and_are_taken_once() {
    let mut waiting = Waiting::default();
    waiting.add(16, 1);
    waiting.add(32, 2);
    waiting.add(16, 3);
    let mut found = Vec::new();
    waiting.take(48, &mut found);
    assert!(found.is_empty());
    waiting.take(16, &mut found);
    assert_eq!(found, [3, 1]);
    waiting.take(16, &mut found);
    assert_eq!(found, [3, 1]);
    waiting.add(16, 4);
    waiting.take(16, &mut found);
    waiting.take(32, &mut found);
    assert_eq!(found, [3, 1, 4, 2]);
}

#[test]
fn a_cleared_cell_has_no_entry_at_any_point() {
    let cell = EphemeronCell::new(16, 32);
    assert_eq!(cell.entry(), Some((16, 32)));
    // As a reader may find it, between the two stores of `clear`.
    cell.key.store(0, Ordering::Release);
    assert_eq!(cell.entry(), None);
    cell.clear();
    assert_eq!(cell.entry(), None);
    assert_eq!(cell.value.load(Ordering::Relaxed), 0);
}

#[test]
fn a_pair_is_read_whole_or_not_at_all() {
    for _ in 0..200 {
        let cell = EphemeronCell::new(16, 32);
        std::thread::scope(|threads| {
            let reader = threads.spawn(|| {
                while let Some(entry) = cell.entry() {
                    assert_eq!(entry, (16, 32));
                }
            });
            cell.clear();
            reader.join().unwrap();
        });
    }
}

/// A coordinator in small: marks what `advance` shades, and what the index answers, until a pass
/// finds nothing. The chain is laid out so that a pass alone finds one link.
#[test]
fn a_chain_against_the_order_of_its_cells_takes_three_passes() {
    const LINKS: usize = 1000;
    let heap = crate::Heap::builder().build().unwrap();
    let shared = heap.shared();
    let colour = Colour::FIRST.next();
    let (class, kept) = (shared.ephemeron_class, Kept::alike(colour));
    let mark = |address: usize| {
        shared
            .space
            .states()
            .mark(address, shared.state(address), colour)
    };
    let (nodes, cells) = heap.mutator().enter(|scope| {
        let nodes: Vec<_> = (0..=LINKS).map(|id| scope.alloc(id)).collect();
        let mut cells = Vec::new();
        for at in (0..LINKS).rev() {
            cells.push(scope.ephemeron(nodes[at], nodes[at + 1]).cell().address());
        }
        (
            nodes.into_iter().map(Gc::address).collect::<Vec<_>>(),
            cells,
        )
    });
    assert!(cells.is_sorted(), "the first link stands last");
    assert!(cells.iter().all(|cell| mark(*cell)));
    assert!(mark(nodes[0]));
    let mut pending = Pending::default();
    while advance(shared, class, kept, &mut pending) {
        let mut grey = Vec::new();
        let shaded = || shared.injector.steal().success().map(Grey::address);
        while let Some(address) = grey.pop().or_else(shaded) {
            mark(address);
            grey.extend(pending.on_marked(shared, address));
        }
    }
    let is_marked = |address: &usize| shared.state(*address).has_colour(colour);
    assert!(nodes.iter().all(is_marked));
    assert_eq!(pending.passes, 3);
    assert!(!pending.is_indexed());
    clear_dead(shared, class, kept);
    assert!(cells.iter().all(|cell| entry_at(shared, *cell).is_some()));
}
