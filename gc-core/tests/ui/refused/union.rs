//! A union is not traced.

use std::mem::ManuallyDrop;

use gc_core::{Gc, Trace};

#[derive(Trace)]
union Word<'gc> {
    number: u64,
    pointer: ManuallyDrop<Gc<'gc, u32>>,
}

fn main() {}
