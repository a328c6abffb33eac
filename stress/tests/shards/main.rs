//! A campaign cut into shards, through the binary: what the files come to is what the uncut campaign says;
//! shards are ended, torn and run again.
#![cfg(feature = "fault-inject")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

mod refused;

const CASES: &str = "0..40";
/// Variables by which schedulers number tasks: a test that itself runs in such a task is not one of them.
const VARIABLES: [&str; 6] = [
    "GC_SHARDS",
    "JOB_COMPLETION_INDEX",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_ARRAY_TASK_COUNT",
    "PARALLEL_SEQ",
    "AWS_BATCH_JOB_ARRAY_INDEX",
];

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gc-stress"));
    command.args(arguments);
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
}

fn gc_stress(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// An empty folder of a test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shards-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// What the uncut campaign says.
fn whole() -> &'static (String, i32) {
    static WHOLE: OnceLock<(String, i32)> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let output = gc_stress(&["campaign", "--cases", CASES, "--json"]);
        (text(&output.stdout), code(&output))
    })
}

/// Four files of a campaign that is cut, in a folder that is copied for each test.
fn cut() -> &'static PathBuf {
    static CUT: OnceLock<PathBuf> = OnceLock::new();
    CUT.get_or_init(|| {
        let folder = folder("cut");
        let out = folder.to_str().unwrap();
        let line = ["campaign", "--cases", CASES, "--jobs", "1", "--out", out];
        let run = |set: &[(&str, &str)], more: &[&str]| {
            let mut command = command(&[&line[..], more].concat());
            for (name, value) in set {
                command.env(name, value);
            }
            let output = command.output().unwrap();
            assert_eq!(code(&output), 0, "{output:?}");
            text(&output.stdout)
        };
        // A flag wins over variables.
        let told = run(
            &[("JOB_COMPLETION_INDEX", "7"), ("GC_SHARDS", "9")],
            &["--shard", "0/4"],
        );
        assert!(
            told.contains("shard 0/4 (--shard): complete: 10 of 10"),
            "{told}"
        );
        let told = run(&[("JOB_COMPLETION_INDEX", "1"), ("GC_SHARDS", "4")], &[]);
        assert!(told.contains("shard 1/4 (JOB_COMPLETION_INDEX)"), "{told}");
        run(
            &[
                ("SLURM_ARRAY_TASK_ID", "2"),
                ("SLURM_ARRAY_TASK_COUNT", "4"),
            ],
            &[],
        );
        run(&[("PARALLEL_SEQ", "4")], &["--shards", "4", "--resume"]);
        folder
    })
}

/// A copy of the four files.
fn copy(name: &str) -> PathBuf {
    let folder = folder(name);
    for entry in fs::read_dir(cut()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn file(folder: &Path, shard: usize) -> PathBuf {
    folder.join(format!("shard-{shard:04}-of-0004.jsonl"))
}

fn merge(folder: &Path, more: &[&str]) -> Output {
    let mut arguments = vec!["merge", folder.to_str().unwrap()];
    arguments.extend(more);
    gc_stress(&arguments)
}

fn run_again(folder: &Path, shard: &str) -> Output {
    let out = folder.to_str().unwrap();
    gc_stress(&["campaign", "--cases", CASES, "--shard", shard, "--out", out])
}

fn events(output: &Output) -> Vec<Value> {
    let told = text(&output.stdout);
    told.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Changes a file as text.
fn change(path: &Path, how: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, how(text)).unwrap();
}

#[test]
fn the_merged_verdict_is_the_one_of_the_uncut_campaign() {
    let output = merge(cut(), &["--format", "json"]);
    let told = text(&output.stdout);
    let (first, rest) = told.split_once('\n').unwrap();
    assert_eq!((rest, code(&output)), (whole().0.as_str(), whole().1));
    let first: Value = serde_json::from_str(first).unwrap();
    assert_eq!(
        (&first["files"], &first["cases"], &first["found"]),
        (&4.into(), &40.into(), &40.into())
    );
    assert_eq!(
        (&first["complete"], &first["duplicates"]),
        (&true.into(), &0.into())
    );

    // Once more, and with every file given three times, says the same.
    let again = merge(cut(), &["--format", "json"]);
    let one_of_them = file(cut(), 2);
    let thrice = [
        cut().to_str().unwrap(),
        one_of_them.to_str().unwrap(),
        "--format",
        "json",
    ];
    assert_eq!(
        (again.stdout, merge(cut(), &thrice).stdout),
        (told.clone().into(), told.into())
    );

    // However it is cut.
    let one = folder("one");
    assert_eq!(code(&run_again(&one, "0/1")), 0);
    let other: Value = events(&merge(&one, &["--format", "json"]))[0].clone();
    assert_eq!(other["digest"], first["digest"]);
    let both = [one.to_str().unwrap(), "--format", "json"];
    let both = events(&merge(cut(), &both))[0].clone();
    assert_eq!(
        (&both["duplicates"], &both["digest"]),
        (&40.into(), &first["digest"])
    );
}

#[test]
fn a_shard_that_is_told_to_end_goes_on_where_it_ended() {
    let folder = folder("ended");
    let out = folder.to_str().unwrap();
    let line = [
        "campaign", "--cases", CASES, "--shard", "0/1", "--jobs", "2", "--out", out,
    ];
    let path = folder.join("shard-0000-of-0001.jsonl");
    let lines = || {
        fs::read_to_string(&path)
            .unwrap_or_default()
            .lines()
            .count()
    };
    let mut running = command(&line).stdout(Stdio::piped()).spawn().unwrap();
    while lines() < 6 {
        assert!(running.try_wait().unwrap().is_none(), "it has ended");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&running), Signal::TERM).unwrap();
    let output = running.wait_with_output().unwrap();
    assert_eq!(code(&output), 75, "{output:?}");
    assert!(
        text(&output.stdout).contains("interrupted, run it again"),
        "{output:?}"
    );
    // What was in flight was finished, and whole lines are all there is.
    let there = fs::read_to_string(&path).unwrap();
    let cases = there.lines().count() - 1;
    assert!(there.ends_with('\n') && (6..40).contains(&cases), "{cases}");
    assert!(!there.contains("undetected-crash") && !there.contains("\"end\""));
    assert_eq!(code(&merge(&folder, &[])), 75);

    let output = gc_stress(&line);
    assert_eq!(code(&output), 0, "{output:?}");
    let told = text(&output.stdout);
    assert!(
        told.contains(&format!("40 of 40 cases, {cases} of them from before")),
        "{told}"
    );
    assert!(fs::read_to_string(&path).unwrap().starts_with(&there));
    let merged = merge(&folder, &["--format", "json"]);
    assert_eq!(text(&merged.stdout).split_once('\n').unwrap().1, whole().0);
    // A third time there is nothing to do.
    let told = text(&gc_stress(&line).stdout);
    assert!(
        told.contains("40 of 40 cases, 40 of them from before"),
        "{told}"
    );
}

#[test]
fn a_torn_file_loses_its_last_line_and_nothing_else() {
    let folder = copy("torn");
    let path = file(&folder, 3);
    let before = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = before.split_inclusive('\n').collect();
    for (whole, torn) in [(8, 40), (1, 1), (0, 17), (0, 0)] {
        let kept = lines[..whole].concat() + &lines[whole][..torn];
        fs::write(&path, kept).unwrap();
        let output = merge(&folder, &["--format", "json"]);
        assert_eq!(code(&output), 75, "{output:?}");
        let gaps = events(&output)[0]["gaps"].as_array().unwrap().len();
        assert_eq!(gaps, 10 - whole.saturating_sub(1));
        assert_eq!(code(&run_again(&folder, "3/4")), 0);
        let merged = merge(&folder, &["--format", "json"]);
        assert_eq!(
            text(&merged.stdout).split_once('\n').unwrap().1,
            whole_text()
        );
    }
}

fn whole_text() -> &'static str {
    &whole().0
}

