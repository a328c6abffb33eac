//! The primitives that the protocols between threads stand on, or a model checker's stand-ins.
//!
//! A normal build gets the standard library's. A build with `--cfg loom` gets loom's, for tests of
//! one small protocol at a time over every interleaving and every order the memory model allows. A
//! build with `--cfg shuttle` gets shuttle's locks and threads, for tests of whole cycles: there a
//! thread gives way only at a lock or at a [`point`], which stands wherever one thread's step can be
//! seen by another's.
//!
//! Used by the crates of the heap alone. Modules that take part in no such protocol use the
//! standard library directly. Deliberately absent: anything that knows a protocol.

/// Atomics.
pub mod atomic {
    #[cfg(loom)]
    pub use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, fence};
    #[cfg(not(loom))]
    pub use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, fence};

    pub use std::sync::atomic::Ordering;
}

#[cfg(loom)]
pub use loom::sync::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(shuttle)]
pub use shuttle::sync::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(any(loom, shuttle)))]
pub use std::sync::{Condvar, Mutex, MutexGuard, RwLock};

/// A place where a model checker may let another thread go first. Nothing in a normal build.
#[inline(always)]
pub fn point() {
    #[cfg(shuttle)]
    checked::point();
}

/// Lets other threads go first, in a loop that waits for one of them.
#[inline]
pub fn yield_now() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(shuttle)]
    shuttle::thread::yield_now();
    #[cfg(not(any(loom, shuttle)))]
    std::thread::yield_now();
}

/// A number that names the calling thread: never zero, never used twice.
///
/// The thread-local behind it has no destructor, so it can be asked while a thread ends.
#[cfg(not(any(loom, shuttle)))]
#[inline]
pub fn thread_token() -> u64 {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU64, Ordering};

    static LAST: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static TOKEN: Cell<u64> = const { Cell::new(0) };
    }
    let token = TOKEN.get();
    if token != 0 {
        return token;
    }
    let token = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    TOKEN.set(token);
    token
}

#[cfg(any(loom, shuttle))]
pub use checked::thread_token;

#[cfg(any(loom, shuttle))]
mod checked {
    #[cfg(loom)]
    use loom::thread::current;
    #[cfg(shuttle)]
    use shuttle::thread::current;

    /// See the function of the same name above.
    pub fn thread_token() -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        current().id().hash(&mut hasher);
        hasher.finish() | 1
    }

    /// A load that the scheduler sees.
    #[cfg(shuttle)]
    pub(super) fn point() {
        use shuttle::sync::atomic::{AtomicBool, Ordering};
        AtomicBool::new(false).load(Ordering::SeqCst);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn tokens_name_threads() {
        let mine = thread_token();
        let others = std::thread::spawn(thread_token).join().unwrap();
        assert_ne!(mine, others);
        assert_eq!(mine, thread_token());
        assert_ne!(mine, 0);
    }
}
