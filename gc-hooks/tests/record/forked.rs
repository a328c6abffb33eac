//! A child of `fork` and the record of its parent.

#![allow(unsafe_code)]

use gc_hooks::{Check, HealthRecord, PreviousRecord};

use crate::support::{fresh, hooks, in_child, is_child, violation};

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(child: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(status: i32) -> !;
}

/// A child of `fork` has the mapping, and keeps its hands off it.
#[test]
fn a_forked_child_writes_nothing_and_ends_nothing() {
    let name = "forked::a_forked_child_writes_nothing_and_ends_nothing";
    let path = is_child().unwrap_or_else(|| fresh("forked"));
    let child = in_child(name, &path, |path| {
        let hooks = hooks(path);
        hooks.report(violation(1));
        // SAFETY: the harness waits for this test alone; the child reports, drops and ends.
        let forked = unsafe { fork() };
        if forked == 0 {
            hooks.report(violation(2));
            let told = hooks.health().last().map_or("", |last| last.reason);
            let is_right = told == "record belongs to the parent process";
            drop(hooks);
            // SAFETY: ends the child at once.
            unsafe { _exit(if is_right { 42 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: waits for the child just made, which nobody else waits for.
        let waited = unsafe { waitpid(forked, &raw mut status, 0) };
        assert_eq!((waited, status), (forked, 42 << 8));
        assert!(
            HealthRecord::create(path, "tested").is_err(),
            "still locked"
        );
        hooks.report(violation(3));
    });
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stdout)
    );
    let record = PreviousRecord::read(&path).unwrap();
    assert_eq!((record.total(), record.count(Check::RecordFailed)), (2, 0));
}
