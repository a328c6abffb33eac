//! The line a cycle, field by field against its description for operators.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{break_record, chain, heap};

/// Says that the process is the child of the test below.
const CHILD: &str = "SOFTFAIL_TEST_LINES";

/// Fields of cycles that ended so, in the order of the table in OPERATIONS.md.
fn described(outcome: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/OPERATIONS.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("### A line a cycle").expect("the section");
    let section = section.split("\n### ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let fields = rows.filter_map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert!(["all", "finished", "voided"].contains(&cells[2]), "{row}");
        let is_of = cells[2] == "all" || cells[2] == outcome;
        is_of.then(|| cells[1].trim_matches('`').to_string())
    });
    fields.collect()
}

/// Two cycles, the second of which is voided and run again.
#[test]
fn two_cycles() {
    let heap = heap("lines heap");
    let mut mutator = heap.mutator();
    let root = chain(&mut mutator, 100);
    drop(chain(&mut mutator, 50));
    heap.collect().unwrap();
    break_record(&heap, &mut mutator, &root);
    heap.collect().unwrap();
    let stats = heap.stats();
    assert_eq!((stats.cycles_finished, stats.cycles_voided), (2, 1));
    if std::env::var_os(CHILD).is_some() {
        println!("bytes_live={}", stats.bytes_live);
    }
}

/// What the test above prints with this in `GC_TRACE`: standard error, standard output.
fn printed(trace: &str) -> (String, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["lines::two_cycles", "--exact", "--nocapture"])
        .env("GC_TRACE", trace)
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert_eq!(
        output.status.success(),
        trace != "yes",
        "{}",
        text(output.stderr.clone())
    );
    (text(output.stderr), text(output.stdout))
}

/// Names and values of a line.
fn fields(line: &str) -> Vec<(String, String)> {
    let rest = line
        .strip_prefix("gc heap=\"lines heap\" ")
        .expect("whose line it is");
    let others = rest.split(' ').map(|field| {
        let (name, value) = field
            .split_once('=')
            .unwrap_or_else(|| panic!("{field} in {line}"));
        (name.to_string(), value.to_string())
    });
    let heap = ("heap".to_string(), "lines heap".to_string());
    std::iter::once(heap).chain(others).collect()
}

#[test]
fn a_line_has_the_fields_that_operators_are_told_of() {
    let (told, stdout) = printed("1");
    let lines: Vec<_> = told
        .lines()
        .filter(|line| line.starts_with("gc "))
        .collect();
    assert_eq!(lines.len(), 3, "{told}");
    for (at, line) in lines.iter().enumerate() {
        let fields = fields(line);
        let outcome = if at == 1 { "voided" } else { "finished" };
        let names: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, described(outcome), "{line}");
        let value = |name: &str| &*fields.iter().find(|(known, _)| known == name).unwrap().1;
        assert_eq!(
            (value("outcome"), value("cycle")),
            (outcome, &*(at + 1).to_string())
        );
        let texts = ["heap", "outcome", "reason", "kind"];
        for (name, value) in fields.iter().filter(|(name, _)| !texts.contains(&&**name)) {
            assert!(value.parse::<u64>().is_ok(), "{name}={value}");
        }
        if at == 0 {
            assert_eq!(
                (value("objects_marked"), value("objects_freed")),
                ("100", "50")
            );
        }
        if at == 1 {
            assert_eq!(
                (value("reason"), value("voided_in_a_row")),
                ("span-seal", "1")
            );
        } else {
            assert!(
                stdout.contains(&format!("bytes_live={}\n", value("bytes_live"))),
                "{stdout}"
            );
        }
    }
}

#[test]
fn nobody_is_told_who_does_not_ask() {
    for quiet in ["0", ""] {
        assert!(!printed(quiet).0.lines().any(|line| line.starts_with("gc ")));
    }
    let (told, stdout) = printed("yes");
    assert!((told + &stdout).contains("TraceVariable"), "{stdout}");
}
