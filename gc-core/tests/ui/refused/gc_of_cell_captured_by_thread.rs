//! A `Gc` of an object with a cell stays on its thread, even if the other thread ends inside the
//! scope.

use std::cell::Cell;

use gc_core::Heap;

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    mutator.enter(|scope| {
        let number = scope.alloc(Cell::new(7_u32));
        std::thread::scope(|threads| {
            threads.spawn(move || number.set(8));
        });
    });
}
