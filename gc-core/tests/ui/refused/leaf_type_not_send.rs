//! A leaf type is `'static + Send` as a whole: the sweeper drops it, on whatever thread.

use std::rc::Rc;

use gc_core::{Gc, Trace};

#[derive(Trace)]
#[trace(leaf)]
struct Counted {
    count: Rc<u32>,
}

#[derive(Trace)]
#[trace(leaf)]
struct Branded<'gc> {
    held: Gc<'gc, u32>,
}

#[derive(Trace)]
#[trace(drop)]
struct BrandedDrop<'gc> {
    held: Gc<'gc, u32>,
}

fn main() {}
