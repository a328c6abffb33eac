//! A generic type with `#[trace(drop)]` and a parameter that may hold a `Gc` is not a field of a
//! branded type either.

use gc_core::{Edge, Heap, Trace, Tracer};

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

#[derive(Trace)]
struct Node<'gc> {
    guard: Guard<Handle>,
    next: Edge<'gc, Node<'gc>>,
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    heap.mutator().enter(|scope| {
        let node = scope.alloc(Node {
            guard: Guard { held: Handle(1) },
            next: Edge::none(),
        });
        println!("{}", node.guard.held.0);
    });
}
