//! A mutator is entered once at a time: the scope inside would outlive promises made to the scope
//! outside.

use gc_core::Heap;

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    mutator.enter(|outer| {
        let number = outer.alloc(7_u32);
        mutator.enter(|inner| inner.poll());
        println!("{}", *number);
    });
}
