//! `gc-stress search` from outside: what it finds can be replayed and shrunk, and what it does not find is not called
//! absent.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn gc_stress(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gc-stress"));
    command.args(arguments).output().unwrap()
}

/// A directory that only one test uses, empty.
fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    directory
}

/// Searches with JSON lines: the exit code, and the lines without what differs from run to run.
fn search(directory: &Path, arguments: &str) -> (Option<i32>, Vec<Value>) {
    let mut all = vec!["search", "--json", "--out", directory.to_str().unwrap()];
    all.extend(arguments.split(' '));
    let output = gc_stress(&all);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut lines: Vec<Value> = lines.collect();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("elapsed_ms");
        // Of programs with threads the seed says how many there are and how long, and not what they meet.
        if let Some(threaded) = line.get_mut("threaded").and_then(Value::as_object_mut) {
            threaded.retain(|key, _| key == "programs" || key == "ops");
        }
    }
    (output.status.code(), lines)
}

#[test]
fn programs_that_break_nothing_come_out_clean_and_say_what_that_excludes() {
    let directory = directory("search-clean");
    let (code, lines) = search(&directory, "--programs 15 --seed 3");
    assert_eq!((code, lines.len()), (Some(0), 2), "{lines:?}");
    let end = &lines[1];
    assert_eq!(
        (&end["event"], &end["programs"]),
        (&"end".into(), &15.into())
    );
    assert_eq!(
        (&end["excluded_one_in"], &end["findings"]),
        (&5.into(), &Value::Array(Vec::new()))
    );
    assert!(
        end["cycles"].as_u64() > Some(20) && end["live_checked"].as_u64() > Some(20),
        "{end}"
    );
    let again = search(&directory, "--programs 15 --seed 3");
    assert_eq!(again, (code, lines));
    let out = directory.to_str().unwrap();
    let told = gc_stress(&["search", "--programs", "9", "--out", out]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("none, which is no all-clear"), "{told}");
    assert!(
        told.contains("a bug seen once in m programs needs 3m clean ones"),
        "{told}"
    );
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}

#[test]
fn what_is_found_is_replayed_as_it_was_and_shrunk() {
    let directory = directory("search-broken");
    let (code, lines) = search(
        &directory,
        "--with-faults --until-findings 2 --checks default",
    );
    assert_eq!(code, Some(10), "{lines:?}");
    let findings = lines.iter().filter(|line| line["event"] == "finding");
    let findings: Vec<&Value> = findings.collect();
    assert_eq!(findings.len(), 2, "{lines:?}");
    for finding in findings {
        assert_eq!(finding["sort"], "reported");
        let file = finding["file"].as_str().unwrap();
        let replayed = gc_stress(&["replay", file, "--json"]);
        // Something live may be lost in a program that breaks the heap, as often as when it was found.
        assert_eq!(replayed.status.code(), Some(10), "{replayed:?}");
        let small = directory.join("small.gctrace");
        let shrunk = gc_stress(&["shrink", file, "--json", "-o", small.to_str().unwrap()]);
        assert_eq!(shrunk.status.code(), Some(0), "{shrunk:?}");
        let text = String::from_utf8(shrunk.stdout).unwrap();
        let end: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(end["check"], finding["check"]);
        assert!(
            end["ops_after"].as_u64().unwrap() * 4 < finding["ops"].as_u64().unwrap(),
            "{end}"
        );
    }
}

