//! Recording allocates nothing and waits for nobody: it may happen inside the allocator.
//!
//! The allocator of this test counts, and on demand refuses, what the calling thread asks for. It
//! is the one place of this package with unsafe code, for an allocator cannot be written without.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, exit};
use std::ptr;

use gc_hooks::{Address, Check, Hooks, Origin, Phase, Policy, RECENT_MAX, Response, Violation};

/// Set in the child process that is to die.
const CHILD_VARIABLE: &str = "GC_HOOKS_RECORDING_CHILD";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Grants,
    Refuses,
}

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static MANNER: Cell<Manner> = const { Cell::new(Manner::Grants) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: memory comes from `System` and goes back to it with the layout it came with; a refusal is
// a null pointer, as the trait demands. The cells are constants without destructors, so using them
// allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        if MANNER.get() == Manner::Refuses {
            return ptr::null_mut();
        }
        // SAFETY: the caller's promise for `layout` is the one `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: every pointer this allocator gave out came from `System` with the same layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn allocations_of(act: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    act();
    ALLOCATIONS.get() - before
}

fn violation(cycle: u32) -> Violation {
    Violation::new(Check::BadPointer)
        .with_cycle(cycle)
        .with_phase(Phase::Mark)
        .with_reason("pointer to unallocated span")
        .with_address(Address::Offset(64))
        .with_origin(Origin::Scan)
        .with_number("slots", 512)
}

#[test]
fn the_allocator_of_this_test_counts() {
    assert_eq!(
        allocations_of(|| drop(std::hint::black_box(Box::new(7)))),
        1
    );
}

#[test]
fn recording_allocates_nothing_whatever_the_response_and_however_full_the_rings() {
    let responses = [Response::Count, Response::MarkUnhealthy, Response::Hook];
    for response in responses {
        let policy = Policy::on_violation(|_| {}).with(Check::BadPointer, response);
        let hooks = Hooks::new(policy);
        let allocations = allocations_of(|| {
            for cycle in 0..1_000 {
                let is_held = hooks.holds(Check::BadPointer, false, || violation(cycle));
                assert!(!is_held);
            }
        });
        assert_eq!(allocations, 0, "{response}");
        assert_eq!(hooks.health().count(Check::BadPointer), 1_000);
        assert_eq!(hooks.health().recent().len(), RECENT_MAX);
    }
}

#[test]
fn polling_the_health_allocates_nothing() {
    let hooks = Hooks::new(Policy::MARK_UNHEALTHY);
    let health = hooks.health();
    hooks.report(violation(1));
    let allocations = allocations_of(|| {
        assert!(!health.is_healthy());
        assert_eq!((health.count(Check::BadPointer), health.total()), (1, 1));
        assert!(health.first().is_some());
    });
    assert_eq!(allocations, 0);
}

#[test]
fn a_policy_abort_writes_its_report_without_allocating() {
    if env::var_os(CHILD_VARIABLE).is_some() {
        let hooks = Hooks::new(Policy::ABORT);
        // From here on an allocation ends the process with a message of its own in place of the
        // report.
        MANNER.set(Manner::Refuses);
        hooks.report(violation(2));
        // A child that lives on must not go on to run a child of its own.
        exit(0);
    }
    let child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "a_policy_abort_writes_its_report_without_allocating",
            "--nocapture",
        ])
        .env(CHILD_VARIABLE, "1")
        .output()
        .unwrap();
    assert_eq!(child.status.signal(), Some(6), "{:?}", child.status);
    let recorded = Violation {
        sequence: 1,
        ..violation(2)
    };
    let expected = format!("{recorded}\nsoftfail: policy abort\n");
    assert_eq!(String::from_utf8(child.stderr).unwrap(), expected);
}
