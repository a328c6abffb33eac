//! The command itself: lists, exit codes, the last line.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::{entry, package};

pub fn gc_stress(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gc-stress"));
    command.arg("audit").args(arguments).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_book_quotes_what_is_printed() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/AUDIT.md");
    let book = fs::read_to_string(book).unwrap();
    let output = gc_stress(&["--manifest-path", entry().to_str().unwrap()]);
    let printed = String::from_utf8(output.stdout).unwrap();
    let blocks = book
        .split("```text\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap());
    let quoted: Vec<&str> = blocks.filter(|block| block.contains("entry")).collect();
    assert_eq!(quoted.len(), 2);
    for block in quoted {
        assert!(printed.contains(block), "{block}\nis not in\n{printed}");
    }
}

#[test]
fn what_is_reached_outside_the_list_ends_with_10_and_all_of_it_inside_with_0() {
    let list = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rooms");
    let manifest = entry();
    let run = |rooms: &str, more: &[&str]| {
        fs::write(&list, rooms).unwrap();
        let arguments = [
            "--json",
            "--manifest-path",
            manifest.to_str().unwrap(),
            "--allow",
            list.to_str().unwrap(),
        ];
        gc_stress(&[&arguments[..], more].concat())
    };
    let outside = |output: &Output| {
        let lines = lines(output);
        let places = lines
            .iter()
            .filter(|line| line["reachable"] == true && line["allowed"] == false);
        let places: Vec<String> = places
            .map(|line| line["module"].as_str().unwrap().to_string())
            .collect();
        let verdict = lines
            .iter()
            .find(|line| line["event"] == "verdict")
            .unwrap();
        assert_eq!(verdict["outside"], places.len());
        places
    };
    let own = "entry::conditional\nentry::forms # each form\nentry::macros\nentry::renamed\nentry::rings\n";
    let clean = run(own, &[]);
    assert_eq!(
        (clean.status.code(), stderr(&clean)),
        (Some(0), String::new())
    );
    assert_eq!(outside(&clean), [""; 0]);
    let narrow = run(&own.replace("entry::rings", "entry::rings::a"), &[]);
    assert_eq!(narrow.status.code(), Some(10));
    assert_eq!(outside(&narrow), ["entry::rings::d", "entry::rings"]);
    let empty = lines(&narrow)
        .into_iter()
        .find(|line| line["event"] == "empty_rooms")
        .unwrap();
    assert_eq!(empty["names"], serde_json::json!(["entry::rings::a"]));
    let strict = run(own, &["--judge-dependencies"]);
    assert_eq!(strict.status.code(), Some(10));
    assert_eq!(outside(&strict), ["behind", "called"]);
    let wide = run(&format!("{own}behind\ncalled\n"), &["--judge-dependencies"]);
    assert_eq!(wide.status.code(), Some(0));
    let malformed = run("entry::forms\nentry forms\n", &[]);
    assert_eq!(malformed.status.code(), Some(65));
    assert!(
        stderr(&malformed).contains("rooms:2: \"entry forms\" is no place"),
        "{malformed:?}"
    );
}

#[test]
fn the_last_line_sums_up_and_tests_count_when_asked_for() {
    let manifest = entry();
    let end = |more: &[&str]| {
        let arguments = ["--json", "--manifest-path", manifest.to_str().unwrap()];
        let output = gc_stress(&[&arguments[..], more].concat());
        assert_eq!(output.status.code(), Some(0));
        lines(&output).pop().unwrap()
    };
    let plain = serde_json::json!({
        "event": "end", "crates": 4, "files": 9, "unsafe_items": 29, "reachable": 20, "unparsed": 0
    });
    assert_eq!(end(&[]), plain);
    assert_eq!(end(&["--tests"])["reachable"], 21);
}

#[test]
fn a_command_line_or_a_manifest_that_is_wrong_is_refused_by_name() {
    let manifest = entry();
    let manifest = manifest.to_str().unwrap();
    let broken = package("no-manifest", &[("Cargo.toml", "[package]\nname = 7\n")]);
    let broken = broken.to_str().unwrap();
    for (arguments, code, named) in [
        (
            &["--manifest-path", "nowhere/Cargo.toml"][..],
            65,
            "nowhere/Cargo.toml",
        ),
        (&["--manifest-path", broken], 65, "no-manifest/Cargo.toml"),
        (
            &["--manifest-path", manifest, "--allow", "nowhere"],
            65,
            "nowhere",
        ),
        (
            &["--manifest-path", manifest, "--package", "nobody"],
            64,
            "nobody",
        ),
        (
            &["--manifest-path", manifest, "--judge-dependencies"],
            64,
            "--allow",
        ),
        (&["--all", "--json"], 64, "--json"),
    ] {
        let output = gc_stress(arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {output:?}"
        );
        assert!(
            stderr(&output).contains(named),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}
