//! A traced type does not implement `Drop`: when it runs, what its pointers lead to may be gone.

use gc_core::{Gc, Trace};

#[derive(Trace)]
struct Session<'gc> {
    user: Gc<'gc, u32>,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        println!("{}", *self.user);
    }
}

#[derive(Trace)]
struct Plain {
    number: u32,
}

impl Drop for Plain {
    fn drop(&mut self) {}
}

#[derive(Trace)]
struct Generic<T> {
    item: T,
}

impl<T> Drop for Generic<T> {
    fn drop(&mut self) {}
}

fn main() {}
