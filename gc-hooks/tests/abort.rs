//! A policy that aborts ends the process by SIGABRT, and says on standard error why.
//!
//! Each test runs itself again in a child process, with a variable set that makes it do the deed.

use std::env;
use std::num::NonZeroU64;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, exit};

use gc_hooks::{Check, Escalation, Hooks, Policy, Response, Violation};

const CHILD_VARIABLE: &str = "GC_HOOKS_ABORT_CHILD";

/// The number of SIGABRT on every Linux.
const SIGABRT: i32 = 6;

/// In the child: does the deed, which must not come back. In the parent: runs the child and gives
/// what became of it.
fn in_child(test: &str, deed: impl FnOnce()) -> Output {
    if env::var_os(CHILD_VARIABLE).is_some() {
        deed();
        // A child that lives on must not go on to run a child of its own.
        exit(0);
    }
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD_VARIABLE, "1")
        .output()
        .unwrap()
}

#[track_caller]
fn assert_died_of(violation: &Violation, child: &Output) {
    let stderr = String::from_utf8(child.stderr.clone()).unwrap();
    assert_eq!(child.status.signal(), Some(SIGABRT), "{stderr}");
    let first_line = violation.first_line().to_string();
    assert_eq!(stderr.lines().next(), Some(first_line.as_str()), "{stderr}");
    assert_eq!(stderr, format!("{violation}\nsoftfail: policy abort\n"));
}

#[test]
fn the_default_policy_dies_of_a_broken_invariant() {
    let violation = Violation::new(Check::SweepCount)
        .with_cycle(3)
        .with_number("allocated", 3)
        .with_number("marked", 4);
    let child = in_child("the_default_policy_dies_of_a_broken_invariant", || {
        let hooks = Hooks::new(Policy::default());
        let _ = hooks.holds(Check::SweepCount, 4 <= 3, || violation);
    });
    assert_died_of(
        &Violation {
            sequence: 1,
            ..violation
        },
        &child,
    );
}

#[test]
fn the_first_line_carries_the_reason() {
    let violation = Violation::new(Check::BadPointer).with_reason("pointer to unallocated span");
    let child = in_child("the_first_line_carries_the_reason", || {
        Hooks::new(Policy::ABORT).report(violation);
    });
    assert_died_of(
        &Violation {
            sequence: 1,
            ..violation
        },
        &child,
    );
}

#[test]
fn escalation_dies_at_exactly_its_violation() {
    let child = in_child("escalation_dies_at_exactly_its_violation", || {
        let after = NonZeroU64::new(1_000).unwrap();
        let escalation = Escalation::after(after, Response::Abort);
        let hooks = Hooks::new(Policy::COUNT.with_escalation(escalation));
        for cycle in 1..=2_000 {
            hooks.report(Violation::new(Check::Zombie).with_cycle(cycle));
        }
    });
    let last = Violation {
        sequence: 1_000,
        ..Violation::new(Check::Zombie).with_cycle(1_000)
    };
    assert_died_of(&last, &child);
}

#[test]
fn a_strict_policy_dies_of_what_the_world_does() {
    let child = in_child("a_strict_policy_dies_of_what_the_world_does", || {
        Hooks::new(Policy::STRICT).report(Violation::new(Check::OsCall));
    });
    assert_died_of(
        &Violation {
            sequence: 1,
            ..Violation::new(Check::OsCall)
        },
        &child,
    );
}

#[test]
fn an_abort_waits_for_no_hook_that_hangs() {
    let child = in_child("an_abort_waits_for_no_hook_that_hangs", || {
        let policy = Policy::HOOK.with(Check::Ledger, Response::Abort);
        let (entered, has_entered) = std::sync::mpsc::channel();
        let hooks = Hooks::new(policy.with_hook(move |_| {
            entered.send(()).unwrap();
            loop {
                std::thread::park();
            }
        }));
        hooks.report(Violation::new(Check::Zombie));
        std::thread::scope(|scope| {
            scope.spawn(|| hooks.deliver());
            has_entered.recv().unwrap();
            hooks.report(Violation::new(Check::Ledger));
            // The scope would wait for the hook for ever.
            exit(0);
        });
    });
    assert_died_of(
        &Violation {
            sequence: 2,
            ..Violation::new(Check::Ledger)
        },
        &child,
    );
}
