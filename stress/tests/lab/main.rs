//! `gc-stress run --record`, `replay`, `shrink`, `list` and the zoo, from outside: files, exit codes, JSON.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

mod recording;
mod shrinking;
mod zoo;

/// A file of that name, of this test alone.
fn file(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lab-{name}"));
    let _absent_is_well = std::fs::remove_file(&path);
    path
}

/// Runs the binary with the words of `line`, each `{}` of which is the next of the paths.
fn gc_stress(line: &str, paths: &[&Path]) -> Output {
    let mut paths = paths.iter();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gc-stress"));
    for word in line.split_whitespace() {
        match word {
            "{}" => command.arg(paths.next().unwrap()),
            word => command.arg(word),
        };
    }
    command.env_remove("GC_POLICY").output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = stdout(output);
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

fn last(output: &Output) -> Value {
    lines(output).pop().unwrap()
}

/// Operation, check and count of every violation.
fn violations(output: &Output) -> Vec<(u64, String, u64)> {
    let lines = lines(output);
    let told = lines.iter().filter(|line| line["event"] == "violation");
    told.map(|line| {
        let number = |key: &str| line[key].as_u64().unwrap();
        let check = line["check"].as_str().unwrap().to_string();
        (number("op"), check, number("count"))
    })
    .collect()
}
