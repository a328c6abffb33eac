//! Mutators that come and go: leases given back, panics, thread-locals, leaks, crowds.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use gc_core::raw::{RawGc, Stack};
use gc_core::{Driver, Gc, Heap, Mutator, Phase, Root};

use crate::support::{
    ACTIVE_DRIVERS, Link, Tally, assert_list, assert_serves, assert_sound, builder, heap_with,
    ledger, link, list, paranoid, step_to,
};

#[test]
fn a_thread_that_ends_gives_its_leases_back() {
    const LIMIT_BYTES: usize = 256 << 10;
    for driver in ACTIVE_DRIVERS {
        let heap = builder(driver).limit_bytes(LIMIT_BYTES).build().unwrap();
        // Each leases a span for one object. Together they would need more than there is.
        let member = || {
            let mut mutator = heap.mutator();
            let member = thread::spawn(move || mutator.enter(|scope| scope.root(list(scope, 1))));
            member.join().unwrap()
        };
        let roots: Vec<_> = (0..1000).map(|_| member()).collect();
        assert_eq!((heap.stats().mutators, ledger(&heap).bytes_leased), (0, 0));
        heap.mutator().enter(|scope| {
            let mut lists = roots.iter().map(|root| scope.get(root).unwrap());
            assert!(lists.all(|list| assert_list(list) == 1));
        });
        assert_serves(&heap);
    }
}

#[test]
fn what_a_parked_mutator_leases_is_there_for_others() {
    for driver in ACTIVE_DRIVERS {
        let heap = heap_with(driver);
        let mut mutator = heap.mutator();
        let kept = mutator.enter(|scope| scope.root(list(scope, 10)));
        assert!(ledger(&heap).bytes_leased > 0);
        mutator.parked(|| {
            assert_eq!(ledger(&heap).bytes_leased, 0);
            let bytes_in_spans = heap.stats().bytes_in_spans;
            thread::scope(|threads| {
                threads.spawn(|| heap.mutator().enter(|scope| assert_list(list(scope, 10))));
            });
            assert_eq!(
                heap.stats().bytes_in_spans,
                bytes_in_spans,
                "the same span serves"
            );
        });
        mutator.enter(|scope| {
            assert_eq!(assert_list(scope.get(&kept).unwrap()), 10);
            assert_eq!(assert_list(list(scope, 10)), 10);
        });
        assert_sound(&heap);
    }
}

/// A heap by hand that marks: the end of a rooted list of a hundred is still white.
fn marking() -> (Heap, Root<Link<'static>>) {
    let heap = paranoid(Driver::Manual);
    let root = heap.mutator().enter(|scope| scope.root(list(scope, 100)));
    heap.request_collect();
    step_to(&heap, Phase::Mark);
    heap.step(10).unwrap();
    assert_eq!(heap.phase(), Phase::Mark);
    (heap, root)
}

