//! What is allocated as a leaf, or with a cell, a lock or an `Arc` around it, captures no `Gc`: that it
//! could be sent to a thread inside the scope is not enough.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex};

use gc_core::{Heap, Trace};

#[derive(Trace)]
#[trace(leaf)]
struct Native<F>(F);

#[derive(Trace)]
struct Callback {
    call: Arc<dyn Fn() -> u32 + Send + Sync>,
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    heap.mutator().enter(|scope| {
        let number = scope.alloc(7_u32);
        scope.alloc(Native(move || *number));
    });
    heap.mutator().enter(|scope| {
        let number = scope.alloc(7_u32);
        scope.alloc(Cell::new(Some(number)));
    });
    heap.mutator().enter(|scope| {
        let number = scope.alloc(7_u32);
        scope.alloc(RefCell::new(vec![scope.downgrade(number)]));
    });
    heap.mutator().enter(|scope| {
        let number = scope.alloc(7_u32);
        scope.alloc(Mutex::new(scope.ephemeron(number, number)));
    });
    heap.mutator().enter(|scope| {
        let number = scope.alloc(7_u32);
        scope.alloc(Arc::new(number));
    });
    heap.mutator().enter(|scope| {
        let number = scope.alloc(7_u32);
        scope.alloc(Callback {
            call: Arc::new(move || *number),
        });
    });
}
