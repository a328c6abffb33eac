//! The `gc-stress` binary from outside: exit codes, streams, JSON lines, policies.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use serde_json::Value;

const SIGABRT: i32 = 6;

/// Runs the binary with the words of `line` as arguments, and no policy in the environment.
fn gc_stress(line: &str) -> Output {
    command(line).output().unwrap()
}

fn command(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gc-stress"));
    command
        .args(line.split_whitespace())
        .env_remove("GC_POLICY");
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The JSON lines with every elapsed time taken out.
fn untimed_lines(output: &Output) -> Vec<Value> {
    let mut lines: Vec<Value> = stdout(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for line in &mut lines {
        take_times_out(line);
    }
    lines
}

fn take_times_out(value: &mut Value) {
    if let Value::Object(object) = value {
        object.remove("elapsed_ms");
        object.values_mut().for_each(take_times_out);
    }
}

#[test]
fn the_same_seed_gives_the_same_json() {
    for line in [
        "run makefunc --seed 11 --ops 1000 --json",
        "run makefunc --seed 11 --ops 1000 --json --checks lax",
        "run makefunc --seed 11 --ops 1000 --json --checks paranoid --policy hook",
        "run makefunc --seed 11 --ops 1000 --json --fixed",
    ] {
        let (one, other) = (gc_stress(line), gc_stress(line));
        assert_eq!(untimed_lines(&one), untimed_lines(&other), "{line}");
        assert_eq!(one.status.code(), other.status.code(), "{line}");
        assert_eq!(stderr(&one), "", "{line}");
    }
}

#[test]
fn the_last_line_has_the_settled_keys_in_their_order() {
    let output = gc_stress("run makefunc --seed 2 --ops 1000 --json");
    assert_eq!(output.status.code(), Some(10));
    let text = stdout(&output);
    let last = text.lines().last().unwrap();
    let places = [
        "{\"event\":\"end\"",
        "\"scenario\":\"makefunc\"",
        "\"seed\":2",
        "\"fixed\":false",
        "\"policy\":\"unhealthy\"",
        "\"checks\":\"default\"",
        "\"violations\":{",
        "\"first_violation\":{\"check\":",
        "\"message\":\"found bad pointer in heap",
        "\"at_op\":",
        "\"elapsed_ms\":",
        "\"call_site\":\"stress/src/reflect.rs:",
        "\"origin\":\"barrier-old\"",
        "\"stale_cycles\":",
        "\"healthy\":false",
        "\"ops\":",
        "\"cycles\":",
        "\"live_checked\":",
        "\"live_damaged\":0",
        "\"ledger_balanced\":true",
        "\"quarantined_bytes\":0",
        "\"threads\":1",
        "\"driver\":\"manual\"}",
    ]
    .map(|key| last.find(key).unwrap_or_else(|| panic!("{key} in {last}")));
    assert!(places.is_sorted(), "{last}");
    assert_eq!(
        serde_json::from_str::<Value>(last)
            .unwrap()
            .as_object()
            .unwrap()
            .len(),
        17
    );
}

#[test]
fn a_control_ends_with_no_violation_and_exit_code_0() {
    for control in ["--fixed", "--no-config-struct"] {
        let output = gc_stress(&format!("run makefunc --seed 5 --ops 500 --json {control}"));
        assert_eq!(output.status.code(), Some(0), "{control}");
        let end = untimed_lines(&output).pop().unwrap();
        assert_eq!(end["first_violation"], Value::Null);
        assert_eq!(end["violations"], serde_json::json!({}));
        assert_eq!(
            (&end["healthy"], &end["ops"]),
            (&Value::Bool(true), &Value::from(500))
        );
    }
}

#[test]
fn a_run_that_misses_its_violation_exits_11() {
    let output = gc_stress("run makefunc --ops 3");
    assert_eq!(output.status.code(), Some(11));
    assert!(stdout(&output).contains("the expected violation did not come up"));
}

#[test]
fn the_abort_policy_dies_by_sigabrt_with_the_report_on_standard_error() {
    for (checks, message) in [
        ("default", "found bad pointer in heap (pointer to "),
        ("paranoid", "found bad pointer in heap"),
    ] {
        let line = format!("run makefunc --seed 1 --ops 1500 --policy abort --checks {checks}");
        let output = gc_stress(&line);
        assert_eq!(output.status.signal(), Some(SIGABRT), "{checks}");
        let report = stderr(&output);
        assert!(report.starts_with(message), "{report}");
        assert!(
            report.contains("call site: stress/src/reflect.rs:"),
            "{report}"
        );
        assert!(report.contains("origin: barrier-old"), "{report}");
        assert!(report.ends_with("softfail: policy abort\n"), "{report}");
    }
}

#[test]
fn the_environment_gives_the_policy_when_no_flag_does() {
    let line = "run makefunc --seed 1 --ops 1000 --json";
    let output = command(line).env("GC_POLICY", "count").output().unwrap();
    let end = untimed_lines(&output).pop().unwrap();
    assert_eq!(
        (&end["policy"], &end["healthy"]),
        (&Value::from("count"), &Value::Bool(true))
    );
    assert_eq!(output.status.code(), Some(10));

    let flagged = format!("{line} --policy unhealthy");
    let output = command(&flagged)
        .env("GC_POLICY", "abort")
        .output()
        .unwrap();
    assert_eq!(untimed_lines(&output).pop().unwrap()["policy"], "unhealthy");

    let output = command(line)
        .env("GC_POLICY", "unhealthy,sweep-cuont=hook")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("GC_POLICY"), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("sweep-cuont"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_hook_is_called_for_every_violation() {
    let line = "run makefunc --seed 4 --ops 1000 --policy hook --checks paranoid";
    let output = gc_stress(&format!("{line} --json"));
    let lines = untimed_lines(&output);
    let hook = lines.iter().find(|line| line["event"] == "hook").unwrap();
    let end = lines.last().unwrap();
    let violations = end["violations"].as_object().unwrap().values();
    let recorded: u64 = violations.map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(hook["deliveries"], recorded);
    assert_eq!(end["healthy"], true);
    let story = stdout(&gc_stress(line));
    assert!(
        story.contains(&format!("the hook was called {recorded} times")),
        "{story}"
    );
}

#[test]
fn a_bad_policy_exits_64_and_names_the_fault_and_the_choices() {
    let output = gc_stress("run makefunc --policy unhealthy,sweep-cuont=hook");
    assert_eq!(output.status.code(), Some(64));
    let message = stderr(&output);
    assert!(
        message.contains("byte 10") && message.contains("sweep-cuont"),
        "{message}"
    );
    assert!(
        message.contains("sweep-count") && message.contains("bad-pointer"),
        "{message}"
    );
    assert_eq!(stdout(&output), "");
}

#[test]
fn a_wrong_command_line_exits_64() {
    for line in [
        "",
        "walk makefunc",
        "run",
        "run makefunk",
        "run makefunc --seed minus",
        "run makefunc --ops 0",
        "run makefunc --checks some",
        "run makefunc --policy",
        "run makefunc --what",
        "run makefunc --driver",
        "run makefunc --driver background --threads 0",
        "run makefunc --driver background --threads many",
        "soak --minutes 0",
        "soak --minutes soon",
        "soak --minutes NaN",
        "soak --ops 0",
        "soak --limit-mib 0",
        "soak --nursery-bytes 65535",
        "run makefunc --nursery-bytes small",
        "soak makefunc",
        "measure --slow",
    ] {
        let output = gc_stress(line);
        assert_eq!(output.status.code(), Some(64), "{line}");
        assert_eq!(stdout(&output), "", "{line}");
        assert!(!stderr(&output).is_empty(), "{line}");
    }
}

#[test]
fn a_wrong_driver_is_refused_with_the_choices() {
    for (line, named) in [
        ("run makefunc --driver forward", "`forward`"),
        ("run makefunc --driver background:0", "`background:0`"),
        ("run makefunc --threads 2", "--threads 2"),
        ("run makefunc --threads 2 --driver manual", "--threads 2"),
        ("soak --driver manual", "soak"),
        ("soak --driver backgrounds", "`backgrounds`"),
    ] {
        let output = gc_stress(line);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(64), "{line}");
        assert!(message.contains(named), "{message}");
        assert!(message.contains("background:N"), "{message}");
        assert_eq!(stdout(&output), "", "{line}");
    }
}

#[test]
fn help_and_list_go_to_standard_output_and_exit_0() {
    for (line, text) in [
        ("--help", "Exit codes"),
        ("run --help", "Exit codes"),
        ("soak --help", "Exit codes"),
        ("measure --help", "Exit codes"),
        ("list", "makefunc"),
        ("--version", "gc-stress"),
    ] {
        let output = gc_stress(line);
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert!(stdout(&output).contains(text), "{line}");
        assert_eq!(stderr(&output), "", "{line}");
    }
}

#[test]
fn no_progress_is_drawn_where_there_is_no_terminal() {
    let output = gc_stress("run makefunc --seed 1 --ops 3000 --fixed");
    assert_eq!(stderr(&output), "");
    assert!(stdout(&output).contains("clean, as a control must be"));
    assert!(!stdout(&output).contains('\u{1b}'));
}
