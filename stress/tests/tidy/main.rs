//! The rules of the house, as far as they can be counted, over the sources of the whole workspace.
//!
//! A rule is checked on source text from which comments, string literals and character literals
//! are blanked out, so that talking about a thing is not doing it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::code::{blanked, imports, item_end, line_of, module_order, without_tests, words};

mod code;

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 60;

/// The crates whose modules stand in the order of their imports.
const LAYERED: [&str; 4] = ["gc-hooks", "gc-sweep", "gc-core", "stress"];
/// The crates that answer with an error or contain, and never panic.
const PANIC_FREE: [&str; 3] = ["gc-hooks", "gc-sweep", "gc-core"];

/// The rooms where unsafe code may stand, by crate.
const UNSAFE_ROOMS: [(&str, &[&str]); 4] = [
    ("gc-hooks", &["record", "monitor"]),
    ("gc-sweep", &["os", "table", "span", "words"]),
    (
        "gc-core",
        &[
            "trace",
            "trace_std",
            "object",
            "local",
            "record",
            "scan",
            "reap",
            "gc",
            "weak",
            "ephemeron",
            "root",
            "scope",
            "upgrade",
            "edge",
            "raw",
            "fault",
        ],
    ),
    ("stress", &["reflect", "campaign", "lab/machine"]),
];

/// Modules that may be named from above: compiled only with a feature that breaks things on
/// purpose.
const FAULT_MODULES: [&str; 1] = ["fault"];

/// What ends a program; and where it may stand how often: twins of fallible functions that promise
/// a panic, and misuse of a mutator.
const PANICS: [&str; 6] = [
    ".unwrap()",
    ".expect(",
    "panic!(",
    "unreachable!(",
    "todo!(",
    "unimplemented!(",
];
const PANICS_ALLOWED: [(&str, &str, usize); 2] = [
    ("gc-core/src/scope.rs", "panic!(", 1),
    ("gc-core/src/mutator.rs", "panic!(", 3),
];

/// What stands for something that is not done, or for luck.
const STUBS: [&str; 4] = ["todo!(", "unimplemented!(", "#[ignore", "thread::sleep"];

/// A source file: where it is, its text, and its text without comments and literals.
struct Source {
    /// From the root of the workspace.
    path: String,
    text: String,
    code: String,
}

impl Source {
    /// The code without what is compiled for tests alone.
    fn shipped_code(&self) -> String {
        if self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs") {
            String::new()
        } else {
            without_tests(&self.code)
        }
    }

    /// Whether a file under `src` belongs to a module of that path, as `lab/machine`.
    fn is_part_of(&self, module: &str) -> bool {
        let file = self.path.split_once("/src/").map(|(_, file)| file);
        let rest = file.and_then(|file| file.strip_prefix(module));
        rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }

    /// The crate and the module of a file under its `src`.
    fn module(&self) -> Option<(&str, &str)> {
        let (package, file) = self.path.split_once("/src/")?;
        Some((package, file.split('/').next()?.trim_end_matches(".rs")))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust source of the workspace, in order, programs that must not compile left out.
fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    for package in [
        "gc-hooks",
        "gc-sweep",
        "gc-core",
        "gc-core/derive",
        "stress",
    ] {
        for folder in ["src", "tests", "examples", "benches"] {
            collect(&root().join(package).join(folder), &mut paths);
        }
    }
    let sources: Vec<Source> = paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let path = path
                .strip_prefix(root())
                .unwrap()
                .to_str()
                .unwrap()
                .to_string();
            Source {
                path,
                code: blanked(&text),
                text,
            }
        })
        .collect();
    assert!(sources.len() > 50, "the sources were not found");
    sources
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() && !entry.ends_with("tests/ui") {
            collect(&entry, paths);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            paths.push(entry);
        }
    }
}

/// Fails with every breach at once, so that one run shows the whole way to go.
fn assert_none(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}:\n{}", breaches.join("\n"));
}

