//! A child of `fork`, which has the heap's memory and none of its collector threads.

use std::env;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::process::Command;

use gc_core::{Check, CollectError, Driver, Heap, ShutdownError};

use crate::support::{assert_list, assert_serves, builder, heap_with, list};

unsafe extern "C" {
    fn fork() -> c_int;
    fn waitpid(child: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn _exit(status: c_int) -> !;
}

/// Says that this process was started by the test for itself.
const ALONE: &str = "SOFTFAIL_FORK_ALONE";
/// What a child ends with that was refused everything it should be.
const REFUSED: c_int = 42;

/// Runs `child` in a fork of this process. Answers its exit code.
fn in_fork(child: impl FnOnce() -> c_int) -> c_int {
    // SAFETY: the caller sees to it that no thread of this process holds a lock that the child needs:
    // the test harness waits for this test, and collector threads without work sleep.
    let process = unsafe { fork() };
    if process == 0 {
        let status = catch_unwind(AssertUnwindSafe(child)).unwrap_or(1);
        // SAFETY: ends the child at once; nothing else of the test runs in it.
        unsafe { _exit(status) };
    }
    assert!(process > 0);
    let mut status = 0;
    // SAFETY: waits for the child just made, which nobody else waits for.
    let waited = unsafe { waitpid(process, &raw mut status, 0) };
    assert_eq!(
        (waited, status & 0x7f),
        (process, 0),
        "the child ended itself"
    );
    status >> 8
}

/// What a child finds; each thing found otherwise has an exit code of its own.
fn look_from_child(heap: &Heap) -> c_int {
    let mut mutator = heap.mutator();
    let findings = [
        heap.collect() == Err(CollectError::Forked),
        heap.health().count(Check::Forked) == 1,
        heap.step(1) == Err(CollectError::Forked),
        heap.ledger() == Err(CollectError::Forked),
        heap.verify() == Err(CollectError::Forked),
        heap.shutdown(std::time::Duration::ZERO)
            == Err(ShutdownError::Refused(CollectError::Forked)),
        catch_unwind(AssertUnwindSafe(|| mutator.enter(|_| ()))).is_err(),
        heap.health().count(Check::Forked) == 6,
        heap.health()
            .first()
            .is_some_and(|violation| violation.check == Check::Forked),
        !heap.health().is_healthy(),
    ];
    match findings.iter().position(|found| !found) {
        None => REFUSED,
        Some(at) => at as c_int + 2,
    }
}

fn alone() {
    // A child that panics has nobody to tell.
    set_hook(Box::new(|_| ()));
    let with_threads = [Driver::Background(1), Driver::Background(2)].map(builder);
    // One that delivers is missing in a child as one that collects is.
    let with_threads = with_threads
        .into_iter()
        .chain([builder(Driver::Manual).deliver_on_own_thread()]);
    for builder in with_threads {
        let heap = builder.build().unwrap();
        let root = heap.mutator().enter(|scope| scope.root(list(scope, 100)));
        assert_eq!(in_fork(|| look_from_child(&heap)), REFUSED);
        // A child that only lets go of what it has does no harm, and does not wait for threads that
        // it does not have.
        let (handle, second) = (heap.clone(), root.clone());
        assert_eq!(
            in_fork(move || {
                drop((second, handle));
                REFUSED
            }),
            REFUSED
        );
        heap.mutator()
            .enter(|scope| assert_eq!(assert_list(scope.get(&root).unwrap()), 100));
        assert_eq!(heap.health().total(), 0, "the parent goes on");
        assert_serves(&heap);
    }
    // Without threads nothing is missing in the child.
    let heap = heap_with(Driver::Incremental);
    let in_child = in_fork(|| {
        heap.collect().unwrap();
        assert_serves(&heap);
        REFUSED
    });
    assert_eq!(in_child, REFUSED);
    assert_serves(&heap);
}

/// Runs itself once more in a process where nothing else is going on: a fork in the midst of other
/// tests would have their locks, held by nobody.
#[test]
fn a_forked_child_is_refused() {
    if env::var_os(ALONE).is_some() {
        return alone();
    }
    let output = Command::new(env::current_exe().unwrap())
        .args([
            "fork::a_forked_child_is_refused",
            "--exact",
            "--test-threads=1",
        ])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}"
    );
}
