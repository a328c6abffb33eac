//! A `Heap` is cloned into threads; a `Mutator` is made on one thread and used on another.

use gc_core::{Heap, Mutator};

fn main() {
    let heap = Heap::builder().build().unwrap();
    let threads: Vec<_> = (0..3_u32)
        .map(|number| {
            let heap = heap.clone();
            std::thread::spawn(move || {
                let mut mutator = heap.mutator();
                mutator.enter(|scope| *scope.alloc(number))
            })
        })
        .collect();
    for (number, thread) in (0..).zip(threads) {
        assert_eq!(thread.join().unwrap(), number);
    }
    let mut mutator: Mutator = heap.mutator();
    let root = mutator.enter(|scope| scope.root(scope.alloc_str("here")));
    let (mut mutator, root) = std::thread::spawn(move || {
        mutator.enter(|scope| assert_eq!(&*scope.get(&root).unwrap(), "here"));
        let there = mutator.enter(|scope| scope.root(scope.alloc_str("there")));
        (mutator, there)
    })
    .join()
    .unwrap();
    mutator.enter(|scope| assert_eq!(&*scope.get(&root).unwrap(), "there"));
    std::thread::scope(|threads| {
        threads.spawn(|| heap.mutator().enter(|scope| scope.poll()));
        assert!(heap.health().is_healthy());
    });
}
