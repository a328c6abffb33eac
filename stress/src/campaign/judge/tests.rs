//! The judge on lines of real children, whole and tampered with. The children run on the test's thread.

use super::*;
use crate::campaign::child;
use crate::campaign::fault::Fault;
use crate::campaign::wire;

/// The first control of the root seed 1 with the manual driver and rules that do not abort.
fn control() -> Case {
    let cases = (0..1_000).map(|index| Case::of(1, index));
    let mut controls = cases.filter(|case| {
        let is_manual = case.driver_id() == "manual";
        case.kind == Kind::Control && is_manual && case.rules == Rules::Unhealthy
    });
    controls.next().unwrap()
}

/// The first case of a fault at a level, with rules that do not abort.
fn case_of(name: &str, level: gc_core::CheckLevel) -> Case {
    let cases = (0..5_000).map(|index| Case::of(1, index));
    let fault = Fault::from_name(name).unwrap();
    let mut chosen = cases.filter(|case| {
        let is_of_fault = case.kind == Kind::Fault && case.fault == fault && case.level == level;
        is_of_fault && case.rules != Rules::Abort && case.driver_id() == "manual"
    });
    chosen.next().unwrap()
}

fn lines_of(case: &Case) -> Vec<u8> {
    let mut out = Vec::new();
    child::run(case, None, &mut out).unwrap();
    out
}

fn transcript(case: &Case) -> Transcript {
    let lines = lines_of(case);
    let lines = lines.split_inclusive(|byte| *byte == b'\n');
    Transcript {
        lines: lines.map(|line| wire::read(line).unwrap()).collect(),
        garbage: 0,
        stderr: String::new(),
        exit: Exit::Code(0),
    }
}

fn outcome(case: &Case, transcript: &Transcript) -> Outcome {
    judge(case, transcript).outcome
}

#[test]
fn a_case_is_the_same_each_time() {
    for case in [
        control(),
        case_of("stale-edge", gc_core::CheckLevel::Default),
    ] {
        assert_eq!(lines_of(&case), lines_of(&case), "{case:?}");
    }
}

#[test]
fn a_control_is_benign_and_keeps_its_promise() {
    let case = control();
    let verdict = judge(&case, &transcript(&case));
    assert_eq!((verdict.outcome, verdict.breach), (Outcome::Benign, None));
    assert_eq!((verdict.lost, verdict.is_activated), (0, false));
}

#[test]
fn a_fault_is_found_where_it_was_struck() {
    let case = case_of("stale-edge", gc_core::CheckLevel::Default);
    let verdict = judge(&case, &transcript(&case));
    assert_eq!(verdict.outcome, Outcome::DetectedContained, "{verdict:?}");
    assert!(verdict.is_activated && verdict.is_found);
    assert_eq!((verdict.is_place_right, verdict.breach), (Some(true), None));
}

#[test]
fn every_kind_of_damage_is_seen() {
    let case = control();
    let whole = transcript(&case);
    let tampered = |change: &dyn Fn(&mut Checkpoint)| {
        let mut changed = whole.clone();
        let last = changed.lines.iter_mut().rev().find_map(|line| match line {
            Line::Checkpoint(checkpoint) => Some(checkpoint),
            _ => None,
        });
        change(last.unwrap());
        judge(&case, &changed)
    };
    let changes: [&dyn Fn(&mut Checkpoint); 5] = [
        &|seen| seen.objects.truncate(seen.objects.len() - 1),
        &|seen| seen.objects[0].1 ^= 1,
        &|seen| seen.objects.push((77_777, 1)),
        &|seen| seen.watches = vec![Some(77_777); 4],
        &|seen| seen.dropped.extend([77_777, 77_777]),
    ];
    for change in changes {
        let verdict = tampered(change);
        assert_eq!(verdict.outcome, Outcome::SilentLoss, "{verdict:?}");
        assert_eq!(verdict.breach, Some("live data is lost"));
    }
}

#[test]
fn an_end_that_is_not_one_is_told_by_its_kind() {
    let case = control();
    let whole = transcript(&case);
    let with = |change: &dyn Fn(&mut Transcript)| {
        let mut changed = whole.clone();
        change(&mut changed);
        outcome(&case, &changed)
    };
    let no_end = |seen: &mut Transcript| drop(seen.lines.pop());
    assert_eq!(with(&no_end), Outcome::UndetectedCrash);
    assert_eq!(
        with(&|seen| seen.exit = Exit::Signal(11)),
        Outcome::UndetectedCrash
    );
    assert_eq!(
        with(&|seen| seen.exit = Exit::Signal(6)),
        Outcome::UndetectedCrash
    );
    assert_eq!(
        with(&|seen| seen.exit = Exit::Code(70)),
        Outcome::UndetectedCrash
    );
    assert_eq!(with(&|seen| seen.exit = Exit::Killed), Outcome::Hang);
    assert_eq!(with(&|seen| seen.garbage = 1), Outcome::ReportBroken);
    assert_eq!(
        with(&|seen| seen.lines.insert(0, Line::At { op: 1 << 40 })),
        Outcome::ReportBroken
    );
    let unbalanced = |seen: &mut Transcript| {
        if let Some(Line::End(end)) = seen.lines.last_mut() {
            end.imbalance = Some("bytes live".to_string());
        }
    };
    assert_eq!(with(&unbalanced), Outcome::ReportBroken);
    let sick = |seen: &mut Transcript| {
        if let Some(Line::End(end)) = seen.lines.last_mut() {
            end.is_healthy = false;
        }
    };
    assert_eq!(with(&sick), Outcome::ReportBroken);
}

#[test]
fn a_report_without_a_fault_or_of_another_place_is_wrong() {
    let alarm = |told| Line::Violation(told);
    let case = control();
    let mut changed = transcript(&case);
    changed.lines.insert(0, alarm(Told::default()));
    assert_eq!(judge(&case, &changed).breach, Some("a report is wrong"));

    let case = case_of("stale-edge", gc_core::CheckLevel::Default);
    let mut changed = transcript(&case);
    let first = changed.lines.iter_mut().find_map(|line| match line {
        Line::Violation(told) => Some(told),
        _ => None,
    });
    first.unwrap().slot = Some(40_000);
    assert_eq!(outcome(&case, &changed), Outcome::Misreported);
}

#[test]
fn an_abort_counts_with_its_whole_report_alone() {
    let mut case = case_of("stale-edge", gc_core::CheckLevel::Default);
    let mut aborted = transcript(&case);
    case.rules = Rules::Abort;
    let found = aborted
        .lines
        .iter()
        .position(|line| matches!(line, Line::Violation(_)));
    let Line::Violation(told) = aborted.lines[found.unwrap()].clone() else {
        panic!("no violation");
    };
    aborted.lines.truncate(found.unwrap());
    aborted.exit = Exit::Signal(6);
    let (cycle, span, slot) = (told.cycle, told.span.unwrap(), told.slot.unwrap());
    aborted.stderr = format!(
        "found bad pointer in heap\n  check: {}\n  cycle: {cycle}\n  span: {span}\n  slot: {slot}\nsoftfail: policy abort\n",
        told.check
    );
    assert_eq!(outcome(&case, &aborted), Outcome::DetectedAborted);
    aborted.stderr.truncate(40);
    assert_eq!(outcome(&case, &aborted), Outcome::ReportBroken);
}
