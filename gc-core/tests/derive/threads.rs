//! What objects drop is dropped by whichever thread sweeps, whatever it is: it may hold handles of its
//! own heap, and come back into it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use gc_core::{Driver, Heap, Mutator, Policy, Root, Trace};

use crate::payload::{Drops, Payload};

const DRIVERS: [Driver; 3] = [Driver::Manual, Driver::Incremental, Driver::Background(2)];

fn heap(driver: Driver) -> Heap {
    Heap::builder()
        .driver(driver)
        .policy(Policy::STRICT)
        .build()
        .expect("a heap")
}

/// Says where it is dropped.
#[derive(Trace)]
#[trace(leaf)]
struct Witness(Arc<Mutex<HashSet<ThreadId>>>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0
            .lock()
            .expect("no panic")
            .insert(thread::current().id());
    }
}

/// Used by one thread, for its cell; dropped by any.
#[derive(Trace)]
struct OneThread {
    log: RefCell<Vec<String>>,
    payload: Payload,
    witness: Witness,
}

#[test]
fn objects_of_one_thread_are_dropped_by_any() {
    for driver in DRIVERS {
        let (heap, drops, threads) = (heap(driver), Drops::default(), Arc::default());
        let mut mutator = heap.mutator();
        for _ in 0..10 {
            mutator.enter(|scope| {
                for _ in 0..100 {
                    let object = scope.alloc(OneThread {
                        log: RefCell::default(),
                        payload: drops.payload(),
                        witness: Witness(Arc::clone(&threads)),
                    });
                    object.log.borrow_mut().push(String::from("used here"));
                }
            });
            heap.collect().expect("a collection");
        }
        assert_eq!(drops.count(), 1000, "{driver:?}");
        assert!(!threads.lock().expect("no panic").is_empty());
    }
}

/// A root in an object is one of the program's roots, until the object is dropped.
#[derive(Trace)]
struct Owner {
    #[trace(leaf)]
    root: Root<Payload>,
    #[trace(leaf)]
    heap: Heap,
    #[trace(leaf)]
    mutator: Mutex<Mutator>,
}

#[test]
fn an_object_may_own_handles_of_its_own_heap() {
    for driver in DRIVERS {
        let (heap, drops) = (heap(driver), Drops::default());
        let mut mutator = heap.mutator();
        let owner = mutator.enter(|scope| {
            scope.root(scope.alloc(Owner {
                root: scope.root(scope.alloc(drops.payload())),
                heap: heap.clone(),
                mutator: Mutex::new(heap.mutator()),
            }))
        });
        heap.collect().expect("a collection");
        assert_eq!((drops.count(), heap.stats().roots), (0, 2));
        mutator.enter(|scope| {
            let owner = scope.get(&owner).expect("our own root");
            assert_eq!(owner.heap.cycle(), heap.cycle());
            let mut inner = owner.mutator.lock().expect("no panic");
            let drops = inner.enter(|scope| {
                let payload = scope.get(&owner.root).expect("our own root");
                payload.drops.load(Ordering::Relaxed)
            });
            assert_eq!(drops, 0);
        });
        drop(owner);
        heap.collect().expect("the owner goes");
        assert_eq!((drops.count(), heap.stats().roots), (0, 0), "{driver:?}");
        heap.collect().expect("what it held goes");
        assert_eq!(drops.count(), 1, "{driver:?}");
    }
}

/// Comes back into its heap when it is dropped.
#[derive(Trace)]
#[trace(leaf)]
struct Returns {
    heap: Heap,
    made: Arc<Mutex<Vec<Root<u32>>>>,
}

impl Drop for Returns {
    fn drop(&mut self) {
        let mut mutator = self.heap.mutator();
        let root = mutator.enter(|scope| scope.root(scope.alloc(7_u32)));
        self.heap.request_collect();
        self.made.lock().expect("no panic").push(root);
    }
}

#[test]
fn a_destructor_may_come_back_into_its_heap() {
    for driver in DRIVERS {
        let heap = heap(driver);
        let made: Arc<Mutex<Vec<Root<u32>>>> = Arc::default();
        let mut mutator = heap.mutator();
        mutator.enter(|scope| {
            for _ in 0..50 {
                scope.alloc(Returns {
                    heap: heap.clone(),
                    made: Arc::clone(&made),
                });
            }
        });
        heap.collect().expect("a collection");
        heap.collect().expect("another one");
        let made = std::mem::take(&mut *made.lock().expect("no panic"));
        assert_eq!(made.len(), 50, "{driver:?}");
        mutator.enter(|scope| {
            assert!(
                made.iter()
                    .all(|root| *scope.get(root).expect("our own root") == 7)
            );
        });
        assert!(heap.verify().expect("nobody is inside").is_clean());
    }
}

/// The last handle of a heap may be one that its own collector drops.
#[test]
fn the_last_handle_may_stand_in_an_object_that_dies() {
    for round in 0..20 {
        let heap = heap(Driver::Background(1 + round % 2));
        let drops = Drops::default();
        heap.mutator().enter(|scope| {
            let mutator = heap.mutator();
            let root = scope.root(scope.alloc(drops.payload()));
            scope.alloc(Owner {
                root,
                heap: heap.clone(),
                mutator: Mutex::new(mutator),
            });
        });
        heap.request_collect();
        drop(heap);
        while drops.count() == 0 {
            thread::yield_now();
        }
        assert_eq!(drops.count(), 1);
    }
}
