//! Fields that cannot be traced: shared on one thread, borrowed, or opaque.

use std::rc::Rc;
use std::sync::Arc;

use gc_core::{Gc, Trace};

#[derive(Trace)]
struct SharedOnOneThread {
    held: Rc<u32>,
}

#[derive(Trace)]
struct Borrowed<'gc, T: 'gc> {
    held: &'gc T,
}

#[derive(Trace)]
struct BorrowedText<'gc> {
    held: &'gc str,
}

#[derive(Trace)]
struct Opaque<'gc> {
    held: Box<dyn Fn() + Send + 'gc>,
}

#[derive(Trace)]
struct Counted<'gc> {
    held: Arc<Gc<'gc, u32>>,
}

fn main() {}
