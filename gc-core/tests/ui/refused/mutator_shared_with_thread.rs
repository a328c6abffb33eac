//! A `Mutator` is one thread's at a time: it is neither shared nor entered from two threads.

use gc_core::{Heap, Mutator};

fn share<T: Sync>(_: &T) {}

fn by_reference(mutator: &Mutator) {
    share(mutator);
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    std::thread::scope(|threads| {
        threads.spawn(|| mutator.enter(|scope| scope.poll()));
        threads.spawn(|| mutator.enter(|scope| scope.poll()));
    });
}
