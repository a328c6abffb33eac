//! Threads that end inside `enter` may read what its mutator holds. An object with a cell stays with
//! its thread, and is allocated and rooted like any other.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

use gc_core::{Edge, Gc, Heap, Trace};

#[derive(Trace)]
struct Node<'gc> {
    number: u64,
    next: Edge<'gc, Node<'gc>>,
}

#[derive(Trace)]
struct Local {
    hits: Cell<u32>,
    log: RefCell<Vec<String>>,
    one_thread: PhantomData<*const ()>,
}

fn sum<'gc>(mut at: Gc<'gc, Node<'gc>>) -> u64 {
    let mut sum = at.number;
    while let Some(next) = at.next.get() {
        sum += next.number;
        at = next;
    }
    sum
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    let local = mutator.enter(|scope| {
        let mut head = scope.alloc(Node {
            number: 0,
            next: Edge::none(),
        });
        for number in 1..=100 {
            head = scope.alloc(Node {
                number,
                next: Edge::to(head),
            });
        }
        let edge = Edge::to(head);
        std::thread::scope(|threads| {
            let readers: Vec<_> = (0..2).map(|_| threads.spawn(move || sum(head))).collect();
            let by_edge = threads.spawn(|| edge.get().map(sum));
            for reader in readers {
                assert_eq!(reader.join().unwrap(), 5050);
            }
            assert_eq!(by_edge.join().unwrap(), Some(5050));
        });
        scope.root(scope.alloc(Local {
            hits: Cell::new(0),
            log: RefCell::default(),
            one_thread: PhantomData,
        }))
    });
    let mut other = heap.mutator();
    mutator.enter(|scope| scope.get(&local).unwrap().hits.set(1));
    other.enter(|scope| {
        let local = scope.get(&local).unwrap();
        assert_eq!(local.hits.get(), 1);
        local.log.borrow_mut().push(String::from("same thread"));
    });
    drop(local);
    heap.collect().unwrap();
}