#[test]
fn what_is_missing_or_contradictory_is_found() {
    let folder = copy("gaps");
    fs::remove_file(file(&folder, 1)).unwrap();
    let output = merge(&folder, &[]);
    let told = text(&output.stdout);
    assert_eq!(code(&output), 75, "{told}");
    assert!(
        told.contains("missing: 1, 5, 9, 13")
            && told.contains("Incomplete: 10 of 40")
            && !told.contains("Every promise"),
        "{told}"
    );

    let folder = copy("conflict");
    // A case of shard 2 once more, in a file of its own, with another verdict.
    let line = fs::read_to_string(file(&folder, 2)).unwrap();
    let mut lines = line.lines();
    let manifest = lines.next().unwrap();
    let case = lines
        .next()
        .unwrap()
        .replace("\"live_lost\":0", "\"live_lost\":3");
    fs::write(
        folder.join("shard-again.jsonl"),
        format!("{manifest}\n{case}\n"),
    )
    .unwrap();
    let output = merge(&folder, &["--format", "json"]);
    assert_eq!(code(&output), 70, "{output:?}");
    let events = events(&output);
    assert_eq!(
        (&events[0]["conflicts"], &events[1]["event"]),
        (&1.into(), &"conflict".into())
    );
    assert_eq!(events[1]["there_says"], "live_lost 3");
    assert!(
        events[1]["there"]
            .as_str()
            .unwrap()
            .ends_with("shard-again.jsonl:2")
    );
    let output = merge(&folder, &["--format", "markdown"]);
    assert!(
        text(&output.stdout).contains("Not deterministic: 1 cases"),
        "{output:?}"
    );
}

// Where a fault costs a live object, the child's program reads freed memory, and a sanitizer ends it there.
#[cfg(not(softfail_asan))]
#[test]
fn a_page_and_a_test_report_tell_what_the_tables_tell() {
    let folder = copy("formats");
    let page = folder.join("page.md");
    let output = merge(
        &folder,
        &["--format", "markdown", "--out", page.to_str().unwrap()],
    );
    assert_eq!((code(&output), output.stdout.len()), (whole().1, 0));
    let page = fs::read_to_string(page).unwrap();
    assert!(page.starts_with("# Campaign, seed 1\n"), "{page}");
    assert!(page.contains("| F01 | `stale-edge` | lax | 1 |"), "{page}");
    assert!(page.contains("40 of 40 are there, in 4 files"), "{page}");

    fs::remove_file(file(&folder, 0)).unwrap();
    let output = merge(&folder, &["--format", "junit"]);
    assert_eq!(code(&output), 75);
    let report = text(&output.stdout);
    let mut reader = quick_xml::Reader::from_str(&report);
    let (mut tests, mut errors) = (0, 0);
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag) => {
                tests += usize::from(tag.name().as_ref() == "testcase");
                errors += usize::from(tag.name().as_ref() == "error");
            }
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!((tests, errors), (40, 10), "{report}");
    assert!(
        report.contains("tests=\"40\" failures=\"0\" errors=\"10\""),
        "{report}"
    );
}
