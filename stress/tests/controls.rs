//! The controls as a user runs them.

use std::process::{Command, Output};

use serde_json::Value;

fn gc_stress(arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gc-stress"))
        .args(arguments.split_whitespace())
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_process_that_is_stopped_for_longer_than_a_deadline_raises_no_alarm() {
    let output = gc_stress("controls --only stopped --objects 2000000 --json");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = lines(&output);
    let [begin, condition, end] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(begin["event"], "begin");
    assert_eq!(condition["condition"], "stopped");
    assert!(condition["stops"].as_u64() >= Some(1), "{condition}");
    assert!(
        condition["objects_marked"].as_u64() >= Some(2_000_000),
        "{condition}"
    );
    assert_eq!(
        (&end["violations"], &end["is_sound"]),
        (&0.into(), &true.into())
    );
    assert_eq!(
        (&end["threads"], &end["driver"]),
        (&1.into(), &"background".into())
    );
    assert!(
        end["false_positives_below"].as_f64() <= Some(1.5e-6),
        "{end}"
    );
}

#[test]
fn the_conditions_are_named_when_none_is_meant() {
    let output = gc_stress("controls --only noisy");
    assert_eq!(output.status.code(), Some(64));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("quiet, busy, junk, full, stopped"),
        "{message}"
    );
}
