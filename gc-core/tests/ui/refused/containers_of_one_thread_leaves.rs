//! What containers drop besides their items is dropped by whichever thread sweeps, too: a hasher, a
//! boxed trait object, what a cell or an `Arc` owns.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use gc_core::Trace;

#[derive(Clone)]
struct Seeded(Rc<u64>);

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;
    fn build_hasher(&self) -> DefaultHasher {
        DefaultHasher::new()
    }
}

#[derive(Trace)]
struct ByHasher {
    map: HashMap<u32, u32, Seeded>,
}

#[derive(Trace)]
struct ByBox {
    held: Cell<Option<Box<dyn Fn()>>>,
}

#[derive(Trace)]
struct ByCell {
    held: RefCell<Vec<Rc<u32>>>,
}

#[derive(Trace)]
struct ByArc {
    held: Arc<Cell<u32>>,
}

#[derive(Trace)]
struct ByLock {
    held: Mutex<Rc<u32>>,
}

fn main() {}
