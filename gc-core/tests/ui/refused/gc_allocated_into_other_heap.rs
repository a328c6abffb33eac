//! An object of one heap does not hold a `Gc` of another.

use gc_core::{Gc, Heap, Trace};

#[derive(Trace)]
struct Holder<'gc> {
    held: Gc<'gc, u32>,
}

fn main() {
    let (one, two) = (
        Heap::builder().build().unwrap(),
        Heap::builder().build().unwrap(),
    );
    let (mut in_one, mut in_two) = (one.mutator(), two.mutator());
    in_one.enter(|scope_one| {
        let foreign = scope_one.alloc(7_u32);
        in_two.enter(|scope_two| {
            scope_two.alloc(Holder { held: foreign });
        });
    });
}
