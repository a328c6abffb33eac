//! A `Gc` does not leave its scope: it is not the answer of `enter`.

use gc_core::Heap;

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    let escaped = mutator.enter(|scope| scope.alloc(7_u32));
    println!("{}", *escaped);
}
