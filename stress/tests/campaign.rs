//! A small campaign through the binary: outcomes, streams, exit codes, and that its cases depend on
//! nothing but their numbers.
#![cfg(feature = "fault-inject")]

use std::collections::BTreeMap;
use std::process::{Command, Output};

use serde_json::Value;

fn gc_stress(line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gc-stress"));
    command.args(line.split_whitespace()).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn sixty_cases_have_one_outcome_each_and_an_end_that_adds_up() {
    let output = gc_stress("campaign --cases 0..60 --json --jobs 2");
    let lines = lines(&output);
    let (end, cases) = lines.split_last().unwrap();
    assert_eq!(cases.len(), 60);
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    for (number, case) in cases.iter().enumerate() {
        assert_eq!(case["event"], "case");
        assert_eq!(case["case"], number as u64);
        *outcomes
            .entry(case["outcome"].as_str().unwrap())
            .or_default() += 1;
        if case["fault"] == "control" {
            assert_eq!(
                (&case["outcome"], &case["activated"]),
                (&"benign".into(), &false.into())
            );
        }
    }
    let count = |outcome| outcomes.get(outcome).copied().unwrap_or_default();
    assert_eq!(end["event"], "end");
    assert_eq!(end["cases"], 60);
    assert_eq!(end["silent_loss"], count("silent-loss"));
    assert_eq!(end["undetected_crash"], count("undetected-crash"));
    assert_eq!(end["misreported"], count("misreported"));
    assert_eq!(end["hang"], count("hang"));
    assert!(end["threads"].is_u64() && end["driver"].is_string());
    assert!(
        count("detected+contained") + count("detected+aborted") > 20,
        "{outcomes:?}"
    );
    let breaches = cases
        .iter()
        .filter(|case| !case["breach"].is_null())
        .count() as u64;
    assert_eq!(end["breaches"], breaches);
    assert_eq!(
        output.status.code(),
        Some(if breaches == 0 { 0 } else { 10 })
    );
}

#[test]
fn cases_do_not_depend_on_jobs_or_on_what_else_is_run() {
    let one = gc_stress("campaign --cases 0..24 --json --jobs 1 --levels lax");
    let two = gc_stress("campaign --cases 12..24 --json --jobs 2 --levels lax");
    let (one, two) = (lines(&one), lines(&two));
    let of = |lines: &[Value]| {
        let cases = lines
            .iter()
            .filter(|line| line["event"] == "case" && line["driver"] == "manual");
        cases
            .filter(|case| case["case"].as_u64().unwrap() >= 12)
            .cloned()
            .collect::<Vec<_>>()
    };
    assert!(!of(&one).is_empty());
    assert_eq!(of(&one), of(&two));
}

#[test]
fn a_check_that_looks_away_is_missed() {
    let line = "campaign --cases 0..400 --classes destructor-panics";
    let sighted = gc_stress(line);
    assert_eq!(sighted.status.code(), Some(0), "{sighted:?}");
    let blind = gc_stress(&format!("{line} --blind drop-panicked"));
    assert_eq!(blind.status.code(), Some(10), "{blind:?}");
    // Nothing rests on a check that the fault does not meet.
    let unmissed = gc_stress(
        "campaign --cases 0..400 --classes stale-edge --levels default --blind sweep-count",
    );
    assert_eq!(unmissed.status.code(), Some(11), "{unmissed:?}");
}

#[test]
fn what_is_no_fault_or_no_range_is_usage() {
    let output = gc_stress("campaign --classes stale-egde");
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("stale-egde") && text.contains("stale-edge"),
        "{text}"
    );
    for line in [
        "campaign --cases 9..9",
        "campaign --cases 9",
        "campaign --blind sight",
    ] {
        assert_eq!(gc_stress(line).status.code(), Some(64), "{line}");
    }
    assert_eq!(gc_stress("campaign --list").status.code(), Some(0));
}
