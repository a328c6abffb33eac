//! An edge to a type is not an edge to a wider type: through the wider one, objects could be stored
//! that the narrower one must not lead to.

use gc_core::{Edge, Heap, Trace};

#[derive(Trace)]
#[trace(leaf)]
struct Native<F>(F);

#[derive(Trace)]
struct Callbacks<'gc> {
    any: Edge<'gc, Native<for<'a> fn(&'a u8)>>,
}

fn takes_static(_: &'static u8) {}

fn main() {
    let heap = Heap::builder().build().unwrap();
    heap.mutator().enter(|scope| {
        let callbacks = scope.alloc(Callbacks { any: Edge::none() });
        let widened: &Edge<'_, Native<fn(&'static u8)>> = &callbacks.any;
        widened.set(scope, scope.alloc(Native(takes_static as fn(&'static u8))));
        if let Some(native) = callbacks.any.get() {
            (native.0)(&1);
        }
    });
}
