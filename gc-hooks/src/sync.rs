//! The primitives that the protocols between threads stand on, or a model checker's stand-ins.
//!
//! A normal build gets the standard library's. A build with `--cfg loom` gets loom's, for tests of
//! one small protocol at a time over every interleaving and every order the memory model allows. A
//! build with `--cfg shuttle` gets shuttle's locks and threads, for tests of whole cycles: there a
//! thread gives way only at a lock or at a [`point`], which stands wherever one thread's step can be
//! seen by another's. A build with `--cfg softfail_tsan` gets the standard library's, with what
//! its locks order made visible to ThreadSanitizer.
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
#[cfg(softfail_tsan)]
pub use seen::{Condvar, Mutex, MutexGuard, OnceLock, RwLock};
#[cfg(shuttle)]
pub use shuttle::sync::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(any(loom, shuttle, softfail_tsan)))]
pub use std::sync::{Condvar, Mutex, MutexGuard, RwLock};

#[cfg(not(softfail_tsan))]
pub use std::sync::OnceLock;

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

/// The standard library's locks, beside each an atomic that repeats what the lock orders.
///
/// A lock that has to wait is taken inside the standard library, which was not built for
/// ThreadSanitizer: what happened before is not seen to have happened before. The atomics are used
/// here, where it is seen.
#[cfg(softfail_tsan)]
mod seen {
    use std::ops::{Deref, DerefMut};
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::{
        self, LockResult, PoisonError, TryLockError, TryLockResult, WaitTimeoutResult,
    };
    use std::time::Duration;

    /// A mutex.
    #[derive(Debug, Default)]
    pub struct Mutex<T> {
        lock: sync::Mutex<T>,
        unlocks: AtomicU32,
    }

