//! Failing calls on demand: the n-th call of a kind fails, once or from then on.
//!
//! Owns the counters of one thread; `os` asks it before each call. Used by tests alone, from the thread whose calls
//! shall fail: other threads, and so other tests of the same process, never see the fault.
//!
//! Invariant: a call that is made to fail never reaches the operating system.
//!
//! Deliberately absent: failures that depend on chance or time.

use std::cell::Cell;

pub use gc_hooks::fault::Persistence;

use crate::error::{OsCall, OsError};

/// `ENOMEM`, the error number of every injected failure.
pub const ERRNO_INJECTED: i32 = 12;

/// Which calls are counted and made to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// Calls of every kind, counted together.
    Any,
    /// Calls of one kind.
    Call(OsCall),
}

#[derive(Clone, Copy)]
struct Plan {
    target: Target,
    /// Counted calls that still work before the fault strikes.
    calls_before: u64,
    persistence: Persistence,
}

thread_local! {
    static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
    static CALLS: Cell<[u64; OsCall::COUNT]> = const { Cell::new([0; OsCall::COUNT]) };
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

/// Makes the call number `nth`, counted from now and from zero, fail on this thread. A fault armed before is replaced.
pub fn fail_nth(target: Target, nth: u64, persistence: Persistence) -> Armed {
    PLAN.set(Some(Plan {
        target,
        calls_before: nth,
        persistence,
    }));
    Armed(())
}

/// How many calls this thread has tried so far, failed ones included.
pub fn calls(target: Target) -> u64 {
    let calls = CALLS.get();
    match target {
        Target::Any => calls.iter().sum(),
        Target::Call(call) => calls.get(call.index()).copied().unwrap_or(0),
    }
}

/// Counts one call and says whether it must fail.
pub(super) fn strike(call: OsCall) -> Result<(), OsError> {
    let mut calls = CALLS.get();
    if let Some(count) = calls.get_mut(call.index()) {
        *count += 1;
    }
    CALLS.set(calls);
    let Some(mut plan) = PLAN.get() else {
        return Ok(());
    };
    if plan.target != Target::Any && plan.target != Target::Call(call) {
        return Ok(());
    }
    if plan.calls_before > 0 {
        plan.calls_before -= 1;
        PLAN.set(Some(plan));
        return Ok(());
    }
    if plan.persistence == Persistence::Once {
        PLAN.set(None);
    }
    Err(OsError {
        call,
        errno: ERRNO_INJECTED,
    })
}
