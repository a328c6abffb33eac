//! Failing file calls on demand: the n-th call fails, once or from then on.
//!
//! Only with the feature `fault-inject`. Owns the counters of one thread; `files` asks it before each
//! call. Used by tests alone, from the thread whose calls shall fail: other threads, and so other tests
//! of the same process, never see the fault. Invariant: a call that is made to fail never reaches the
//! operating system. Deliberately absent: failures that depend on chance or time.

use std::cell::Cell;

use super::error::FileCall;
use crate::fault::Persistence;

/// Which calls are counted and made to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// Calls of every kind, counted together.
    Any,
    /// Calls of one kind.
    Call(FileCall),
}

#[derive(Clone, Copy)]
struct Plan {
    target: Target,
    /// Counted calls that still work before the fault strikes.
    calls_before: u64,
    persistence: Persistence,
    errno: i32,
}

thread_local! {
    static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
    static CALLS: Cell<[u64; FileCall::ALL.len()]> = const { Cell::new([0; FileCall::ALL.len()]) };
}

/// A fault in waiting. Dropping it makes the thread's calls work again.
#[derive(Debug)]
#[must_use = "the fault is gone as soon as this value is dropped"]
pub struct Armed(());

impl Drop for Armed {
    fn drop(&mut self) {
        PLAN.set(None);
    }
}

/// Makes the call number `nth`, counted from now and from zero, fail on this thread with an error
/// number. A fault armed before is replaced.
pub fn fail_nth(target: Target, nth: u64, persistence: Persistence, errno: i32) -> Armed {
    PLAN.set(Some(Plan {
        target,
        calls_before: nth,
        persistence,
        errno,
    }));
    Armed(())
}

/// How many calls this thread has tried so far, failed ones included.
pub fn calls(target: Target) -> u64 {
    let calls = CALLS.get();
    match target {
        Target::Any => calls.iter().sum(),
        Target::Call(call) => calls[call as usize],
    }
}

/// Counts one call and says by which error it must fail, if it must.
pub(super) fn strike(call: FileCall) -> Option<i32> {
    let mut calls = CALLS.get();
    calls[call as usize] += 1;
    CALLS.set(calls);
    let mut plan = PLAN.get()?;
    if plan.target != Target::Any && plan.target != Target::Call(call) {
        return None;
    }
    if plan.calls_before > 0 {
        plan.calls_before -= 1;
        PLAN.set(Some(plan));
        return None;
    }
    if plan.persistence == Persistence::Once {
        PLAN.set(None);
    }
    Some(plan.errno)
}
