//! A heap stays on its thread.

use gc_core::Heap;

fn main() {
    let heap = Heap::builder().build().unwrap();
    std::thread::spawn(move || drop(heap));
}
