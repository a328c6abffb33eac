//! A `Root` stays on its thread if one variant of an enum leads to a cell.

use std::cell::Cell;

use gc_core::{Gc, Heap, Trace};

#[derive(Trace)]
enum Value<'gc> {
    Null,
    Number(f64),
    Counter(Gc<'gc, Cell<u32>>),
    List(Vec<Value<'gc>>),
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    let root = heap
        .mutator()
        .enter(|scope| scope.root(scope.alloc(Value::Null)));
    std::thread::spawn(move || drop(root));
}
