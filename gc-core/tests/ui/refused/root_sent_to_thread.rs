//! A `Root` stays on the thread of its heap.

use gc_core::Heap;

fn main() {
    let heap = Heap::builder().build().unwrap();
    let root = heap.mutator().enter(|scope| scope.root(scope.alloc(7_u32)));
    std::thread::spawn(move || drop(root));
}
