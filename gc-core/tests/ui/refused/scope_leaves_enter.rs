//! A `Scope` is as short-lived as what it makes.

use gc_core::Heap;

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    let scope = mutator.enter(|scope| scope);
    scope.poll();
}
