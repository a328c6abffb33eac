//! A reference into an object does not leave the scope either, whether by `Gc::as_ref` or by
//! `Deref`.

use gc_core::Heap;

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    let text: &str = mutator.enter(|scope| scope.alloc_str("short-lived").as_ref());
    println!("{text}");
}
