//! `gc-stress inspect`, the record of a run and snapshots of a heap, from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gc_core::{Driver, Edge, Heap, Policy, PreviousRecord, Trace};
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

#[derive(Trace)]
struct Link<'gc> {
    number: u64,
    next: Edge<'gc, Link<'gc>>,
}

/// A chain of ten links in one snapshot, of fifteen in the next; and the heap.
fn two_snapshots(name: &str) -> (Heap, PathBuf, PathBuf) {
    let before = fresh(name).with_file_name("before.heapsnapshot");
    let after = before.with_file_name("after.heapsnapshot");
    let heap = Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::STRICT)
        .build()
        .unwrap();
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| {
        let head = scope.alloc(Link {
            number: 0,
            next: Edge::none(),
        });
        scope.root(head)
    });
    for (path, links) in [(&before, 1..10), (&after, 10..15)] {
        mutator.enter(|scope| {
            let head = scope.get(&root).unwrap();
            for number in links {
                let next = Edge::none();
                let link = scope.alloc(Link { number, next });
                link.next.set(scope, head.next.get());
                head.next.set(scope, link);
            }
            assert_eq!(head.number, 0);
        });
        heap.snapshot(&mut fs::File::create(path).unwrap()).unwrap();
    }
    // The last snapshot's cycle has swept: what the heap counts now is what stands there.
    drop(root);
    (heap, before, after)
}

fn lines(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    told.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

#[test]
fn a_snapshot_is_told_with_the_counts_of_the_heap() {
    let (heap, _, after) = two_snapshots("inspect-counts");
    let told = lines(&gc_stress(&["inspect", "--json"], &after));
    assert_eq!(told[0]["event"], "snapshot");
    assert_eq!(
        (&told[0]["objects"], &told[0]["edges"]),
        (&15.into(), &14.into())
    );
    assert_eq!(told[0]["self_bytes"], heap.stats().bytes_live);
    let types = of(&told, "type");
    assert_eq!(types.len(), 1);
    assert!(types[0]["name"].as_str().unwrap().contains("Link"));
    assert_eq!(
        (&types[0]["objects"], &types[0]["retained_bytes"]),
        (&15.into(), &240.into())
    );
    let biggest = of(&told, "object");
    let retained = biggest
        .iter()
        .map(|object| object["retained_bytes"].as_u64().unwrap());
    assert!(retained.eq((1..=15).rev().map(|links| links * 16)));
    assert_eq!(of(&told, "roots")[0]["kind"], "(handles)");
    let human = gc_stress(&["inspect", "--top", "1"], &after);
    assert!(
        text(&human.stdout)
            .starts_with("heap snapshot: 15 objects of 1 types, 240 bytes, 14 edges\n")
    );
}

#[test]
fn the_way_to_an_object_and_its_dominators_are_told() {
    let (_, before, _) = two_snapshots("inspect-path");
    let told = lines(&gc_stress(&["inspect", "--json"], &before));
    // The one that retains least is the end of the chain.
    let last = of(&told, "object").pop().unwrap()["id"].to_string();
    let told = lines(&gc_stress(&["inspect", "--json", "--path", &last], &before));
    let path = of(&told, "path");
    assert_eq!((path.len(), of(&told, "dominator").len()), (1 + 10, 1 + 9));
    assert_eq!(
        (&path[0]["name"], &path[1]["by"]),
        (&"(handles)".into(), &"[1]".into())
    );
    assert!(path[2..].iter().all(|step| step["by"] == ".next"));
    assert_eq!(path.last().unwrap()["id"].to_string(), last);
    let nobody = gc_stress(&["inspect", "--path", "4"], &before);
    assert_eq!(nobody.status.code(), Some(64));
    assert!(text(&nobody.stderr).ends_with(": no object has the id 4\n"));
}

#[test]
fn the_difference_of_two_snapshots_is_told_by_type() {
    let (_, before, after) = two_snapshots("inspect-diff");
    let words = ["inspect", "--json", "--diff", after.to_str().unwrap()];
    let told = lines(&gc_stress(&words, &before));
    let changes = of(&told, "change");
    assert_eq!(changes.len(), 1);
    let figures = ["added", "removed", "objects", "bytes"].map(|name| changes[0][name].as_i64());
    assert_eq!(figures, [Some(5), Some(0), Some(5), Some(80)]);
    let human = gc_stress(&["inspect", "--diff", after.to_str().unwrap()], &before);
    let row = "\n         5          0         +5            +80  inspect::Link";
    assert!(text(&human.stdout).contains(row), "{}", text(&human.stdout));
}

#[test]
fn a_broken_snapshot_is_refused_with_the_place() {
    let (_, before, after) = two_snapshots("inspect-broken");
    let whole = fs::read_to_string(&before).unwrap();
    let cases = [
        (whole[..whole.len() / 2].to_string(), "EOF while parsing"),
        (
            whole.replace("\"node_count\":16", "\"node_count\":17"),
            ": nodes: 112 numbers, expected 17 entries of 7 fields",
        ),
        ("{}".to_string(), "missing field `snapshot`"),
    ];
    for (broken, reason) in cases {
        fs::write(&before, broken).unwrap();
        let refused = gc_stress(&["inspect"], &before);
        assert_eq!(refused.status.code(), Some(65), "{reason}");
        let told = text(&refused.stderr);
        assert!(
            told.starts_with("error: heap snapshot ") && told.contains(reason),
            "{told}"
        );
        assert!(refused.stdout.is_empty());
    }
    let words = ["inspect", "--diff", before.to_str().unwrap()];
    assert_eq!(gc_stress(&words, &after).status.code(), Some(65));
    let record = recorded("inspect-no-snapshot");
    assert_eq!(
        gc_stress(&["inspect", "--path", "1"], &record)
            .status
            .code(),
        Some(64)
    );
}
