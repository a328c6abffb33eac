//! `gc-stress inspect`, and the record of a run, from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gc_core::PreviousRecord;
use serde_json::Value;

/// A path for a record in an empty directory of its own.
fn fresh(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory.join("heap.record")
}

fn command(words: &[&str], path: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gc-stress"));
    command.args(words).arg(path).env_remove("GC_POLICY");
    command
}

fn gc_stress(words: &[&str], path: &Path) -> Output {
    command(words, path).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a run of the incident leaves: the same violations each time.
fn recorded(name: &str) -> PathBuf {
    let path = fresh(name);
    let run = ["run", "makefunc", "--ops", "1000", "--health-record"];
    assert_eq!(gc_stress(&run, &path).status.code(), Some(10));
    path
}

/// The same text whenever and by whatever process it was recorded.
fn without_times(told: &str, record: &PreviousRecord) -> String {
    let mut untimed = String::new();
    let mut rest = told;
    // A time is as long as any other, and the only thing with this shape.
    while let Some(at) = rest.find("Z").filter(|at| *at >= 23) {
        let (before, time) = rest[..=at].split_at(at - 23);
        let is_time = time.as_bytes()[10] == b'T' && time.as_bytes()[19] == b'.';
        untimed += before;
        untimed += if is_time { "[time]" } else { time };
        rest = &rest[at + 1..];
    }
    untimed += rest;
    untimed
        .replace(
            &format!("process {}", record.process()),
            "process [process]",
        )
        .replace(
            &format!("\"process\":{}", record.process()),
            "\"process\":[process]",
        )
        .replace("<'_>", "")
}

#[test]
fn the_story_of_a_record() {
    let path = recorded("inspect-story");
    let record = PreviousRecord::read(&path).unwrap();
    let output = gc_stress(&["inspect"], &path);
    assert_eq!(output.status.code(), Some(0));
    let told = without_times(&text(&output.stdout), &record);
    // The last ones read like the first.
    let head: String = told
        .lines()
        .take(40)
        .map(|line| format!("{line}\n"))
        .collect();
    insta::assert_snapshot!(head);
}

#[test]
fn the_record_as_json_says_the_same() {
    let path = recorded("inspect-json");
    let record = PreviousRecord::read(&path).unwrap();
    let output = gc_stress(&["inspect", "--json"], &path);
    let lines = text(&output.stdout);
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["event"], "record");
    assert_eq!(lines[0]["total"], record.total());
    assert_eq!(lines[0]["heap"], "makefunc");
    assert!(lines[0]["closed"].is_string() && lines[0]["unhealthy_since"].is_string());
    let first = record.first().unwrap();
    assert_eq!(lines[1]["event"], "first_violation");
    assert_eq!(lines[1]["sequence"], 1);
    assert_eq!(lines[1]["message"], first.first_line());
    assert_eq!(
        lines[1]["call_site"],
        first.call_site.as_ref().unwrap().to_string()
    );
    assert_eq!(lines.len(), 2 + record.recent().len());
    let head = text(&output.stdout)
        .lines()
        .take(2)
        .collect::<Vec<_>>()
        .join("\n");
    insta::assert_snapshot!(without_times(&head, &record));
}

#[test]
fn a_file_that_is_no_record_is_exit_code_65_and_says_where() {
    let path = recorded("inspect-malformed");
    let bytes = fs::read(&path).unwrap();
    let cases: [(&[u8], &str); 3] = [
        (
            &bytes[..10_000],
            "byte 10000: truncated, expected 139264 bytes",
        ),
        (b"no record at all", "byte 0: not a violation record"),
        (&[], "byte 0: truncated, expected 139264 bytes"),
    ];
    for (content, problem) in cases {
        fs::write(&path, content).unwrap();
        for words in [&["inspect"][..], &["inspect", "--json"]] {
            let output = gc_stress(words, &path);
            assert_eq!(output.status.code(), Some(65));
            assert_eq!(text(&output.stdout), "");
            let told = format!("error: violation record {}: {problem}\n", path.display());
            assert_eq!(text(&output.stderr), told);
        }
    }
    let missing = gc_stress(&["inspect"], &path.join("missing"));
    assert_eq!(missing.status.code(), Some(65));
    assert_eq!(
        gc_stress(&["inspect", "--no-such"], &path).status.code(),
        Some(64)
    );
}

#[test]
fn a_place_where_no_record_can_be_is_a_wrong_command_line() {
    let path = fresh("inspect-nowhere").with_file_name("no-directory/heap.record");
    let output = gc_stress(&["run", "makefunc", "--health-record"], &path);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("No such file or directory"));
}

/// What a new user does: run, kill -9, inspect.
#[test]
fn a_run_that_was_killed_is_inspected() {
    let path = fresh("inspect-killed");
    let run = [
        "run",
        "makefunc",
        "--ops",
        "1000000000",
        "--json",
        "--health-record",
    ];
    let mut child = command(&run, &path).stdout(Stdio::null()).spawn().unwrap();
    // The run goes on for hours after its first violation; nobody waits for a time here.
    while PreviousRecord::read(&path).map_or(0, |record| record.total()) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "the run ended");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let output = gc_stress(&["inspect"], &path);
    assert_eq!(output.status.code(), Some(0));
    let told = text(&output.stdout);
    let opening = format!(
        "violation record of heap \"makefunc\" in process {}",
        child.id()
    );
    assert!(told.starts_with(&opening), "{told}");
    assert!(
        told.contains("\n  ended: not in order, or still running\n"),
        "{told}"
    );
    assert!(told.contains("\nfirst violation, recorded 20"), "{told}");
    assert!(told.contains("\n  call site: stress/src/reflect"), "{told}");
}
