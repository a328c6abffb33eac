//! What the book quotes of `gc-stress` is what it prints.
//!
//! A block of a page that is marked `console` is a session: lines that begin with `$ ` are commands, and below each stands
//! all that it prints, errors too. The sessions of a page are carried out in their order, in one directory that is empty at
//! first. A line `...` stands for any lines. What differs from run to run, from build to build or with every line above a
//! store is masked on both sides; `MASKS` says what. With `SOFTFAIL_ACCEPT_DOCS=1` the pages are rewritten instead.
//!
//! Blocks marked otherwise are no sessions: grammar, files, and what the scripts under `stress/deploy` and `stress/fuzz`
//! print, which need more than this program.
#![cfg(feature = "fault-inject")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What a number may differ in: what stands before it and behind it. A number is a run of hexadecimal digits and dots.
const MASKS: [(&str, &str); 13] = [
    // Times.
    (" in ", " s\n"),
    (" in ", " s,"),
    (" and ", " ms"),
    ("\"elapsed_ms\":", ""),
    // Places in the source.
    (".rs:", ":"),
    (".rs:_:", ""),
    // The build: a hash over what its heap does, and one over its cases.
    (" fault-inject ", ""),
    (", cases ", "\""),
    ("digest\":\"", ""),
    // What programs with threads come to is up to the machine.
    (" operations, ", " refused by the limit"),
    ("refused by the limit; ", " cycles"),
    (" cycles, ", " looks"),
    // The last line of a trace is its checksum, which its build and its places are part of.
    ("\nend ", "\n"),
];

fn masked(text: &str) -> String {
    let mut text = text.to_string();
    for (before, after) in MASKS {
        let mut done = 0;
        while let Some(at) = text[done..].find(before) {
            let from = done + at + before.len();
            let is_part = |c: char| c.is_ascii_hexdigit() || c == '.';
            let length = text[from..].find(|c| !is_part(c)).unwrap_or(0);
            done = from;
            if length > 0 && text[from + length..].starts_with(after) {
                text.replace_range(from..from + length, "_");
            }
        }
    }
    text
}

/// Whether a printed text is the quoted one, where a line `...` is any lines.
fn is_quoted(quoted: &[&str], printed: &[&str]) -> bool {
    match quoted.split_first() {
        None => printed.is_empty(),
        Some((&"...", rest)) => (0..=printed.len()).any(|at| is_quoted(rest, &printed[at..])),
        Some((line, rest)) => printed.first() == Some(line) && is_quoted(rest, &printed[1..]),
    }
}

/// A command of a session and what is quoted below it, by the lines of the page.
struct Quoted {
    command: String,
    lines: std::ops::Range<usize>,
}

fn sessions(page: &[&str]) -> Vec<Quoted> {
    let mut found: Vec<Quoted> = Vec::new();
    let mut is_inside = false;
    for (at, line) in page.iter().enumerate() {
        if line.starts_with("```") {
            is_inside = *line == "```console";
            continue;
        }
        match line.strip_prefix("$ ") {
            Some(command) if is_inside => found.push(Quoted {
                command: command.to_string(),
                lines: at + 1..at + 1,
            }),
            _ if is_inside => found.last_mut().unwrap().lines.end = at + 1,
            _ => {}
        }
    }
    found
}

/// What would say that a session is a shard of somebody else's campaign.
const SCHEDULERS: [&str; 5] = [
    "JOB_COMPLETION_INDEX",
    "GC_SHARDS",
    "SLURM_ARRAY_TASK_ID",
    "PARALLEL_SEQ",
    "AWS_BATCH_JOB_ARRAY_INDEX",
];

fn book() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src")
}

/// Carries a command line out as a shell does that finds this build first.
fn printed(command: &str, directory: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_gc-stress"));
    let mut path = OsString::from(program.parent().unwrap());
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    for variable in SCHEDULERS {
        shell.env_remove(variable);
    }
    let output = shell
        .args(["-c", &format!("{command} 2>&1")])
        .current_dir(directory)
        .env("PATH", path)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Carries the sessions of a page out and compares. At least so many commands are quoted there.
fn compare(name: &str, least: usize) {
    let file = book().join(name);
    let text = fs::read_to_string(&file).unwrap();
    let page: Vec<&str> = text.lines().collect();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("docs-{name}"));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    let sessions = sessions(&page);
    assert!(sessions.len() >= least, "{name}: {}", sessions.len());
    let (mut rewritten, mut copied, mut wrong) = (String::new(), 0, Vec::new());
    for Quoted { command, lines } in sessions {
        let quoted = masked(&format!("{}\n", page[lines.clone()].join("\n")));
        let printed = printed(&command, &directory);
        let seen = masked(&format!("{}\n", printed.trim_end()));
        let quoted: Vec<&str> = quoted.trim_end().lines().collect();
        let is_right = is_quoted(&quoted, &seen.trim_end().lines().collect::<Vec<_>>());
        rewritten += &page[copied..lines.start].join("\n");
        rewritten += "\n";
        if is_right {
            rewritten += &page[lines.clone()].join("\n");
        } else {
            rewritten += printed.trim_end();
            wrong.push(format!(
                "{name}:{}: $ {command}\nprints\n{printed}",
                lines.start
            ));
        }
        rewritten += if lines.is_empty() && is_right {
            ""
        } else {
            "\n"
        };
        copied = lines.end;
    }
    if env::var_os("SOFTFAIL_ACCEPT_DOCS").is_some() {
        rewritten += &page[copied..].join("\n");
        fs::write(&file, rewritten + "\n").unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_sessions_of_the_search_are_what_it_prints() {
    compare("SEARCH.md", 3);
}

#[test]
fn the_sessions_of_traces_are_what_it_prints() {
    compare("TRACES.md", 3);
}

#[test]
fn the_sessions_of_campaigns_are_what_it_prints() {
    compare("CAMPAIGNS.md", 5);
}

#[test]
fn what_is_masked_is_no_more_than_what_differs() {
    let told = "6 programs in 0.4 s\nat stress/src/lab.rs:12:7, 3 operations\n\"elapsed_ms\":12}\n";
    let same = "6 programs in 11.9 s\nat stress/src/lab.rs:9:70, 3 operations\n\"elapsed_ms\":7}\n";
    assert_eq!(masked(told), masked(same));
    for (part, other) in [("6 pro", "7 pro"), ("lab", "lap"), ("3 op", "4 op")] {
        assert_ne!(masked(told), masked(&same.replace(part, other)));
    }
    let quoted = ["a", "...", "z"];
    assert!(is_quoted(&quoted, &["a", "z"]) && is_quoted(&quoted, &["a", "b", "z", "z"]));
    assert!(!is_quoted(&quoted, &["a", "b"]) && !is_quoted(&["a"], &["a", "b"]));
    let page = [
        "```console",
        "$ one",
        "said",
        "$ two",
        "```",
        "$ no command",
    ];
    let found = sessions(&page);
    assert_eq!(found.len(), 2);
    assert_eq!((&found[0].lines, &found[1].lines), (&(2..3), &(4..4)));
}
