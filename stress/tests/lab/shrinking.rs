//! What shrinking promises: the same check and the same store, in few operations, resumable.

use std::fs;

use serde_json::Value;

use crate::{file, gc_stress, last, stderr, stdout};

#[test]
fn a_scenario_shrinks_to_a_file_that_replays_and_does_not_shrink_further() {
    let (path, out, again) = (
        file("s.trace"),
        file("s-small.trace"),
        file("s-again.trace"),
    );
    let run = gc_stress("run assign-scratch --record {} --json", &[&path]);
    let shrunk = gc_stress("shrink {} -o {} --json", &[&path, &out]);
    assert_eq!(shrunk.status.code(), Some(0), "{}", stderr(&shrunk));
    let end = last(&shrunk);
    assert_eq!(end["event"], "end");
    assert_eq!(end["check"], "free-pointer");
    assert_eq!(end["call_site"], last(&run)["first_violation"]["call_site"]);
    let (before, after) = (&end["ops_before"], &end["ops_after"]);
    assert!(
        before.as_u64() > Some(50) && after.as_u64() <= Some(12),
        "{end}"
    );
    assert!(end["elapsed_ms"].is_u64() && end["minimal"] == true);

    let replay = gc_stress("replay {} --json", &[&out]);
    assert_eq!(replay.status.code(), Some(10), "{}", stdout(&replay));
    assert_eq!(last(&replay)["first_violation"]["check"], "free-pointer");

    let resumed = gc_stress("shrink {} -o {} --json --budget 600", &[&out, &again]);
    let end = last(&resumed);
    assert_eq!((&end["ops_before"], &end["ops_after"]), (after, after));
    assert_eq!(fs::read(&out).unwrap(), fs::read(&again).unwrap());
}

#[test]
fn the_result_is_told_as_a_story() {
    let (path, out) = (file("story.trace"), file("story-small.trace"));
    gc_stress(
        "run map-assign --checks paranoid --record {} --json",
        &[&path],
    );
    let told = stdout(&gc_stress("shrink {} -o {}", &[&path, &out]));
    for sentence in [
        "map-assign, seed 1, checks paranoid: ",
        "Object 1, a bucket, is made.",
        "Word 1 of object 1 is overwritten with object 2, and the barrier is left out.",
        ">> checkmark found unmarked object: unmarked-reachable",
        "0 lost; accounts balanced",
        "SHRUNK          from ",
    ] {
        assert!(told.contains(sentence), "{sentence}: {told}");
    }
    let operations = stdout(&gc_stress("replay {} --format ops", &[&out]));
    assert!(operations.contains("\nbare 1 1=2\n"), "{operations}");
    assert_eq!(
        stdout(&gc_stress("replay {} --format story", &[&out])),
        told[..told.find("\nSHRUNK").unwrap()]
    );
}

/// The lines of a generated test but for the build that wrote it, and the checksum over that.
fn but_for_the_build(test: &str) -> Vec<String> {
    let lines = test.lines().skip_while(|line| *line != "#[test]");
    let is_kept = |line: &&str| !line.starts_with("build ") && !line.starts_with("end ");
    lines.filter(is_kept).map(str::to_string).collect()
}

#[test]
fn the_test_that_is_checked_in_is_the_one_that_is_written() {
    let (path, out) = (file("test.trace"), file("test-small.trace"));
    gc_stress("run assign-scratch --record {} --json", &[&path]);
    let written = gc_stress("shrink {} -o {} --format test", &[&path, &out]);
    let written = but_for_the_build(&stdout(&written));
    let checked_in = but_for_the_build(include_str!("../shrunk.rs"));
    assert!(written.len() > 20);
    assert_eq!(written, checked_in);
    // The page about traces shows the same one.
    let page = include_str!("../../../docs/src/TRACES.md");
    let example = page.lines().skip_while(|line| *line != "softfail-trace 1");
    let example: Vec<&str> = example
        .take_while(|line| !line.starts_with("end "))
        .collect();
    let trace = fs::read_to_string(&out).unwrap();
    let trace: Vec<&str> = trace
        .lines()
        .take_while(|line| !line.starts_with("end "))
        .collect();
    let is_kept = |line: &&&str| !line.starts_with("build ");
    assert!(
        trace
            .iter()
            .filter(is_kept)
            .eq(example.iter().filter(is_kept))
    );
}

#[test]
fn there_is_nothing_to_shrink_without_a_violation() {
    let (path, out) = (file("clean.trace"), file("clean-small.trace"));
    let run = gc_stress("run map-key --fixed --record {} --json", &[&path]);
    assert_eq!(last(&run)["first_violation"], Value::Null);
    let shrunk = gc_stress("shrink {} -o {}", &[&path, &out]);
    assert_eq!(shrunk.status.code(), Some(65));
    assert!(
        stderr(&shrunk).contains("nothing to shrink"),
        "{}",
        stderr(&shrunk)
    );
}
