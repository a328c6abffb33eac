//! Bug 30041 among threads: a barrier that is handed dead pointers as old values.
//!
//! What it is handed may be dead and swept, which is reported at the barrier, or dead and not swept yet.
//! Neither may have a later scan meet what was freed: every report names the barrier.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gc_core::raw::{self, RawGc};
use gc_core::{CheckLevel, Driver, Edge, Heap, Mutator, Origin, Policy, Trace};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use crate::program::give_way;
use crate::scene::step_until;
use crate::{Search, explore};

const MUTATORS: usize = 2;
const ENTERS: usize = 16;
/// Dead pointers that a mutator remembers.
const REMEMBERED: usize = 4;

#[derive(Trace)]
struct Link<'gc> {
    next: Edge<'gc, Link<'gc>>,
}

fn heap() -> Heap {
    Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::COUNT)
        .checks(CheckLevel::Default)
        .reserve_bytes(8 << 20)
        .stall_deadline(Duration::MAX)
        .build()
        .unwrap()
}

/// Makes pairs that die at once, and shades the first of each afterwards.
fn shade_the_dead(mutator: &mut Mutator) {
    let mut dead: Vec<RawGc> = Vec::new();
    for _ in 0..ENTERS {
        give_way(4);
        mutator.enter(|scope| {
            for _ in 0..2 {
                let second = scope.alloc(Link { next: Edge::none() });
                let first = scope.alloc(Link {
                    next: Edge::to(second),
                });
                dead.push(first.into_raw());
            }
            let kept = dead.len().saturating_sub(REMEMBERED);
            dead.drain(..kept);
            give_way(3);
            let junk = dead[thread_rng().gen_range(0..dead.len())];
            // SAFETY: deliberately broken: what the pointer leads to may be dead. The word was once a pointer of this
            // heap, which is all that the barrier looks at before it asks the state table.
            #[allow(unsafe_code)]
            unsafe {
                raw::barrier(scope, Some(junk), None);
            };
        });
    }
}

fn play(origins: &Mutex<BTreeSet<Origin>>) {
    let (heap, running) = (heap(), Arc::new(AtomicUsize::new(MUTATORS)));
    let mutators: Vec<_> = (0..MUTATORS)
        .map(|_| {
            let (heap, running) = (heap.clone(), Arc::clone(&running));
            thread::spawn(move || {
                let mut mutator = heap.mutator();
                shade_the_dead(&mut mutator);
                drop(mutator);
                running.fetch_sub(1, Ordering::Relaxed);
            })
        })
        .collect();
    let collector = {
        let (heap, running) = (heap.clone(), Arc::clone(&running));
        thread::spawn(move || {
            step_until(
                &heap,
                || heap.request_collect(),
                || running.load(Ordering::Relaxed) == 0,
            )
        })
    };
    for mutator in mutators {
        mutator.join().unwrap();
    }
    collector.join().unwrap();
    for _ in 0..2 {
        heap.collect().unwrap();
    }
    for violation in heap.health().recent() {
        assert!(violation.call_site.is_some(), "{violation}");
        origins.lock().unwrap().insert(violation.origin);
    }
    let (report, ledger) = (heap.verify().unwrap(), heap.ledger().unwrap());
    assert!(report.is_clean(), "{report:?}");
    assert!(ledger.is_balanced() && ledger.objects == 0, "{ledger:?}");
}

#[test]
fn a_barrier_with_dead_pointers_is_all_that_is_reported() {
    let origins: Arc<Mutex<BTreeSet<_>>> = Arc::default();
    for search in [Search::Random(4000), Search::Pct(4000, 3)] {
        let met = Arc::clone(&origins);
        explore(search, move || play(&met));
    }
    let met = origins.lock().unwrap();
    assert_eq!(*met, BTreeSet::from([Origin::BarrierOld]));
}
