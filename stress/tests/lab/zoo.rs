//! The zoo from outside: every scenario runs, buggy and fixed, and says so by its exit code.

use serde_json::Value;

use crate::{file, gc_stress, last, lines, stderr, stdout};

#[test]
fn every_scenario_of_the_list_exits_10_and_its_fix_0() {
    let list = lines(&gc_stress("list --json", &[]));
    assert!(list.len() >= 20);
    let human = stdout(&gc_stress("list", &[]));
    assert_eq!(human.lines().count(), list.len());
    let levels = [
        ("", "default"),
        ("--checks paranoid", "paranoid"),
        ("--buggy --checks lax", "lax"),
    ];
    // Levels in turn: all of them are tried for all scenarios by the tests of the crate.
    for ((entry, line), (options, level)) in
        list.iter().zip(human.lines()).zip(levels.iter().cycle())
    {
        let name = entry["scenario"].as_str().unwrap();
        assert!(line.starts_with(name) && line.ends_with(entry["title"].as_str().unwrap()));
        if name == "makefunc" {
            // Its command runs the whole workload, and has tests of its own.
            continue;
        }
        let run = gc_stress(&format!("run {name} --json {options}"), &[]);
        assert_eq!(
            run.status.code(),
            Some(10),
            "{name} {level}: {}",
            stderr(&run)
        );
        let (end, declared) = (last(&run), &entry["found"][level]);
        assert_eq!(end["verdict"], "found", "{name} {level}");
        let check = &end["first_violation"]["check"];
        let checks = declared["checks"].as_array().unwrap();
        assert!(checks.contains(check), "{name} {level}: {check}");
        let is_lost = end["live_lost"] != 0;
        assert_eq!(declared["live_lost"], is_lost, "{name} {level}");
        if *level == "paranoid" {
            let run = gc_stress(&format!("run {name} --fixed --json {options}"), &[]);
            assert_eq!(run.status.code(), Some(0), "{name}: {}", stdout(&run));
            assert_eq!(last(&run)["violations"], serde_json::json!({}), "{name}");
        }
    }
}

#[test]
fn a_run_is_told_to_people_with_cause_and_distance() {
    let run = gc_stress("run shared-flag --checks paranoid --seed 9", &[]);
    assert_eq!(run.status.code(), Some(10));
    let text = stdout(&run);
    for part in [
        "gc-stress shared-flag: go 71228, seed 9, checks paranoid, policy unhealthy, buggy",
        "THERE           The compiler merged",
        "FIRST VIOLATION at operation ",
        "CAUSE           operation ",
        " and 0 cycles before the report",
        "0 lost",
        "VERDICT         found as declared, and survived",
        "REPLAY          gc-stress run shared-flag --seed 9 --checks paranoid",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn what_is_lost_at_a_level_that_sees_it_too_late_is_said_and_replays_as_recorded() {
    let path = file("lost.trace");
    let run = gc_stress("run map-key --record {}", &[&path]);
    assert_eq!(run.status.code(), Some(10));
    assert!(stdout(&run).contains("1 lost"), "{}", stdout(&run));
    assert!(stdout(&run).contains("when the harm is done already"));
    let replay = gc_stress("replay {} --json", &[&path]);
    assert_eq!(replay.status.code(), Some(10), "{}", stdout(&replay));
    let end = last(&replay);
    assert_eq!(
        (&end["as_recorded"], &end["live_lost"]),
        (&Value::Bool(true), &Value::from(1))
    );
}

#[test]
fn an_abort_ends_a_scenario_by_its_signal() {
    use std::os::unix::process::ExitStatusExt;
    let run = gc_stress("run code-pointer --policy abort", &[]);
    assert_eq!(run.status.signal(), Some(6));
    assert!(
        stderr(&run).contains("found bad pointer in heap"),
        "{}",
        stderr(&run)
    );
}

#[test]
fn wrong_command_lines_exit_64() {
    for (line, message) in [
        ("run no-such-bug", "no-such-bug"),
        ("run map-key --ops 5", "--ops belongs to makefunc"),
        ("run map-key --threads 2", "--threads belongs to makefunc"),
        ("run map-key --buggy --fixed", "cannot be used with"),
        ("list --json --markdown", "cannot be used with"),
    ] {
        let output = gc_stress(line, &[]);
        assert_eq!(output.status.code(), Some(64), "{line}");
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }
}