#[test]
fn each_driver_limits_and_threads_are_drawn_and_told() {
    let directory = directory("search-regimes");
    let (code, lines) = search(&directory, "--programs 100 --seed 2");
    assert_eq!((code, lines.len()), (Some(0), 2), "{lines:?}");
    let end = &lines[1];
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    for driver in ["manual", "incremental"] {
        assert!(count(&end["drivers"][driver]) > 20, "{end}");
    }
    let drivers = end["drivers"].as_object().unwrap();
    assert!(
        drivers
            .keys()
            .any(|driver| driver.starts_with("background")),
        "{end}"
    );
    assert!(
        count(&end["limited"]) > count(&end["limits_met"]) && count(&end["refused"]) > 20,
        "{end}"
    );
    let by_threads = end["programs_by_threads"].as_object().unwrap();
    assert!(by_threads.len() > 2, "{end}");
    let sum: u64 = by_threads.values().map(count).sum();
    assert_eq!(sum, 100);
    let threads = by_threads.keys().map(|key| key.parse::<u64>().unwrap());
    assert_eq!(threads.max(), end["threads"].as_u64(), "{end}");
    let threaded = count(&end["threaded"]["programs"]);
    assert!(
        threaded > 2 && count(&by_threads["1"]) > 100 - threaded - 1,
        "{end}"
    );
    let again = search(&directory, "--programs 100 --seed 2");
    assert_eq!(again, (code, lines));
    let out = directory.to_str().unwrap();
    let told = gc_stress(&["search", "--programs", "40", "--seed", "2", "--out", out]);
    let told = String::from_utf8(told.stdout).unwrap();
    for line in [
        "\nDRIVERS   ",
        "\nTHREADS   ",
        "\nLIMITS    ",
        " manual",
        " incremental",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    fs::remove_dir_all(&directory).unwrap();
}

/// The header of a trace, up to its operations.
fn header(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.split("\nops ").next().unwrap().to_string()
}

#[test]
fn a_trace_with_a_driver_or_a_limit_is_replayed_to_the_same_bytes_and_shrunk() {
    let directory = directory("search-regime-traces");
    let (code, lines) = search(&directory, "--with-faults --programs 300 --seed 4");
    assert_eq!(code, Some(10), "{lines:?}");
    let findings = lines.iter().filter(|line| line["sort"] == "reported");
    let files: Vec<&str> = findings.filter_map(|line| line["file"].as_str()).collect();
    for setting in ["\ndriver incremental\n", "\nlimit ", "\nnursery "] {
        let file = files.iter().find(|file| header(file).contains(setting));
        let file = file.unwrap_or_else(|| panic!("{setting}: {lines:?}"));
        let replayed = [(); 2].map(|()| gc_stress(&["replay", file, "--json"]));
        assert_eq!(replayed[0].status.code(), Some(10), "{replayed:?}");
        assert_eq!(replayed[0].stdout, replayed[1].stdout);
        let small = directory.join("small.gctrace");
        let small = small.to_str().unwrap();
        let shrunk = gc_stress(&["shrink", file, "--json", "-o", small]);
        assert_eq!(shrunk.status.code(), Some(0), "{shrunk:?}");
        assert!(header(small).contains(setting));
        let again = gc_stress(&["replay", small]);
        assert_eq!(again.status.code(), Some(10), "{again:?}");
    }
    let unlimited = files.iter().find(|file| !header(file).contains("\nlimit "));
    let text = fs::read_to_string(unlimited.unwrap()).unwrap();
    let (body, _) = text.rsplit_once("end ").unwrap();
    let body = body.replacen("\nkind ", "\nlimit 12\nkind ", 1);
    let file = directory.join("malformed.gctrace");
    fs::write(&file, format!("{body}end {:016x}\n", fnv(body.as_bytes()))).unwrap();
    let refused = gc_stress(&["replay", file.to_str().unwrap()]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(65), "{told}");
    assert!(told.contains("`12` is no limit: bytes from 8192"), "{told}");
    fs::remove_dir_all(&directory).unwrap();
}

/// The checksum of a trace, as TRACES.md says it.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[test]
fn a_command_line_that_is_wrong_is_refused_by_name() {
    let file = directory("search-file");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    for (arguments, code, named) in [
        (["--budget", "5x", "--out", file], 64, "30m"),
        (["--budget", "0m", "--out", file], 64, "30m"),
        (["--budget", "é", "--out", file], 64, "30m"),
        (["--checks", "loud", "--out", file], 64, "paranoid"),
        (["--programs", "0", "--out", file], 64, "programs"),
        (["--programs", "1", "--out", file], 65, "search-file"),
    ] {
        let output = gc_stress(&[&["search"][..], &arguments[..]].concat());
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(named), "{arguments:?}: {told}");
    }
    fs::remove_file(file).unwrap();
}
