//! A `Weak` is branded as well: it lives in scopes and in objects.

use gc_core::Heap;

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    let escaped = mutator.enter(|scope| scope.downgrade(scope.alloc(7_u32)));
    mutator.enter(|scope| println!("{}", scope.upgrade(escaped).is_some()));
}
