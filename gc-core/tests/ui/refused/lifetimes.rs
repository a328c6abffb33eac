//! A traced type has one lifetime parameter at most, without bounds.

use gc_core::{Gc, Trace};

#[derive(Trace)]
struct View<'gc, 'text> {
    text: &'text str,
    owner: Gc<'gc, u32>,
}

#[derive(Trace)]
struct Bounded<'gc: 'static> {
    owner: Gc<'gc, u32>,
}

#[derive(Trace)]
struct BoundedLater<'gc>
where
    'gc: 'static,
{
    owner: Gc<'gc, u32>,
}

fn main() {}
