//! `#[trace(leaf)]` is not a way to leave a `Gc` unreported, nor to keep on the heap what one
//! thread alone may drop.

use std::rc::Rc;

use gc_core::{Gc, Trace};

#[derive(Trace)]
struct Direct<'gc> {
    #[trace(leaf)]
    held: Gc<'gc, u32>,
}

#[derive(Trace)]
struct Wrapped<'gc> {
    #[trace(leaf)]
    held: Box<dyn Fn() -> Gc<'gc, u32> + Send>,
}

#[derive(Trace)]
struct Shared {
    #[trace(leaf)]
    held: Rc<u32>,
}

#[derive(Trace)]
enum Variants<'gc> {
    Empty,
    Held(#[trace(leaf)] std::sync::Mutex<Option<&'gc u32>>),
}

fn main() {}
