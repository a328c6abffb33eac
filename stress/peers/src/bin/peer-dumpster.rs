//! dumpster (unsync), on mimalloc: reference counts, and a search for cycles among what lost a reference.

use std::cell::RefCell;

use dumpster::Trace;
use dumpster::unsync::{Gc, collect};
use peers::Workload;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Counted pointers need no roots.
type Slots<T> = Vec<RefCell<Option<Gc<T>>>>;

fn slots<T: Trace + 'static>(count: usize) -> Slots<T> {
    (0..count).map(|_| RefCell::new(None)).collect()
}

fn lacks(workload: Workload) -> Option<&'static str> {
    match workload {
        Workload::Threads => Some("its unsync pointers stay on one thread"),
        Workload::Stores => {
            Some("each overwritten edge starts a search of the whole graph: more than a minute")
        }
        _ if workload.is_collection() => {
            Some("counts references; it never goes through the whole heap")
        }
        _ => None,
    }
}

peers::pointer_peer! {
    peer: Dumpster,
    derive: [Trace],
    plain: [],
    pointer: Gc,
    cell: RefCell,
    slots: Slots of slots,
    collect: collect,
    lacks: lacks,
}
