//! What the threaded tests share: heaps, self-checking objects, counted destructors, random numbers,
//! and ways to wait for a condition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use gc_core::{
    Builder, CheckLevel, CollectError, Driver, Edge, Gc, Heap, Ledger, Phase, Policy, Scope, Trace,
    VerifyReport,
};

/// The drivers that run by themselves.
pub(crate) const ACTIVE_DRIVERS: [Driver; 3] = [
    Driver::Incremental,
    Driver::Background(1),
    Driver::Background(2),
];

/// Settings of a heap that records violations and never calls a mutator stalled: how long a thread is
/// kept waiting for a processor is no matter of these tests.
pub(crate) fn builder(driver: Driver) -> Builder {
    Heap::builder()
        .driver(driver)
        .policy(Policy::MARK_UNHEALTHY)
        .stall_deadline(Duration::from_secs(1 << 20))
        .reserve_bytes(1 << 30)
}

pub(crate) fn heap_with(driver: Driver) -> Heap {
    builder(driver).build().unwrap()
}

pub(crate) fn paranoid(driver: Driver) -> Heap {
    builder(driver)
        .checks(CheckLevel::Paranoid)
        .build()
        .unwrap()
}

/// Lets other threads run until `condition` holds.
pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// Steps by hand until the cycle has come to `phase`.
pub(crate) fn step_to(heap: &Heap, phase: Phase) {
    for _ in 0..100_000 {
        if heap.phase() == phase {
            return;
        }
        heap.step(1).unwrap();
    }
    panic!("the cycle never came to {phase}");
}

/// Asks again while mutators of other threads are inside for longer than the heap waits.
pub(crate) fn insist<R>(mut ask: impl FnMut() -> Result<R, CollectError>) -> R {
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(CollectError::MutatorsInside) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn ledger(heap: &Heap) -> Ledger {
    insist(|| heap.ledger())
}

pub(crate) fn verify(heap: &Heap) -> VerifyReport {
    insist(|| heap.verify())
}

/// Nothing was reported, the second opinion agrees, and the accounts balance.
pub(crate) fn assert_sound(heap: &Heap) {
    let report = verify(heap);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(ledger(heap).imbalance(), None);
    let health = heap.health();
    assert!(health.is_healthy() && health.total() == 0, "{health:?}");
}

/// As [`assert_sound`]; moreover the heap serves: it allocates, and a collection frees.
pub(crate) fn assert_serves(heap: &Heap) {
    let mut mutator = heap.mutator();
    let finished = heap.stats().cycles_finished;
    let address = mutator.enter(|scope| {
        let node = scope.alloc(link(7));
        assert_eq!(node.id, 7);
        node.address()
    });
    heap.collect().unwrap();
    assert!(!heap.locate(address).is_object());
    assert!(heap.stats().cycles_finished > finished);
    drop(mutator);
    assert_sound(heap);
}

/// A node of a list.
#[derive(Trace)]
pub(crate) struct Link<'gc> {
    pub(crate) id: u64,
    pub(crate) next: Edge<'gc, Link<'gc>>,
}

pub(crate) fn link<'gc>(id: u64) -> Link<'gc> {
    Link {
        id,
        next: Edge::none(),
    }
}

/// A list of the numbers below `length`, the last one first.
pub(crate) fn list<'gc>(scope: Scope<'gc>, length: u64) -> Gc<'gc, Link<'gc>> {
    let mut head = scope.alloc(link(0));
    for id in 1..length {
        head = scope.alloc(Link {
            id,
            next: Edge::to(head),
        });
    }
    head
}

/// The list is whole. Answers its length.
pub(crate) fn assert_list<'gc>(head: Gc<'gc, Link<'gc>>) -> u64 {
    let (mut at, mut id) = (head, head.id);
    while let Some(next) = at.next.get() {
        assert_eq!(next.id + 1, id, "the list was damaged");
        (at, id) = (next, next.id);
    }
    assert_eq!(id, 0, "the list was cut");
    head.id + 1
}

/// How many counted objects were made and dropped.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    born: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
}

impl Tally {
    pub(crate) fn born(&self) -> u64 {
        self.born.load(Ordering::SeqCst)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::SeqCst)
    }

    pub(crate) fn counted(&self, id: u64) -> Counted {
        self.born.fetch_add(1, Ordering::SeqCst);
        Counted {
            id,
            dropped: Arc::clone(&self.dropped),
        }
    }
}

/// An object with a destructor that is counted.
#[derive(Trace)]
#[trace(leaf)]
pub(crate) struct Counted {
    pub(crate) id: u64,
    dropped: Arc<AtomicU64>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Spreads a number over all bits.
pub(crate) fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A small generator of random numbers, the same for the same seed.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Rng(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// An item, unless there is none.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() {
            return None;
        }
        items.get(self.below(items.len()))
    }
}
