//! Threads that come and go under collectors of their own: what one has stored and left behind is found by the next.

use std::sync::Mutex;
use std::thread;

use gc_core::{CheckLevel, CycleKind, Edge, Heap, Root, Trace};

use crate::scene::{Node, litter, node};
use crate::support::{ACTIVE_DRIVERS, Rng, assert_sound, builder};

const SLOTS: usize = 64;
const THREADS: usize = 3;
const GENERATIONS: usize = 15;
const STORES: usize = 200;

/// An old object that every thread stores into.
#[derive(Trace)]
struct Board<'gc> {
    slots: Vec<Edge<'gc, Node<'gc>>>,
}

/// The numbers that stand in the slots of the board. Whoever stores holds the lock of the slot.
type Known = Vec<Mutex<Option<u64>>>;

/// One life of a thread: it stores new pairs at random places of the board, looks at others, and goes.
fn live(heap: &Heap, board: &Root<Board<'static>>, known: &Known, seed: u64) {
    let (mut mutator, mut rng) = (heap.mutator(), Rng::new(seed));
    for round in 0..STORES {
        let at = rng.below(SLOTS);
        let id = seed << 32 | round as u64;
        mutator.enter(|scope| {
            litter(scope, rng.below(40) as u64);
            let board = scope.get(board).unwrap();
            let Ok(mut known) = known[at].try_lock() else {
                return;
            };
            let found = board.slots[at].get();
            assert_eq!(found.map(|found| found.id), *known);
            if let Some(found) = found {
                assert_eq!(
                    found.next.get().unwrap().id,
                    !found.id,
                    "the child is whole"
                );
            }
            let child = scope.alloc(node(!id));
            let next = Edge::to(child);
            let side = Edge::none();
            let new = rng.once_in(8).then_some(id);
            board.slots[at].set(scope, scope.alloc(Node { id, next, side }));
            *known = Some(id);
            if new.is_none() && rng.once_in(4) {
                board.slots[at].set(scope, None);
                *known = None;
            }
        });
        if rng.once_in(50) {
            heap.request_collect_young();
        }
        if rng.once_in(400) {
            heap.request_collect();
        }
    }
}

fn board(heap: &Heap) -> Root<Board<'static>> {
    let root = heap.mutator().enter(|scope| {
        let slots = (0..SLOTS).map(|_| Edge::none()).collect();
        scope.root(scope.alloc(Board { slots }))
    });
    assert_eq!(heap.collect().unwrap().kind, CycleKind::Full);
    root
}

fn assert_board(heap: &Heap, board: &Root<Board<'static>>, known: &Known) -> u64 {
    heap.mutator().enter(|scope| {
        let board = scope.get(board).unwrap();
        let mut alive = 1;
        for (slot, known) in board.slots.iter().zip(known) {
            let found = slot.get();
            assert_eq!(found.map(|found| found.id), *known.lock().unwrap());
            if let Some(found) = found {
                assert_eq!(found.next.get().unwrap().id, !found.id);
                alive += 2;
            }
        }
        alive
    })
}

#[test]
fn what_threads_leave_behind_is_kept_by_the_cycles_that_follow() {
    for driver in ACTIVE_DRIVERS {
        for level in [CheckLevel::Default, CheckLevel::Paranoid] {
            let heap = builder(driver).checks(level).build().unwrap();
            let board = board(&heap);
            let known: Known = (0..SLOTS).map(|_| Mutex::new(None)).collect();
            for generation in 0..GENERATIONS {
                thread::scope(|threads| {
                    for number in 0..THREADS {
                        let seed = (generation * THREADS + number + 1) as u64;
                        let (heap, board, known) = (&heap, &board, &known);
                        threads.spawn(move || live(heap, board, known, seed));
                    }
                });
                heap.collect_young().unwrap();
                assert_board(&heap, &board, &known);
            }
            heap.collect().unwrap();
            let alive = assert_board(&heap, &board, &known);
            assert_eq!(heap.ledger().unwrap().objects, alive);
            assert!(heap.stats().cycles_young >= 10, "{:?}", heap.stats());
            assert_sound(&heap);
        }
    }
}
