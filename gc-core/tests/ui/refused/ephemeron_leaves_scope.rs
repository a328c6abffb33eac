//! An `Ephemeron` is branded as well: it lives in scopes and in objects.

use gc_core::Heap;

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    let escaped = mutator.enter(|scope| scope.ephemeron(scope.alloc(1_u32), scope.alloc(2_u32)));
    mutator.enter(|scope| println!("{}", scope.ephemeron_entry(escaped).is_some()));
}
