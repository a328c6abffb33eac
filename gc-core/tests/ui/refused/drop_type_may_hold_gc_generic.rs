//! A generic type with `#[trace(drop)]` is not allocated with a parameter that may hold a `Gc`.

use gc_core::{Heap, Trace, Tracer};

struct Handle(usize);

// SAFETY: stands for a type of the unsafe layer that may hold a pointer; it holds none.
unsafe impl Trace for Handle {
    type At<'a> = Handle;
    const MAY_HOLD_GC: bool = true;
    fn trace(&self, _: &mut Tracer<'_>) {}
}

#[derive(Trace)]
#[trace(drop)]
struct Guard<T> {
    held: T,
}

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {}
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    heap.mutator().enter(|scope| {
        println!("{}", scope.alloc(Guard { held: Handle(1) }).held.0);
    });
}
