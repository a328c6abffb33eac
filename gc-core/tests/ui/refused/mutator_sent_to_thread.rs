//! A mutator stays on its thread.

use gc_core::Heap;

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mutator = heap.mutator();
    std::thread::spawn(move || drop(mutator));
}
