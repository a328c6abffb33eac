//! A leaf may be dropped by whichever thread sweeps: a root that stays on its thread is not one, nor
//! is a guard of a lock or anything behind a marker of the same kind.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard};

use gc_core::{Root, Trace};

#[derive(Trace)]
struct Counter {
    hits: Cell<u32>,
}

#[derive(Trace)]
struct HoldsRoot {
    #[trace(leaf)]
    root: Root<Counter>,
}

#[derive(Trace)]
struct RootInLock {
    root: Mutex<Option<Root<Counter>>>,
}

#[derive(Trace)]
struct HoldsGuard {
    #[trace(leaf)]
    guard: MutexGuard<'static, u32>,
}

#[derive(Trace)]
#[trace(drop)]
struct DropsByThread {
    name: String,
    one_thread: PhantomData<*const ()>,
}

impl Drop for DropsByThread {
    fn drop(&mut self) {
        println!("{}", self.name);
    }
}

fn main() {}
