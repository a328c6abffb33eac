//! A type with `#[trace(drop)]` has no field that may hold a `Gc`.

use gc_core::{Trace, Tracer};

struct Handle(usize);

// SAFETY: stands for a type of the unsafe layer that may hold a pointer; it holds none.
unsafe impl Trace for Handle {
    type At<'a> = Handle;
    const MAY_HOLD_GC: bool = true;
    fn trace(&self, _: &mut Tracer<'_>) {}
}

#[derive(Trace)]
#[trace(drop)]
struct Guard {
    held: Handle,
}

impl Drop for Guard {
    fn drop(&mut self) {
        println!("{}", self.held.0);
    }
}

fn main() {}
