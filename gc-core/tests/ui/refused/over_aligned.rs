//! No slot can be aligned to more than a page.

use gc_core::{Heap, Trace};

#[derive(Trace)]
#[repr(align(16384))]
struct Vast(u8);

fn main() {
    let heap = Heap::builder().build().unwrap();
    heap.mutator().enter(|scope| {
        scope.alloc(Vast(1));
    });
}