#[test]
fn files_and_functions_stay_small() {
    let mut breaches = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            breaches.push(format!("{}: {lines} lines", source.path));
        }
        for at in words(&source.code, "fn") {
            let rest = source.code[at + 2..].trim_start();
            // A pointer type has no name and no body.
            if rest.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                let lines = source.code[at..][..item_end(&source.code[at..])]
                    .lines()
                    .count();
                if lines > FUNCTION_LINES_MAX {
                    let line = line_of(&source.code, at);
                    breaches.push(format!("{}:{line}: {lines} lines", source.path));
                }
            }
        }
    }
    let rule = format!("files to {FILE_LINES_MAX} lines, functions to {FUNCTION_LINES_MAX}");
    assert_none(&rule, &breaches);
}

#[test]
fn every_file_says_what_it_is() {
    let is_silent = |source: &Source| !source.text.starts_with("//!");
    let breaches: Vec<String> = sources()
        .into_iter()
        .filter(is_silent)
        .map(|source| source.path)
        .collect();
    assert_none("a file begins with its head", &breaches);
}

#[test]
fn nothing_is_left_undone_or_left_to_time() {
    let mut breaches = Vec::new();
    for source in sources() {
        for stub in STUBS {
            for (at, _) in source.code.match_indices(stub) {
                breaches.push(format!(
                    "{}:{}: {stub}",
                    source.path,
                    line_of(&source.code, at)
                ));
            }
        }
    }
    assert_none("no stubs, no ignored tests, no sleeping", &breaches);
}

#[test]
fn unsafe_code_stands_in_its_rooms() {
    let rooms: BTreeMap<&str, &[&str]> = UNSAFE_ROOMS.into_iter().collect();
    let mut breaches = Vec::new();
    for source in sources() {
        let Some((package, _)) = source.module() else {
            continue;
        };
        let Some(rooms) = rooms.get(package) else {
            continue;
        };
        if !rooms.iter().any(|room| source.is_part_of(room)) {
            for at in words(&source.shipped_code(), "unsafe") {
                breaches.push(format!("{}:{}", source.path, line_of(&source.code, at)));
            }
        }
    }
    assert_none("unsafe outside its rooms", &breaches);
}

#[test]
fn the_heap_does_not_panic() {
    let mut breaches = Vec::new();
    for source in sources() {
        let is_covered = source
            .module()
            .is_some_and(|(package, _)| PANIC_FREE.contains(&package));
        if !is_covered {
            continue;
        }
        let code = source.shipped_code();
        for panic in PANICS {
            let allowed = PANICS_ALLOWED
                .iter()
                .find(|(path, word, _)| *path == source.path && *word == panic)
                .map_or(0, |(_, _, times)| *times);
            // Whatever the number of words found, the first ones are the allowed ones.
            for (at, _) in code.match_indices(panic).skip(allowed) {
                breaches.push(format!("{}:{}: {panic}", source.path, line_of(&code, at)));
            }
        }
    }
    assert_none(
        "a typed error or a containment instead of a panic",
        &breaches,
    );
}

#[test]
fn a_module_imports_only_modules_above_it() {
    let sources = sources();
    let mut breaches = Vec::new();
    for package in LAYERED {
        let lib = format!("{package}/src/lib.rs");
        let lib = sources.iter().find(|source| source.path == lib).unwrap();
        let order = module_order(&lib.shipped_code());
        assert!(order.len() > 3, "{package}: {order:?}");
        let rank = |module: &str| order.iter().position(|known| known == module);
        for source in &sources {
            let Some((owner, module)) = source.module() else {
                continue;
            };
            let Some(own_rank) = rank(module).filter(|_| owner == package) else {
                continue;
            };
            for (line, name) in imports(&source.shipped_code()) {
                let is_above = rank(&name).is_some_and(|rank| rank <= own_rank);
                if !is_above && !FAULT_MODULES.contains(&name.as_str()) {
                    breaches.push(format!("{}:{line}: crate::{name}", source.path));
                }
            }
        }
    }
    assert_none("imports go upwards, by module", &breaches);
}
