//! One broken invariant under three policies: abort, hook, mark-unhealthy.
//!
//! `cargo run -p gc-core --example policy`
//!
//! The invariant is broken on purpose, through the unsafe layer alone: an object dies and is swept,
//! its address is kept, and while the next cycle marks, that address is given to the write barrier
//! as the value a store overwrites. This is what a barriered store to an uninitialised slot does in
//! Go bug 30041. The barrier looks at the state byte of the address, finds a free slot, reports it,
//! and follows nothing; what comes next is the policy's.
//!
//! Abort ends a process, so that part runs in a child: this program again, with `--abort`. Exits 0
//! when all three policies did what they say.
#![allow(unsafe_code)]

use std::error::Error;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use gc_core::raw::{self, RawGc};
use gc_core::{Check, Driver, Heap, Mutator, Phase, Policy, Trace};

/// Asks for the part that ends the process.
const ABORT_FLAG: &str = "--abort";

/// The number of SIGABRT.
const SIGABRT: i32 = 6;

/// Steps of one unit within which an empty cycle is marking.
const STEPS_TO_MARK_MAX: usize = 64;

#[derive(Trace)]
struct Reading {
    celsius: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some(ABORT_FLAG) {
        survive(Policy::ABORT)?;
        return Err("the heap should have ended the process".into());
    }
    show_abort()?;
    show_hook()?;
    show_mark_unhealthy()
}

/// The default: report on standard error, then SIGABRT.
fn show_abort() -> Result<(), Box<dyn Error>> {
    println!("policy abort (the default), in a child process:");
    let child = Command::new(std::env::current_exe()?)
        .arg(ABORT_FLAG)
        .output()?;
    for line in String::from_utf8_lossy(&child.stderr).lines() {
        println!("  | {line}");
    }
    println!("  child: {}\n", child.status);
    ensure(
        child.status.signal() == Some(SIGABRT),
        "the child died by SIGABRT",
    )
}

/// A function of the embedder's, called after `enter` has ended, with nothing of the heap held.
fn show_hook() -> Result<(), Box<dyn Error>> {
    println!("policy hook:");
    let told = Arc::new(Mutex::new(Vec::new()));
    let notebook = Arc::clone(&told);
    let heap = survive(Policy::on_violation(move |violation| {
        println!("  hook: {}", violation.first_line());
        notebook
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(violation.check);
    }))?;
    let told = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    println!(
        "  healthy: {} (a hook decides for itself)\n",
        heap.health().is_healthy()
    );
    ensure(told == [Check::FreePointer], "the hook was told once")
}

/// The process goes on, and says of itself that it should be replaced.
fn show_mark_unhealthy() -> Result<(), Box<dyn Error>> {
    println!("policy unhealthy:");
    let health = survive(Policy::MARK_UNHEALTHY)?.health();
    println!(
        "  healthy: {}, {} violation(s)",
        health.is_healthy(),
        health.total()
    );
    if let Some(first) = health.first() {
        println!("  {}", first.to_string().replace('\n', "\n  "));
    }
    ensure(
        !health.is_healthy() && health.total() == 1,
        "one violation turned the health",
    )
}

/// Breaks the invariant, then uses the heap as if nothing had happened and checks all of it.
fn survive(policy: Policy) -> Result<Heap, Box<dyn Error>> {
    let heap = Heap::builder()
        .name("policy")
        .driver(Driver::Manual)
        .policy(policy)
        .build()?;
    let mut mutator = heap.mutator();
    break_an_invariant(&heap, &mut mutator)?;

    let root = mutator.enter(|scope| scope.root(scope.alloc(Reading { celsius: 21.5 })));
    heap.collect()?;
    let celsius = mutator.enter(|scope| scope.get(&root).map(|reading| reading.celsius))?;
    ensure(
        celsius == 21.5 && heap.verify()?.is_clean(),
        "the heap is sound after the violation",
    )?;
    println!("  afterwards: object intact, accounts balanced, heap verified");
    Ok(heap)
}

fn break_an_invariant(heap: &Heap, mutator: &mut Mutator) -> Result<(), Box<dyn Error>> {
    // The neighbour lives on, so the span stays and the dead object's slot is free within it.
    let (stale, _neighbour) = mutator.enter(|scope| {
        let dying: RawGc = scope.alloc(Reading { celsius: 19.0 }).into_raw();
        (dying, scope.root(scope.alloc(Reading { celsius: 20.0 })))
    });
    heap.collect()?;
    heap.request_collect();
    for _ in 0..STEPS_TO_MARK_MAX {
        if heap.phase() == Phase::Mark {
            break;
        }
        heap.step(1)?;
    }
    ensure(heap.phase() == Phase::Mark, "the cycle marks")?;
    mutator.enter(|scope| {
        // SAFETY: broken on purpose, and only so far as the heap contains: `stale` was never loaded
        // from an initialised word. The barrier reads the state byte of the address, which lies in
        // the heap's own side table, and touches neither the slot nor anything behind it.
        unsafe { raw::barrier(scope, Some(stale), None) };
    });
    heap.collect()?;
    Ok(())
}

fn ensure(holds: bool, what: &str) -> Result<(), Box<dyn Error>> {
    if holds {
        Ok(())
    } else {
        Err(format!("expected that {what}").into())
    }
}
