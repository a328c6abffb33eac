//! The gate over every interleaving and every order that the language allows.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test -p gc-core --lib --release loom`. The gate is the real
//! one. A lock with a list stands for crossbeam's deques, into which loom cannot see; what helpers
//! and coordinator prepare for each other stands in cells that loom watches for races.

use std::sync::PoisonError;

use gc_hooks::sync::{Mutex, MutexGuard, yield_now};
use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::thread;

use super::*;

fn model(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

struct Case {
    gate: Gate,
    /// Written by the coordinator before it opens and after it has closed.
    prepared: UnsafeCell<()>,
    /// One for each helper, written behind the gate.
    work: [UnsafeCell<()>; 2],
}

fn case() -> Arc<Case> {
    Arc::new(Case {
        gate: Gate::closed(),
        prepared: UnsafeCell::new(()),
        work: [UnsafeCell::new(()), UnsafeCell::new(())],
    })
}

#[test]
fn loom_what_helpers_did_is_seen_and_nobody_joins_later() {
    model(3, || {
        let case = case();
        let helpers: Vec<_> = (0..2)
            .map(|number| {
                let case = Arc::clone(&case);
                thread::spawn(move || {
                    if let Some(_helping) = case.gate.join() {
                        case.prepared.with(|_| ());
                        case.work[number].with_mut(|_| ());
                    }
                })
            })
            .collect();
        case.prepared.with_mut(|_| ());
        case.gate.open();
        while case.gate.close() != Closed::Empty {
            yield_now();
        }
        case.prepared.with_mut(|_| ());
        case.work.iter().for_each(|work| work.with(|_| ()));
        assert!(!case.gate.is_open() && case.gate.join().is_none());
        for helper in helpers {
            helper.join().unwrap();
        }
    });
}

#[test]
fn loom_a_gate_can_be_opened_again() {
    model(3, || {
        let case = case();
        let helper = {
            let case = Arc::clone(&case);
            thread::spawn(move || {
                for _ in 0..2 {
                    if let Some(_helping) = case.gate.join() {
                        case.prepared.with(|_| ());
                        case.work[0].with_mut(|_| ());
                    }
                }
            })
        };
        for _ in 0..2 {
            case.gate.open();
            while case.gate.close() != Closed::Empty {
                yield_now();
            }
            case.prepared.with_mut(|_| ());
            case.work[0].with(|_| ());
        }
        helper.join().unwrap();
    });
}

/// A chain of grey objects: each leads to the next one.
struct Chain {
    gate: Gate,
    grey: Mutex<Vec<u32>>,
    scanned: AtomicU32,
}

const LINKS: u32 = 3;

impl Chain {
    fn new() -> Arc<Chain> {
        Arc::new(Chain {
            gate: Gate::closed(),
            grey: Mutex::new(vec![1]),
            scanned: AtomicU32::new(0),
        })
    }

    fn grey(&self) -> MutexGuard<'_, Vec<u32>> {
        self.grey.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Scans one object, which is in nobody's deque meanwhile. False when there is none.
    fn mark(&self) -> bool {
        let Some(link) = self.grey().pop() else {
            return false;
        };
        self.scanned.fetch_add(1, Ordering::Relaxed);
        if link < LINKS {
            self.grey().push(link + 1);
        }
        true
    }

    /// As the coordinator ends marking: dry, gate closed, nobody behind it, one last look.
    fn terminate(&self) {
        loop {
            while self.mark() {}
            if self.gate.close() != Closed::Empty {
                self.gate.open();
                yield_now();
            } else if self.grey().is_empty() {
                break;
            }
        }
        assert_eq!(
            self.scanned.load(Ordering::Relaxed),
            LINKS,
            "terminated too early"
        );
    }
}

fn chain_among_helpers(help: fn(&Chain)) {
    model(3, move || {
        let chain = Chain::new();
        chain.gate.open();
        let helper = {
            let chain = Arc::clone(&chain);
            thread::spawn(move || help(&chain))
        };
        chain.terminate();
        helper.join().unwrap();
    });
}

#[test]
fn loom_marking_ends_when_helpers_have_nothing_left() {
    chain_among_helpers(|chain| {
        if let Some(_helping) = chain.gate.join() {
            chain.mark();
        }
    });
}

#[test]
#[should_panic(expected = "terminated too early")]
fn loom_work_of_helpers_outside_the_gate_would_be_missed() {
    chain_among_helpers(|chain| {
        chain.mark();
    });
}