    /// The right to what a mutex holds.
    #[derive(Debug)]
    pub struct MutexGuard<'a, T> {
        /// Absent only while a condition variable has it.
        guard: Option<sync::MutexGuard<'a, T>>,
        unlocks: &'a AtomicU32,
    }

    impl<T> Mutex<T> {
        /// An open mutex.
        pub const fn new(value: T) -> Mutex<T> {
            Mutex {
                lock: sync::Mutex::new(value),
                unlocks: AtomicU32::new(0),
            }
        }

        /// As the standard library's.
        pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            lifted(self.lock.lock(), |guard| {
                MutexGuard::new(guard, &self.unlocks)
            })
        }

        /// As the standard library's.
        pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
            match self.lock.try_lock() {
                Ok(guard) => Ok(MutexGuard::new(guard, &self.unlocks)),
                Err(TryLockError::WouldBlock) => Err(TryLockError::WouldBlock),
                Err(TryLockError::Poisoned(error)) => {
                    let guard = MutexGuard::new(error.into_inner(), &self.unlocks);
                    Err(TryLockError::Poisoned(PoisonError::new(guard)))
                }
            }
        }

        /// As the standard library's.
        pub fn get_mut(&mut self) -> LockResult<&mut T> {
            self.lock.get_mut()
        }

        /// As the standard library's.
        pub fn into_inner(self) -> LockResult<T> {
            self.lock.into_inner()
        }
    }

    impl<'a, T> MutexGuard<'a, T> {
        fn new(guard: sync::MutexGuard<'a, T>, unlocks: &'a AtomicU32) -> Self {
            // Acquire pairs with the Release of `part`.
            unlocks.load(Ordering::Acquire);
            MutexGuard {
                guard: Some(guard),
                unlocks,
            }
        }

        fn part(&mut self) -> Option<sync::MutexGuard<'a, T>> {
            // Release pairs with the Acquire of `new`.
            self.unlocks.fetch_add(1, Ordering::Release);
            self.guard.take()
        }
    }

    impl<T> Drop for MutexGuard<'_, T> {
        fn drop(&mut self) {
            if self.guard.is_some() {
                drop(self.part());
            }
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            match &self.guard {
                Some(guard) => guard,
                None => std::process::abort(),
            }
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            match &mut self.guard {
                Some(guard) => guard,
                None => std::process::abort(),
            }
        }
    }

    fn lifted<A, B>(result: LockResult<A>, lift: impl FnOnce(A) -> B) -> LockResult<B> {
        match result {
            Ok(value) => Ok(lift(value)),
            Err(error) => Err(PoisonError::new(lift(error.into_inner()))),
        }
    }

    /// A condition variable.
    #[derive(Debug, Default)]
    pub struct Condvar(sync::Condvar);

    impl Condvar {
        /// One that nobody waits for.
        pub const fn new() -> Condvar {
            Condvar(sync::Condvar::new())
        }

        /// As the standard library's.
        pub fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
            let unlocks = guard.unlocks;
            match guard.part() {
                Some(inner) => lifted(self.0.wait(inner), |inner| MutexGuard::new(inner, unlocks)),
                None => Ok(guard),
            }
        }

        /// As the standard library's.
        pub fn wait_timeout<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            timeout: Duration,
        ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
            let unlocks = guard.unlocks;
            let Some(inner) = guard.part() else {
                std::process::abort()
            };
            lifted(self.0.wait_timeout(inner, timeout), |(inner, result)| {
                (MutexGuard::new(inner, unlocks), result)
            })
        }

        /// As the standard library's.
        pub fn notify_one(&self) {
            self.0.notify_one();
        }

        /// As the standard library's.
        pub fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    /// A value that is written once, and seen by whoever sees that it is set.
    #[derive(Default)]
    pub struct OnceLock<T> {
        value: sync::OnceLock<T>,
        is_set: AtomicBool,
    }

    impl<T> OnceLock<T> {
        /// Without a value.
        pub const fn new() -> OnceLock<T> {
            OnceLock {
                value: sync::OnceLock::new(),
                is_set: AtomicBool::new(false),
            }
        }

        /// The value, once it is set.
        pub fn get(&self) -> Option<&T> {
            // Acquire pairs with the Release of `set` and of `get_or_init`.
            let is_set = self.is_set.load(Ordering::Acquire);
            is_set.then(|| self.value.get()).flatten()
        }

        /// As the standard library's.
        pub fn set(&self, value: T) -> Result<(), T> {
            self.value.set(value)?;
            // Release pairs with the Acquire of `get` and that of `get_or_init`.
            self.is_set.store(true, Ordering::Release);
            Ok(())
        }

        /// The value, made by `f` if there is none.
        pub fn get_or_init(&self, f: impl FnOnce() -> T) -> &T {
            let mut is_mine = false;
            let value = self.value.get_or_init(|| {
                is_mine = true;
                f()
            });
            if is_mine {
                // Release pairs with the Acquire of `get` and the one below.
                self.is_set.store(true, Ordering::Release);
            }
            while !self.is_set.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            value
        }
    }

    /// A readers-writer lock, taken by trying: that does not wait inside the standard library.
    #[derive(Debug, Default)]
    pub struct RwLock<T>(sync::RwLock<T>);

    impl<T> RwLock<T> {
        /// An open lock.
        pub const fn new(value: T) -> RwLock<T> {
            RwLock(sync::RwLock::new(value))
        }

        /// As the standard library's.
        pub fn read(&self) -> LockResult<sync::RwLockReadGuard<'_, T>> {
            tried(|| self.0.try_read())
        }

        /// As the standard library's.
        pub fn write(&self) -> LockResult<sync::RwLockWriteGuard<'_, T>> {
            tried(|| self.0.try_write())
        }
    }

    fn tried<G>(mut attempt: impl FnMut() -> TryLockResult<G>) -> LockResult<G> {
        loop {
            match attempt() {
                Ok(guard) => return Ok(guard),
                Err(TryLockError::Poisoned(error)) => return Err(error),
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
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
