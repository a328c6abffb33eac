//! Memory set aside beforehand that recorders write and others read: a queue, and a value written
//! once.
//!
//! Owns the choice between the real thing (crossbeam's queue, the standard library's cell) and the
//! stand-ins for builds with `--cfg loom`, which cannot see into either. A stand-in gives what the
//! real thing promises and no more: whoever finds a value sees what its writer did before, and
//! whoever has no reason to see it yet may miss it. Called by recorders from any thread in any
//! phase, and by readers. Invariants: nothing is read half written; a value is written by one thread
//! alone. Deliberately absent: who reads what, and when.

#[cfg(not(loom))]
pub(crate) use crossbeam_queue::ArrayQueue;
#[cfg(loom)]
pub(crate) use stand_in::ArrayQueue;

#[cfg(not(loom))]
use crate::sync::OnceLock;

#[cfg(loom)]
use stand_in::OnceLock;

/// A value that one thread writes at most once and anyone may look for.
pub(crate) struct WrittenOnce<T> {
    value: OnceLock<T>,
}

impl<T: Copy> WrittenOnce<T> {
    pub(crate) fn new() -> WrittenOnce<T> {
        WrittenOnce {
            value: OnceLock::new(),
        }
    }

    /// Writes it. Called by the one thread that was picked for it, so that none ever waits for
    /// another here.
    pub(crate) fn set(&self, value: T) {
        // It is empty and nobody else is filling it, so this cannot fail.
        let _ = self.value.set(value);
    }

    #[cfg(not(loom))]
    pub(crate) fn get(&self) -> Option<T> {
        self.value.get().copied()
    }

    #[cfg(loom)]
    pub(crate) fn get(&self) -> Option<T> {
        self.value.get()
    }
}

#[cfg(loom)]
mod stand_in {
    use std::collections::VecDeque;

    use crate::sync::Mutex;
    use crate::sync::atomic::Ordering::{Acquire, Release};
    use crate::sync::atomic::{AtomicBool, AtomicUsize};

    /// The lock stands for the slots of the real queue. Looking for something without a lock first
    /// is what lets a reader miss what does not happen before.
    pub(crate) struct ArrayQueue<T> {
        capacity: usize,
        /// Stored under the lock, read without it.
        length: AtomicUsize,
        items: Mutex<VecDeque<T>>,
    }

    impl<T> ArrayQueue<T> {
        pub(crate) fn new(capacity: usize) -> ArrayQueue<T> {
            ArrayQueue {
                capacity,
                length: AtomicUsize::new(0),
                items: Mutex::new(VecDeque::new()),
            }
        }

        pub(crate) fn push(&self, item: T) -> Result<(), T> {
            let mut items = self.items.lock().unwrap();
            if items.len() == self.capacity {
                return Err(item);
            }
            items.push_back(item);
            // Release: pairs with the Acquire of `len`.
            self.length.store(items.len(), Release);
            Ok(())
        }

        pub(crate) fn force_push(&self, item: T) -> Option<T> {
            let mut items = self.items.lock().unwrap();
            let oldest = if items.len() == self.capacity {
                items.pop_front()
            } else {
                None
            };
            items.push_back(item);
            // Release: pairs with the Acquire of `len`.
            self.length.store(items.len(), Release);
            oldest
        }

        pub(crate) fn pop(&self) -> Option<T> {
            if self.len() == 0 {
                return None;
            }
            let mut items = self.items.lock().unwrap();
            let item = items.pop_front();
            // Release: pairs with the Acquire of `len`.
            self.length.store(items.len(), Release);
            item
        }

        pub(crate) fn len(&self) -> usize {
            // Acquire: pairs with the Release of whoever stored the length.
            self.length.load(Acquire)
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }
    }

    /// The flag is the state word of the real cell. The lock is only a place for the value.
    pub(super) struct OnceLock<T> {
        is_set: AtomicBool,
        value: Mutex<Option<T>>,
    }

    impl<T: Copy> OnceLock<T> {
        pub(super) fn new() -> OnceLock<T> {
            OnceLock {
                is_set: AtomicBool::new(false),
                value: Mutex::new(None),
            }
        }

        pub(super) fn set(&self, value: T) -> Result<(), T> {
            let mut place = self.value.lock().unwrap();
            assert!(place.is_none(), "two threads write one cell");
            *place = Some(value);
            // Release: pairs with the Acquire of `get`.
            self.is_set.store(true, Release);
            Ok(())
        }

        pub(super) fn get(&self) -> Option<T> {
            // Acquire: pairs with the Release of `set`.
            if self.is_set.load(Acquire) {
                *self.value.lock().unwrap()
            } else {
                None
            }
        }
    }
}
