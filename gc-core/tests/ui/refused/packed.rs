//! A packed type is not traced.

use gc_core::{Gc, Trace};

#[derive(Trace)]
#[repr(C, packed)]
struct Packed<'gc> {
    tag: u8,
    held: Gc<'gc, u32>,
}

fn main() {}