/// Takes the end of the list away, from the node with the number ten on, and puts it where the marker
/// was already. Only the barrier's grey object leads the marker to it.
fn move_the_end(mutator: &mut Mutator, root: &Root<Link<'static>>) -> Root<Link<'static>> {
    mutator.enter(|scope| {
        let mut last = scope.get(root).unwrap();
        while last.id != 10 {
            last = last.next.get().unwrap();
        }
        let (end, holder) = (last.next.take(scope), scope.alloc(link(10)));
        holder.next.set(scope, end);
        scope.root(holder)
    })
}

fn assert_moved(heap: &Heap, root: &Root<Link<'static>>, holder: &Root<Link<'static>>) {
    heap.collect().unwrap();
    assert_eq!(heap.stats().cycles_voided, 0);
    heap.mutator().enter(|scope| {
        assert_eq!(assert_list(scope.get(holder).unwrap()), 11);
        let mut last = scope.get(root).unwrap();
        while let Some(next) = last.next.get() {
            last = next;
        }
        assert_eq!(last.id, 10);
    });
    assert_serves(heap);
}

#[test]
fn grey_objects_outlive_the_mutator_that_shaded_them() {
    let (heap, root) = marking();
    let holder = thread::scope(|threads| {
        let member = threads.spawn(|| move_the_end(&mut heap.mutator(), &root));
        member.join().unwrap()
    });
    assert_eq!((heap.phase(), heap.stats().mutators), (Phase::Mark, 0));
    assert_moved(&heap, &root, &holder);
}

#[test]
fn grey_objects_outlive_a_panic() {
    for goes_on in [false, true] {
        let (heap, root) = marking();
        let holder = thread::scope(|threads| {
            let member = threads.spawn(|| {
                let mut mutator = heap.mutator();
                let holder = move_the_end(&mut mutator, &root);
                let panicked = catch_unwind(AssertUnwindSafe(|| {
                    mutator.enter(|scope| {
                        let end = scope.get(&root).unwrap();
                        end.next.set(scope, end.next.get());
                        resume_unwind(Box::new("a mutator in trouble"));
                    });
                }));
                assert!(panicked.is_err());
                if goes_on {
                    // The mutator may be entered again, in this cycle and in the next.
                    mutator.enter(|scope| assert_eq!(list(scope, 10).id, 9));
                    heap.collect().unwrap();
                    mutator.enter(|scope| assert_eq!(list(scope, 10).id, 9));
                }
                holder
            });
            member.join().unwrap()
        });
        assert_moved(&heap, &root, &holder);
    }
}

#[test]
fn a_panic_inside_enter_ends_the_thread_and_not_the_heap() {
    for driver in ACTIVE_DRIVERS {
        let (heap, tally) = (heap_with(driver), Tally::default());
        for id in 0..100 {
            let (mut mutator, tally) = (heap.mutator(), tally.clone());
            heap.request_collect();
            let member = thread::spawn(move || {
                mutator.enter(|scope| {
                    let _kept_by_nobody = scope.alloc(tally.counted(id));
                    resume_unwind(Box::new("a mutator in trouble"));
                });
            });
            assert!(member.join().is_err());
        }
        assert_eq!(heap.stats().mutators, 0);
        heap.collect().unwrap();
        assert_eq!((tally.born(), tally.dropped()), (100, 100));
        assert_serves(&heap);
    }
}

/// A mutator in a thread-local, which uses the heap once more when the thread is almost gone.
struct Member {
    mutator: Mutator,
    root: Root<Link<'static>>,
    others_gone: &'static AtomicU64,
}

impl Drop for Member {
    fn drop(&mut self) {
        let root = &self.root;
        let length = self.mutator.enter(|scope| {
            list(scope, 100);
            assert_list(scope.get(root).unwrap())
        });
        assert_eq!(length, 100);
        for is_gone in [
            EARLY.try_with(|_| ()).is_err(),
            LATE.try_with(|_| ()).is_err(),
        ] {
            self.others_gone
                .fetch_add(u64::from(is_gone), Ordering::Relaxed);
        }
    }
}

/// Has a destructor, so that its thread-local can be gone.
#[derive(Default)]
struct Mark(Cell<u8>);

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.set(1);
    }
}

thread_local! {
    static EARLY: Mark = Mark::default();
    static MEMBER: RefCell<Option<Member>> = const { RefCell::new(None) };
    static LATE: Mark = Mark::default();
}

#[test]
fn a_mutator_may_end_after_other_thread_locals() {
    static OTHERS_GONE: AtomicU64 = AtomicU64::new(0);
    for driver in ACTIVE_DRIVERS {
        let heap = heap_with(driver);
        let root = heap.mutator().enter(|scope| scope.root(list(scope, 100)));
        OTHERS_GONE.store(0, Ordering::Relaxed);
        for _ in 0..20 {
            let member = Member {
                mutator: heap.mutator(),
                root: root.clone(),
                others_gone: &OTHERS_GONE,
            };
            let thread = thread::spawn(move || {
                EARLY.with(|early| early.0.set(2));
                MEMBER.set(Some(member));
                LATE.with(|late| late.0.set(2));
            });
            heap.request_collect();
            thread.join().unwrap();
        }
        let gone = OTHERS_GONE.load(Ordering::Relaxed);
        assert_eq!(gone, 20, "one of the two had gone before it, each time");
        assert_eq!((heap.stats().mutators, ledger(&heap).bytes_leased), (0, 0));
        assert_serves(&heap);
    }
}

