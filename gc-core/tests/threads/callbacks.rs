//! Destructors and hooks that call back into their heap, on collector threads and on others.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use gc_core::{Check, CollectError, Driver, Heap, Policy, StepReport, Trace};

use crate::support::{Tally, heap_with, link, until};

/// A heap that objects inside it may name without keeping it for good: the test empties it.
type Slot = Arc<Mutex<Option<Heap>>>;

/// What a destructor was answered.
struct Answers {
    thread: Option<String>,
    collected: Result<(), CollectError>,
    stepped: Result<StepReport, CollectError>,
    recounted: Result<(), CollectError>,
    verified: Result<(), CollectError>,
}

fn ask_everything(heap: &Heap) -> Answers {
    heap.request_collect();
    let _ = heap.stats();
    Answers {
        thread: thread::current().name().map(str::to_string),
        collected: heap.collect().map(drop),
        stepped: heap.step(1),
        recounted: heap.ledger().map(drop),
        verified: heap.verify().map(drop),
    }
}

fn assert_all_are(answers: &Answers, error: CollectError) {
    assert_eq!(answers.collected, Err(error));
    assert_eq!(answers.stepped, Err(error));
    assert_eq!(answers.recounted, Err(error));
    assert_eq!(answers.verified, Err(error));
}

/// Asks its own heap when it is dropped; the heap stays usable for roots and mutators.
#[derive(Trace)]
#[trace(leaf)]
struct Asks {
    heap: Slot,
    answers: Sender<Answers>,
}

impl Drop for Asks {
    fn drop(&mut self) {
        let heap = self.heap.lock().unwrap();
        if let Some(heap) = &*heap {
            // The test may have its answers and be gone.
            let _ended = self.answers.send(ask_everything(heap));
        }
    }
}

fn heap_with_asker(driver: Driver) -> (Heap, Slot, Receiver<Answers>) {
    let heap = heap_with(driver);
    let slot = Arc::new(Mutex::new(Some(heap.clone())));
    let (send, answers) = channel();
    heap.mutator().enter(|scope| {
        scope.alloc(Asks {
            heap: Arc::clone(&slot),
            answers: send,
        });
    });
    (heap, slot, answers)
}

#[test]
fn a_destructor_is_refused_the_collector_it_runs_in() {
    for driver in [Driver::Manual, Driver::Incremental] {
        let (heap, slot, answers) = heap_with_asker(driver);
        heap.collect().unwrap();
        assert_all_are(&answers.try_recv().unwrap(), CollectError::Busy);
        drop(slot.lock().unwrap().take());
        heap.collect().unwrap();
        assert_eq!(heap.health().total(), 0);
    }
}

#[test]
fn a_destructor_is_refused_on_a_collector_thread_too() {
    for threads in 1..=2 {
        let (heap, slot, answers) = heap_with_asker(Driver::Background(threads));
        heap.request_collect();
        let answers = answers.recv().unwrap();
        assert!(answers.thread.as_ref().unwrap().starts_with("gc-"));
        assert_all_are(&answers, CollectError::Busy);
        drop(slot.lock().unwrap().take());
        heap.collect().unwrap();
        assert_eq!(heap.health().total(), 0);
    }
}

/// Makes the collector report `drop-panicked`, on whichever thread sweeps.
#[derive(Trace)]
#[trace(leaf)]
struct Explosive;

impl Drop for Explosive {
    fn drop(&mut self) {
        resume_unwind(Box::new("a destructor in trouble"));
    }
}

#[test]
fn a_hook_on_a_collector_thread_is_refused() {
    for threads in 1..=2 {
        let (slot, (send, answers)) = (Slot::default(), channel());
        let (slot_of_hook, send) = (Arc::clone(&slot), Mutex::new(send));
        let policy = Policy::on_violation(move |violation| {
            if violation.check != Check::DropPanicked {
                return;
            }
            let heap = slot_of_hook.lock().unwrap();
            let answers = heap.as_ref().map(ask_everything);
            // The test may have its answers and be gone.
            let _ended = send.lock().unwrap().send(answers.unwrap());
        });
        let heap = Heap::builder()
            .driver(Driver::Background(threads))
            .policy(policy)
            .build()
            .unwrap();
        *slot.lock().unwrap() = Some(heap.clone());
        heap.mutator()
            .enter(|scope| scope.alloc(Explosive).address());
        heap.request_collect();
        let answers = answers.recv().unwrap();
        assert!(answers.thread.as_ref().unwrap().starts_with("gc-"));
        assert_all_are(&answers, CollectError::InsideHook);
        until(|| heap.stats().cycles_finished > 0);
        let health = heap.health();
        assert_eq!(health.count(Check::DropPanicked), 1);
        assert!(health.count(Check::HookReentered) > 0);
        assert_eq!(health.count(Check::HookPanicked), 0);
        drop(slot.lock().unwrap().take());
        heap.collect().unwrap();
        assert_eq!(heap.ledger().unwrap().imbalance(), None);
    }
}

/// Uses the heap from its destructor as any thread may: a mutator, an object, a root.
#[derive(Trace)]
#[trace(leaf)]
struct Works {
    heap: Slot,
    tally: Tally,
    done: Sender<u64>,
}

impl Drop for Works {
    fn drop(&mut self) {
        let heap = self.heap.lock().unwrap();
        let Some(heap) = &*heap else { return };
        let mut mutator = heap.mutator();
        let root = mutator.enter(|scope| {
            scope.alloc(self.tally.counted(1));
            scope.root(scope.alloc(link(5)))
        });
        let id = mutator.enter(|scope| scope.get(&root).unwrap().id);
        // The test may be over.
        let _ended = self.done.send(id);
    }
}

#[test]
fn a_destructor_may_allocate_and_root() {
    for driver in [Driver::Manual, Driver::Incremental, Driver::Background(2)] {
        let (heap, tally) = (heap_with(driver), Tally::default());
        let slot = Arc::new(Mutex::new(Some(heap.clone())));
        let (send, done) = channel();
        heap.mutator().enter(|scope| {
            scope.alloc(Works {
                heap: Arc::clone(&slot),
                tally: tally.clone(),
                done: send,
            });
        });
        heap.collect().unwrap();
        assert_eq!(done.recv(), Ok(5));
        drop(slot.lock().unwrap().take());
        heap.collect().unwrap();
        assert_eq!((tally.born(), tally.dropped()), (1, 1));
        assert_eq!((heap.stats().roots, heap.stats().mutators), (0, 0));
        assert_eq!(heap.ledger().unwrap().imbalance(), None);
        assert_eq!(heap.health().total(), 0);
    }
}
