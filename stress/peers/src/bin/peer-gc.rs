//! gc (rust-gc), on mimalloc, with its default thresholds.

// The derive puts its implementations into constants.
#![allow(non_local_definitions)]

use gc::{Finalize, Gc, GcCell, Trace, force_collect};
use peers::Workload;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One managed array of cells: roots of their own would be as many roots.
type Slots<T> = Gc<Vec<GcCell<Option<Gc<T>>>>>;

fn slots<T: Trace + 'static>(count: usize) -> Slots<T> {
    Gc::new((0..count).map(|_| GcCell::new(None)).collect())
}

fn lacks(workload: Workload) -> Option<&'static str> {
    match workload {
        Workload::Threads => Some("its pointers stay on one thread"),
        Workload::CollectList => Some("marks by recursion: a long list overflows the stack"),
        _ => None,
    }
}

peers::pointer_peer! {
    peer: RustGc,
    derive: [Trace, Finalize],
    plain: [#[unsafe_ignore_trace]],
    pointer: Gc,
    cell: GcCell,
    slots: Slots of slots,
    collect: force_collect,
    lacks: lacks,
}
