//! A `Gc` does not leave its scope: it does not fit a variable outside.

use gc_core::Heap;

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    let mut escaped = None;
    mutator.enter(|scope| {
        escaped = Some(scope.alloc(7_u32));
    });
    println!("{}", escaped.is_some());
}