#[test]
fn a_leaked_mutator_keeps_nobody_waiting() {
    for driver in [Driver::Manual, Driver::Incremental, Driver::Background(1)] {
        let (heap, tally) = (heap_with(driver), Tally::default());
        let root = heap.mutator().enter(|scope| scope.root(list(scope, 100)));
        thread::scope(|threads| {
            threads.spawn(|| {
                let mut mutator = heap.mutator();
                heap.request_collect();
                mutator.enter(|scope| {
                    let head = scope.get(&root).unwrap();
                    head.next.set(scope, head.next.get());
                    scope.alloc(tally.counted(0)).id
                });
                core::mem::forget(mutator);
            });
        });
        heap.collect().unwrap();
        heap.collect().unwrap();
        assert_eq!((heap.stats().mutators, tally.dropped()), (1, 1));
        assert!(ledger(&heap).bytes_leased > 0, "its leases are lost");
        heap.mutator()
            .enter(|scope| assert_eq!(assert_list(scope.get(&root).unwrap()), 100));
        assert_serves(&heap);
        // The leaked mutator keeps the heap, and its collector threads, to the end of the process.
        heap.shutdown(std::time::Duration::MAX / 4).unwrap();
    }
}

#[test]
fn a_thousand_short_threads() {
    const THREADS: u64 = 1000;
    let (heap, tally) = (heap_with(Driver::Background(1)), Tally::default());
    let shared = heap.mutator().enter(|scope| scope.root(list(scope, 10)));
    for first in (0..THREADS).step_by(8) {
        thread::scope(|threads| {
            for id in first..first + 8 {
                let (heap, shared, tally) = (&heap, &shared, &tally);
                threads.spawn(move || {
                    heap.mutator().enter(|scope| {
                        scope.alloc(tally.counted(id));
                        let head = scope.get(shared).unwrap();
                        // The object that was shaded last is this thread's, and the thread goes.
                        let end = list(scope, 9);
                        assert_eq!(assert_list(head), 10);
                        head.next.set(scope, end);
                    });
                    if id % 16 == 0 {
                        heap.request_collect();
                    }
                });
            }
        });
    }
    heap.mutator()
        .enter(|scope| assert_eq!(assert_list(scope.get(&shared).unwrap()), 10));
    assert_eq!((heap.stats().mutators, ledger(&heap).bytes_leased), (0, 0));
    heap.collect().unwrap();
    assert_eq!((tally.born(), tally.dropped()), (THREADS, THREADS));
    assert_eq!(ledger(&heap).objects, 10);
    assert_serves(&heap);
}

/// A parked mutator whose value stack alone keeps an object.
struct Parked {
    mutator: Mutator,
    stack: Stack,
    address: usize,
}

fn park(heap: &Heap, id: u64) -> Parked {
    let mut mutator = heap.mutator();
    let stack = mutator.stack(2);
    stack.push_frame(1).unwrap();
    let address = mutator.enter(|scope| {
        let head = list(scope, id + 1);
        // SAFETY: the object was just allocated in the heap whose mutator owns the stack.
        unsafe { stack.init(0, Some(head.into_raw())) }.unwrap();
        head.address()
    });
    mutator.parked(|| ());
    Parked {
        mutator,
        stack,
        address,
    }
}

fn assert_kept(parked: &mut Parked, id: u64) {
    let Parked { mutator, stack, .. } = parked;
    mutator.enter(|scope| {
        let raw: RawGc = stack.get(0).unwrap().unwrap();
        // SAFETY: a list was put there, and the live slot kept it.
        let head: Gc<'_, Link<'_>> = unsafe { Gc::from_raw(scope, raw) };
        assert_eq!(assert_list(head), id + 1);
    });
}

#[test]
fn five_hundred_parked_mutators_keep_their_stacks_alive() {
    const MUTATORS: u64 = 500;
    for driver in [Driver::Manual, Driver::Background(2)] {
        let heap = paranoid(driver);
        let (send, receive) = channel();
        // Parked on two threads, looked at on a third.
        thread::scope(|threads| {
            for half in 0..2 {
                let (heap, send) = (&heap, send.clone());
                threads.spawn(move || {
                    for id in (half..MUTATORS).step_by(2) {
                        send.send((id, park(heap, id % 20))).unwrap();
                    }
                });
            }
        });
        drop(send);
        let mut parked: Vec<(u64, Parked)> = receive.iter().collect();
        assert_eq!(
            (heap.stats().mutators, heap.stats().roots),
            (MUTATORS as usize, 0)
        );
        for _ in 0..3 {
            heap.collect().unwrap();
            for (id, parked) in &mut parked {
                assert_kept(parked, *id % 20);
            }
        }
        for (_, parked) in &mut parked {
            parked.stack.retire(0..1).unwrap();
        }
        heap.collect().unwrap();
        assert_eq!(ledger(&heap).objects, 0);
        assert!(
            parked
                .iter()
                .all(|(_, parked)| !heap.locate(parked.address).is_object())
        );
        drop(parked);
        assert_serves(&heap);
    }
}
