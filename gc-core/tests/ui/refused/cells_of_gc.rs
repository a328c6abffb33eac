//! Cells do not hold a `Gc`: a store into one would pass the write barrier by.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Mutex;

use gc_core::{Edge, Gc, Trace};

#[derive(Trace)]
struct InCell<'gc> {
    held: Cell<Option<Gc<'gc, u32>>>,
}

#[derive(Trace)]
struct InRefCell<'gc> {
    held: RefCell<Vec<Gc<'gc, u32>>>,
}

#[derive(Trace)]
struct EdgeInCell<'gc> {
    held: Cell<Edge<'gc, u32>>,
}

#[derive(Trace)]
struct InOnceCell<'gc> {
    held: OnceCell<Gc<'gc, u32>>,
}

#[derive(Trace)]
struct InMutex<'gc> {
    held: Mutex<Option<Gc<'gc, u32>>>,
}

fn main() {}
