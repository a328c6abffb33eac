//! A record that fails while its heap lives: told once, and nothing else changes.

use std::fs::{self, OpenOptions};
use std::path::Path;

use gc_hooks::fault::Persistence;
use gc_hooks::record::FileCall;
use gc_hooks::record::fault::{Target, fail_nth};
use gc_hooks::{Check, HealthRecord, Hooks, Policy, PreviousRecord, Violation};

use crate::support::{beside, fresh, hooks, in_child, is_child, violation};

/// After two violations the record fails; then three more, and a delivery.
#[track_caller]
fn assert_told_once(name: &str, break_it: impl FnOnce(&Path), reason: &str) -> Hooks {
    let path = fresh(name);
    let hooks = hooks(&path);
    hooks.report(violation(1));
    hooks.report(violation(2));
    break_it(&path);
    for number in 3..=5 {
        hooks.report(violation(number));
        hooks.deliver();
    }
    let health = hooks.health();
    assert_eq!(health.count(Check::RecordFailed), 1);
    assert_eq!(health.total(), 6, "all are counted");
    assert!(health.is_healthy(), "counted is all that the policy says");
    let told: Vec<Violation> = health.recent();
    let failed = told.iter().find(|told| told.check == Check::RecordFailed);
    assert_eq!(
        failed.map(|failed| (failed.sequence, failed.reason)),
        Some((4, reason))
    );
    hooks
}

#[test]
fn a_file_that_was_cut_short_does_not_end_the_process() {
    let cut = |path: &Path| {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(100).unwrap();
    };
    assert_told_once("cut", cut, "file was truncated");
}

#[test]
fn a_file_that_was_removed_is_missed() {
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    assert_told_once("removed", remove, "file was removed");
}

#[test]
fn a_file_that_was_moved_is_written_on() {
    let path = fresh("moved");
    let hooks = hooks(&path);
    hooks.report(violation(1));
    fs::rename(&path, beside(&path, ".kept")).unwrap();
    hooks.report(violation(2));
    let record = PreviousRecord::read(beside(&path, ".kept")).unwrap();
    assert_eq!((record.total(), hooks.health().total()), (2, 2));
}

#[test]
fn a_refused_call_fails_the_record_for_good() {
    let path = fresh("refused");
    let hooks = hooks(&path);
    hooks.report(violation(1));
    let armed = fail_nth(Target::Call(FileCall::Stat), 1, Persistence::Once, 5);
    for number in 2..=4 {
        hooks.report(violation(number));
    }
    drop(armed);
    let health = hooks.health();
    assert_eq!((health.count(Check::RecordFailed), health.total()), (1, 5));
    let failed = health.recent()[3];
    assert_eq!(
        (failed.reason, failed.numbers[0].value),
        ("file call was refused", 5)
    );
    drop(hooks);
    let record = PreviousRecord::read(&path).unwrap();
    assert_eq!(
        (record.total(), record.closed()),
        (2, None),
        "a gap is no clean end"
    );
}

/// Nothing was reported, but the health was turned by hand: the next delivery tells.
#[test]
fn a_turn_that_could_not_be_written_is_told_by_the_next_delivery() {
    let path = fresh("turn");
    let hooks = hooks(&path);
    let armed = fail_nth(Target::Call(FileCall::Stat), 0, Persistence::Once, 5);
    hooks.health().mark_unhealthy();
    drop(armed);
    assert_eq!(hooks.health().total(), 0);
    assert_eq!(hooks.deliver().delivered, 1);
    assert_eq!(hooks.health().count(Check::RecordFailed), 1);
}

#[test]
fn one_line_on_standard_error_says_that_the_record_failed() {
    let name = "failing::one_line_on_standard_error_says_that_the_record_failed";
    let path = is_child().unwrap_or_else(|| fresh("line"));
    let child = in_child(name, &path, |path| {
        let hooks = hooks(path);
        fs::remove_file(path).unwrap();
        for number in 1..=3 {
            hooks.report(violation(number));
        }
    });
    let expected = format!(
        "softfail: violation record {}: file was removed; violations are no longer written there\n",
        path.display()
    );
    assert_eq!(String::from_utf8_lossy(&child.stderr), expected);
    assert!(child.status.success());
}

/// The report of the violation itself is still the last word.
#[test]
fn a_policy_that_aborts_tells_the_violation_after_the_line() {
    let name = "failing::a_policy_that_aborts_tells_the_violation_after_the_line";
    let path = is_child().unwrap_or_else(|| fresh("abort"));
    let child = in_child(name, &path, |path| {
        let record = HealthRecord::create(path, "tested").unwrap();
        let hooks = Hooks::with_record(Policy::STRICT, record);
        fs::remove_file(path).unwrap();
        hooks.report(violation(1));
    });
    let told = String::from_utf8_lossy(&child.stderr);
    let mut lines = told.lines();
    assert!(lines.next().unwrap().contains("file was removed"), "{told}");
    let first_line = violation(1).first_line().to_string();
    assert_eq!(lines.next(), Some(first_line.as_str()));
    assert!(told.ends_with("softfail: policy abort\n"), "{told}");
}

#[test]
fn a_heap_that_goes_on_without_its_record_says_so_first() {
    let name = "failing::a_heap_that_goes_on_without_its_record_says_so_first";
    let path = is_child().unwrap_or_else(|| fresh("without"));
    let child = in_child(name, &path, |path| {
        let path = path.join("below");
        let error = HealthRecord::create(&path, "tested").unwrap_err();
        let hooks = Hooks::without_record(Policy::COUNT, &error);
        let first = hooks.health().first().unwrap();
        assert_eq!(first.check, Check::RecordFailed);
        assert_eq!(first.reason, "record could not be created");
        assert_eq!(first.numbers[0].label, "errno");
    });
    let told = String::from_utf8_lossy(&child.stderr);
    assert!(told.starts_with("softfail: violation record "), "{told}");
    assert!(told.ends_with("; going on without it\n"), "{told}");
    assert_eq!(told.lines().count(), 1);
    assert!(child.status.success(), "{told}");
}
