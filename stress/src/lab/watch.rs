//! Looking on while a program is carried out.
//!
//! The interpreter calls a watcher after each operation, on its own thread, when it has noted what the checks
//! said. A watcher sees the heap from outside and changes nothing: the program does the same with and without
//! one.

use gc_core::Heap;

/// Somebody who looks on.
pub(crate) trait Watcher {
    /// The operation at this place was done, or had no operands.
    fn after(&mut self, op: usize, heap: &Heap);
}
