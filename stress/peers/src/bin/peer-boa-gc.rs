//! boa_gc, on mimalloc, with its default thresholds.

use boa_gc::{Finalize, Gc, GcRefCell, Trace, force_collect};
use peers::Workload;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One managed array of cells: roots of their own would be as many roots.
type Slots<T> = Gc<Vec<GcRefCell<Option<Gc<T>>>>>;

fn slots<T: Trace + 'static>(count: usize) -> Slots<T> {
    Gc::new((0..count).map(|_| GcRefCell::new(None)).collect())
}

fn lacks(workload: Workload) -> Option<&'static str> {
    (workload == Workload::Threads).then_some("its pointers stay on one thread")
}

peers::pointer_peer! {
    peer: BoaGc,
    derive: [Trace, Finalize],
    plain: [#[unsafe_ignore_trace]],
    pointer: Gc,
    cell: GcRefCell,
    slots: Slots of slots,
    collect: force_collect,
    lacks: lacks,
}
